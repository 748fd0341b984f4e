"""Shared: what one node has outdated, no other node serves, whatever happens at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from stores.fetches import GROUPS, KEY, OTHER, brought
from stores.nodes import Node, node
from stores.samples import sample, variant

from gateway.admission.places import Place
from gateway.fleet import names
from gateway.rfc9111.stored import StoredResponse
from gateway.stores import TierUnavailable
from gateway.stores.selection import Everything, Exactly, Selection, Tagged, read
from gateway.stores.shared import PURGES

Nodes = tuple[Node, Node, Node]

MARKS = 100_000
PLACE = "api\n\n/v1/products/1"


@pytest.fixture
async def nodes(redis_url: str) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(node(redis_url)),
            await stack.enter_async_context(node(redis_url, ahead=3600.0)),
            await stack.enter_async_context(node(redis_url, ahead=-3600.0)),
        )


async def test_what_one_node_fetched_is_a_hit_for_all(nodes: Nodes) -> None:
    one, *others = nodes
    stored = await one.fetch()
    for other in others:
        [found] = await other.finds()
        assert (found.body, found.etag, found.head) == (stored.body, stored.etag, stored.head)


async def test_a_node_that_comes_later_finds_it_too(nodes: Nodes, redis_url: str) -> None:
    await nodes[0].fetch()
    await nodes[1].fetch(OTHER, ("another",))
    nodes[1].cache.invalidate(("another",))
    await nodes[1].idle()
    async with node(redis_url) as late:
        assert len(await late.finds()) == 1
        assert await late.finds(OTHER) == []


async def test_what_any_node_has_stored_with_a_tag_all_find_unless_it_is_purged(nodes: Nodes) -> None:
    one, two, three = nodes
    tag = "api\n*\nstore:1"
    for at, key in ((one, KEY), (two, PLACE)):
        await at.fetch(key, (tag,))
    assert await members(three, tag) == {KEY, PLACE}
    # Groups do not tell this one.
    await two.cache.purge(read(("prefix", "api", "/v1")), hard=True)
    await three.hear()
    assert await members(three, tag) == {KEY}
    three.cache.outdate_behind((tag,))
    assert await members(three, tag) == set()
    await three.idle()
    assert await members(two, tag) == set()


async def members(at: Node, tag: str) -> set[str]:
    return {stored.key async for _, stored in at.cache.members_behind({tag: None})}


async def test_a_refresh_outdates_what_others_hold_and_brings_them_its_own(nodes: Nodes) -> None:
    one, two, three = nodes
    for key in (KEY, OTHER):
        await one.fetch(key)
        await two.finds(key)
    await three.refresh()
    assert [found.forced for found in await two.finds()] == [True]
    assert [found.forced for found in await one.finds()] == [True]
    assert await two.finds(OTHER) == await one.finds(OTHER) == []


@pytest.mark.parametrize("unsafe", [False, True], ids=["refresh", "unsafe-method"])
async def test_only_an_unsafe_method_bars_what_others_hold_after_an_error_too(nodes: Nodes, unsafe: bool) -> None:
    one, two, _ = nodes
    await one.fetch(OTHER)
    await two.finds(OTHER)
    if unsafe:
        one.cache.invalidate(GROUPS)
        await one.idle()
    else:
        await one.refresh()
    assert await two.finds(OTHER) == []
    assert [held.invalid for held in two.cache.peek(OTHER)] == [unsafe]


async def test_a_fetch_in_flight_elsewhere_is_outdated(nodes: Nodes) -> None:
    one, two, _ = nodes
    fetching = two.cache.begin(GROUPS)
    await one.refresh()
    await two.hear()
    assert fetching.outdated
    assert not two.cache.store(fetching, brought(fetching, OTHER))


async def test_a_late_save_of_a_node_that_has_not_heard_is_harmless(nodes: Nodes) -> None:
    one, frozen, three = nodes
    fetching = frozen.cache.begin(GROUPS)
    one.cache.invalidate(GROUPS)
    await one.idle()
    # It was stopped meanwhile, goes on, and knows nothing of it yet.
    assert frozen.cache.store(fetching, brought(fetching))
    await frozen.idle()
    assert frozen.shared.refused == 1
    assert await three.finds() == []
    assert await frozen.finds() == []


async def test_of_two_refreshes_at_once_none_hides_the_other(nodes: Nodes) -> None:
    one, two, three = nodes
    first, second = one.cache.begin(GROUPS), two.cache.begin(GROUPS)
    for at, fetching in ((one, first), (two, second)):
        assert at.cache.store(fetching, brought(fetching, forced=True))
    for at, fetching in ((one, first), (two, second)):
        at.cache.outdate(fetching, KEY)
        await at.idle()
        at.cache.end(fetching)
    # What began first nobody knows: neither is believed where the other had an answer.
    assert await three.finds() == await one.finds() == []
    assert (await two.refresh()).forced
    assert all([[found.forced for found in await at.finds()] == [True] for at in nodes])


async def test_an_unsafe_method_during_a_refresh_outdates_what_that_brings(nodes: Nodes) -> None:
    one, two, three = nodes
    fetching = one.cache.begin(GROUPS)
    assert one.cache.store(fetching, brought(fetching, forced=True))
    two.cache.invalidate(GROUPS)
    await two.idle()
    # It has not heard of it when its own entry is made: that is answered with all it has missed.
    one.cache.outdate(fetching, KEY)
    one.cache.end(fetching)
    await one.idle()
    assert one.shared.saved == 0
    assert await three.finds() == await two.finds() == await one.finds() == []


async def test_a_refresh_that_outdates_nothing_is_shared_when_it_is_over(nodes: Nodes) -> None:
    one, two, _ = nodes
    fetching = one.cache.begin(GROUPS)
    assert one.cache.store(fetching, brought(fetching, forced=True))
    await one.idle()
    assert await two.finds() == []
    one.cache.end(fetching)
    await one.idle()
    assert len(await two.finds()) == 1


async def test_a_load_during_which_a_mark_is_heard_brings_nothing(nodes: Nodes) -> None:
    one, two, _ = nodes
    await one.fetch()
    [found] = await two.tier.load(KEY)

    async def overtaken(key: str) -> tuple[tuple[int, StoredResponse], ...]:
        one.cache.invalidate(GROUPS)
        await one.idle()
        await two.hear()
        return (found,)

    two.tier.load = overtaken  # type: ignore[method-assign]
    assert await two.cache.load(KEY) == ()


async def test_what_was_loaded_just_before_a_mark_is_outdated_by_it(nodes: Nodes) -> None:
    one, two, _ = nodes
    await one.fetch()
    one.cache.invalidate(GROUPS)
    [loaded] = await two.cache.load(KEY) or await _before(one, two)
    await two.hear()
    assert two.cache.peek(KEY) == (loaded,)
    assert loaded.outdated


async def _before(one: Node, two: Node) -> tuple[StoredResponse, ...]:
    """Where the mark was faster: the same once more, loaded before it is made."""
    await one.idle()
    await two.hear()
    await one.fetch()
    found = await two.cache.load(KEY)
    one.cache.invalidate(GROUPS)
    await one.idle()
    return found


async def test_what_is_outdated_here_is_not_loaded_before_the_log_has_it(nodes: Nodes) -> None:
    one, two, _ = nodes
    await two.fetch()
    one.cache.invalidate(GROUPS)
    assert await one.cache.load(KEY) == ()


async def test_a_newer_one_takes_the_place_of_what_memory_holds_outdated(nodes: Nodes) -> None:
    one, two, _ = nodes
    await two.fetch()
    one.cache.invalidate(GROUPS)
    await one.idle()
    await two.hear()
    fresh = await one.fetch()
    [found] = await two.finds()
    assert found.received == pytest.approx(fresh.received, abs=1e9)
    assert not found.outdated
    # And stays the very same.
    assert await two.finds() == [found]
    assert two.cache.peek(KEY)[0] is found


async def test_one_that_has_changed_is_outdated_alone(nodes: Nodes) -> None:
    one, two, three = nodes
    for language in ("de", "fr"):
        fetching = one.cache.begin(GROUPS)
        assert one.cache.store(fetching, brought(fetching, selecting=variant(language)))
        one.cache.end(fetching)
    await one.idle()
    assert len(await two.finds()) == 2
    one.cache.outdate_one(one.cache.peek(KEY)[0])
    await one.idle()
    [kept] = [stored.selecting for stored in one.cache.peek(KEY) if not stored.outdated]
    assert [found.selecting for found in await two.finds()] == [kept]
    assert [found.selecting for found in await three.finds()] == [kept]


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize(
    "selection",
    [
        Exactly((Place("api", "/v1/products/1", GROUPS[0]),)),
        Tagged(GROUPS),
        read(("prefix", "api", "/v1/products")),
        read(("route", "api", "", "", "/v1/{rest:.*}")),
        Everything(),
    ],
    ids=["url", "tag", "prefix", "route", "everything"],
)
async def test_a_purge_holds_everywhere(nodes: Nodes, redis_url: str, selection: Selection, hard: bool) -> None:
    one, two, three = nodes
    await one.fetch(PLACE)
    await two.finds(PLACE)
    await one.cache.purge(selection, hard=hard)
    await two.hear()
    assert [held.is_purged for held in two.cache.peek(PLACE)] == ([] if hard else [True])
    assert await three.finds(PLACE) == []
    async with node(redis_url) as late:
        assert await late.finds(PLACE) == []
        await late.fetch(PLACE)
    assert [found.is_purged for found in await three.finds(PLACE)] == [False]


async def test_a_purge_leaves_what_its_selection_does(nodes: Nodes, redis_url: str) -> None:
    one, two, _ = nodes
    await one.fetch(PLACE)
    await two.cache.purge(read(("prefix", "api", "/v2")), hard=True)
    async with node(redis_url) as late:
        assert len(await late.finds(PLACE)) == len(await one.finds(PLACE)) == 1


async def test_where_entries_have_been_cut_off_nothing_in_memory_is_believed(nodes: Nodes) -> None:
    one, two, _ = nodes
    await one.fetch()
    await two.fetch(OTHER, ("another",))
    await two.finds()
    fetching = two.cache.begin(GROUPS)
    for _ in range(3):
        one.cache.invalidate(("another",))
    await one.idle()
    await one.connection.ask("XTRIM", names.LOG, "MAXLEN", 1)
    await two.hear()
    assert two.cache.peek(KEY) == two.cache.peek(OTHER) == ()
    assert fetching.outdated
    # What is shared has its marks.
    await two.shared.settle()
    assert (len(await two.finds()), len(await two.finds(OTHER))) == (1, 0)


async def test_what_redis_has_lost_makes_all_begin_anew(nodes: Nodes) -> None:
    one, two, three = nodes
    one.cache.invalidate(("another",))
    await one.idle()
    await two.fetch()
    # A failover to where the entry had not arrived.
    await one.connection.ask("DEL", names.SEQUENCE, names.LOG, names.MARKS)
    await one.log.rejoin()
    await two.log.rejoin()
    assert await one.finds() == await two.finds() == await three.finds() == []
    for at in nodes:
        await at.shared.settle()
    await three.fetch()
    assert len(await one.finds()) == len(await two.finds()) == 1


async def test_what_is_too_large_or_in_too_many_groups_stays_at_home(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.shared.LARGEST", 100)
    monkeypatch.setattr("gateway.stores.shared.GROUPS", 2)
    one, two, _ = nodes
    for body, named in ((bytes(101), ()), (b"", ("a", "b"))):
        fetching = one.cache.begin(GROUPS)
        stored = sample(KEY, began=fetching.began, body=body, groups=(*GROUPS, *named))
        assert one.cache.store(fetching, stored)
        one.cache.end(fetching)
    await one.idle()
    assert one.shared.unsaved == 2
    assert await two.finds() == []


async def test_saves_are_bounded(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.shared.SAVES", 2)
    one = nodes[0]
    for number in range(3):
        fetching = one.cache.begin(GROUPS)
        assert one.cache.store(fetching, brought(fetching, f"api /{number}"))
    await one.idle()
    assert (one.shared.saved, one.shared.unsaved) == (2, 1)


async def test_what_falls_out_of_the_purges_raises_the_floor(nodes: Nodes, redis_url: str) -> None:
    one, two, _ = nodes
    await one.fetch(PLACE)
    await one.cache.purge(read(("prefix", "api", "/v1")), hard=True)
    for number in range(PURGES):
        await one.cache.purge(read(("prefix", "api", f"/{number}/")), hard=True)
    assert await one.connection.ask("ZCARD", names.PURGES) == PURGES
    assert await one.connection.ask("GET", names.FLOOR) == b"1"
    async with node(redis_url) as late:
        assert await late.finds(PLACE) == await two.finds(PLACE) == []


async def test_what_falls_out_of_the_marks_raises_the_floor(nodes: Nodes) -> None:
    one, two, _ = nodes
    await one.fetch()
    one.cache.invalidate(GROUPS)
    await one.idle()
    assert await one.link.append(b"[]", b"".join([number.to_bytes(16) for number in range(MARKS)])) == 2
    # Which of the two oldest goes nobody says.
    assert await one.connection.ask("GET", names.FLOOR) in (b"1", b"2")
    assert await two.finds() == []


async def test_too_much_to_tell_outdates_everything(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.telling.UNTOLD", 1)
    monkeypatch.setattr("gateway.stores.telling.AGAIN", 0.0)
    one, two, _ = nodes
    await two.fetch()
    for group in ("another", "third"):
        one.cache.invalidate((group,))
    while not one.shared.settled:
        await one.hear()
    assert await two.finds() == []


async def test_before_it_knows_the_purges_a_node_loads_nothing(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.shared._AGAIN", 0.0)
    one, two, _ = nodes
    await one.fetch()
    purges, failed = two.tier.purges, asyncio.Event()

    async def fail() -> tuple[tuple[int, tuple[str, ...]], ...]:
        failed.set()
        raise TierUnavailable

    two.tier.purges = fail  # type: ignore[method-assign]
    two.log.apply([(two.log.known + 2, b"a gap")])
    await failed.wait()
    assert await two.cache.load(KEY) == ()
    two.tier.purges = purges  # type: ignore[method-assign]
    await two.shared.settle()
    assert len(await two.cache.load(KEY)) == 1
