"""One stampede guard: what several nodes want at once one of them fetches, and all callers get what comes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import REFRESH, make_request, public_route, seed_route
from fleet.sharing import Fleet, Node, answers
from structlog.testing import capture_logs
from support.fleet import began
from support.redis_server import RedisServer

from gateway.admission.snapshot import CachePolicy, RefreshPolicy
from gateway.collapse import Rank
from gateway.fleet.leases import RANKS
from gateway.fleet.script import Script
from gateway.ports import Landing
from gateway.rfc9111.stored import Policy
from gateway.stores.selection import Everything

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
FORCED = f"{ITEM}?force_refresh=1"
JSON = {"Content-Type": "application/json"}
ROUTE = seed_route(cache=CachePolicy(Policy(ttl=60.0), max_body=1 << 20))


@pytest.fixture
async def fleet(tmp_path: Path, redis_url: str) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(tmp_path, redis_url, stack)


def groups(node: Node) -> tuple[str, ...]:
    """All that the item belongs to."""
    return node.way.live.preparer.prepare(make_request(ITEM)).memberships()


async def three(fleet: Fleet) -> tuple[Node, Node, Node]:
    return await fleet.join(ROUTE), await fleet.join(ROUTE), await fleet.join(ROUTE)


async def test_a_thousand_callers_over_three_nodes_are_one_call(fleet: Fleet) -> None:
    nodes = await three(fleet)
    gate = asyncio.Event()
    fleet.upstream.then(b'{"a":1}', before=(gate,), fields=JSON)
    asking = [nodes[number % 3].way.asking(ITEM) for number in range(1000)]
    await fleet.waited_for(ITEM, 2)
    gate.set()
    got = await answers(asking)
    assert fleet.calls == 1
    assert {answer.body for answer in got} == {b'{"a":1}'}
    assert sum(answer.cache.collapsed for answer in got) == 999
    assert all(answer.cache.stored for answer in got)
    assert [(await node.way.ask(ITEM)).cache.hit for node in nodes] == [True] * 3
    assert fleet.calls == 1


async def test_force_refreshes_are_one_call_and_pay_for_fresh_data(fleet: Fleet) -> None:
    """The refresh marks its own group while it lands: that is not what overtakes it."""
    nodes = await three(fleet)
    await nodes[0].way.ask(ITEM)
    gate = asyncio.Event()
    fleet.upstream.then(b"{}", before=(gate,), fields=JSON)
    asking = [nodes[number % 3].way.asking(FORCED) for number in range(30)]
    await fleet.waited_for(ITEM, 2, rank=2)
    gate.set()
    got = await answers(asking)
    assert fleet.calls == 2
    assert {answer.tokens[0] for answer in got} == {4}
    for node in nodes:
        await node.hear()
        assert (await node.way.ask(ITEM)).body == b"{}"
    assert fleet.calls == 2


async def test_tokens_go_into_what_another_node_fetched(fleet: Fleet) -> None:
    route = seed_route(cache=CachePolicy(Policy(ttl=60.0), max_body=1 << 20), tokens_in_body=True)
    one, two = await fleet.join(route), await fleet.join(route)
    gate = asyncio.Event()
    fleet.upstream.then(b'{"a":1}', before=(gate,), fields=JSON)
    asking = [one.way.asking(ITEM)]
    await fleet.upstream.arrived()
    asking += [two.way.asking(ITEM), two.way.asking(ITEM)]
    await fleet.waited_for(ITEM, 1)
    gate.set()
    bodies = [json.loads(answer.body) for answer in await answers(asking)]
    assert [body["tokens_consumed"] for body in bodies] == [1, 1, 1]
    assert fleet.calls == 1


async def test_an_answer_is_as_old_elsewhere_as_where_it_was_fetched(fleet: Fleet) -> None:
    one, two = await fleet.join(ROUTE), await fleet.join(ROUTE)
    gate = asyncio.Event()
    fleet.upstream.then(b"{}", before=(gate,), fields=JSON | {"Age": "20", "Cache-Control": "max-age=50"})
    first = one.way.asking(ITEM)
    await fleet.upstream.arrived()
    second = two.way.asking(ITEM)
    await fleet.waited_for(ITEM, 1)
    fleet.clock.advance(0.5)
    gate.set()
    assert [answer.fields["Age"] for answer in await answers([first, second])] == ["20", "20"]
    fleet.clock.advance(29.0)
    assert (await two.way.ask(ITEM)).fields["Age"] == "49"
    assert fleet.calls == 1


@pytest.mark.parametrize(
    ("scripted", "status", "tokens"),
    [
        ({"status": 500}, 502, 0),
        ({"status": 503, "fields": {"Retry-After": "7"}}, 503, 0),
        ({"status": 404}, 404, 1),
    ],
    ids=["failed", "not available", "not stored"],
)
async def test_what_cannot_be_stored_is_shared_by_those_who_wait(
    fleet: Fleet, scripted: dict[str, Any], status: int, tokens: int
) -> None:
    nodes = await three(fleet)
    gate = asyncio.Event()
    fleet.upstream.then(b"{}", before=(gate,), **scripted)
    asking = [node.way.asking(ITEM) for node in nodes]
    await fleet.waited_for(ITEM, 2)
    gate.set()
    got = await answers(asking)
    assert {answer.status for answer in got} == {status}
    assert {int(answer.fields["X-Tokens-Consumed"]) for answer in got} == {tokens}
    assert len({answer.fields.get("Retry-After") for answer in got}) == 1
    assert fleet.calls == 1
    await nodes[1].way.ask(ITEM)
    assert fleet.calls == 2


async def test_a_private_answer_stops_collapsing_on_every_node_when_its_head_comes(fleet: Fleet) -> None:
    nodes = await three(fleet)
    head, rest = asyncio.Event(), asyncio.Event()
    fleet.upstream.always.fields = {"Cache-Control": "no-store"}
    fleet.upstream.then(rest, b"mine", before=(head,), fields={"Cache-Control": "no-store"})
    first = nodes[0].way.asking(ITEM)
    await fleet.upstream.arrived()
    others = [node.way.asking(ITEM) for node in nodes[1:]]
    await fleet.waited_for(ITEM, 2)
    head.set()
    assert {answer.body for answer in await answers(others)} == {b'{"call":1}'}
    assert (fleet.calls, first.done()) == (3, False)
    await asyncio.gather(*[node.way.ask(ITEM) for node in nodes for _ in range(2)])
    assert fleet.calls == 9
    rest.set()
    assert (await first).body == b"mine"


async def test_who_is_answered_by_language_is_not_given_anothers(fleet: Fleet) -> None:
    one, two = await fleet.join(ROUTE), await fleet.join(ROUTE)
    gate = asyncio.Event()
    for word in (b"salut", b"hello"):
        before = (gate,) if word == b"salut" else ()
        fleet.upstream.then(word, before=before, fields={"Vary": "Accept-Language"})
    first = one.way.asking(ITEM, fields={"Accept-Language": "fr"})
    await fleet.upstream.arrived()
    second = two.way.asking(ITEM, fields={"Accept-Language": "en"})
    await fleet.waited_for(ITEM, 1)
    gate.set()
    assert [answer.body for answer in await answers([first, second])] == [b"salut", b"hello"]
    assert fleet.calls == 2


async def test_a_leader_that_vanishes_is_replaced_by_one_follower(fleet: Fleet) -> None:
    """It comes back with its answer: that is its own callers' and fresh, and nobody else gets or finds it."""
    one, two, other = await fleet.join(ROUTE, lease=0.5), await fleet.join(ROUTE), await fleet.join(ROUTE)
    late, gate = asyncio.Event(), asyncio.Event()
    fleet.upstream.then(b"late", before=(late,), fields=JSON)
    fleet.upstream.then(b"in time", before=(gate,), fields=JSON)
    deposed = one.way.asking(ITEM)
    await fleet.upstream.arrived()
    asking = [node.way.asking(ITEM) for node in (two, other) for _ in range(5)]
    await one.vanish()
    await fleet.upstream.arrived(2)
    late.set()
    assert (await deposed).body == b"late"
    await one.idle()
    assert (one.shared.saved, one.way.cache.stored_responses) == (0, 0)
    gate.set()
    assert {answer.body for answer in await answers(asking)} == {b"in time"}
    assert fleet.calls == 2
    await two.idle()
    await other.idle()
    assert (await (await fleet.join(ROUTE)).way.ask(ITEM)).body == b"in time"
    assert fleet.calls == 2


async def test_a_follower_waits_no_longer_than_its_own_fetch_might_take(fleet: Fleet) -> None:
    one, two = await fleet.join(ROUTE), await fleet.join(ROUTE, total_timeout=0.2)
    gate = asyncio.Event()
    fleet.upstream.then(b"{}", before=(gate,), fields=JSON)
    first = one.way.asking(ITEM)
    await fleet.upstream.arrived()
    assert (await two.way.ask(ITEM)).status == 504
    gate.set()
    assert (await first).status == 200
    assert fleet.calls == 1


async def test_who_has_waited_for_the_dead_has_so_much_less_time(fleet: Fleet) -> None:
    one, two = await fleet.join(ROUTE, lease=0.5), await fleet.join(ROUTE, total_timeout=60.0)
    never = asyncio.Event()
    fleet.upstream.then(b"{}", before=(never,), fields=JSON)
    fleet.upstream.then(b"{}", before=(never,), fields=JSON)
    first = one.way.asking(ITEM)
    await fleet.upstream.arrived()
    second = two.way.asking(ITEM)
    await fleet.waited_for(ITEM, 1)
    fleet.clock.advance(60.0)
    await one.vanish()
    assert (await second).status == 504
    never.set()
    await first


@pytest.mark.parametrize(("target", "rank"), [(ITEM, 0), (FORCED, 2)], ids=["miss", "refresh"])
async def test_long_content_comes_from_the_shared_tier(fleet: Fleet, target: str, rank: int) -> None:
    one, two = await fleet.join(ROUTE), await fleet.join(ROUTE)
    gate = asyncio.Event()
    fleet.upstream.then(b"x" * 500_000, before=(gate,), fields=JSON)
    asking = [one.way.asking(target)]
    await fleet.upstream.arrived()
    asking.append(two.way.asking(target))
    await fleet.waited_for(ITEM, 1, rank)
    gate.set()
    assert [len(answer.body) for answer in await answers(asking)] == [500_000] * 2
    assert fleet.calls == 1


async def test_what_another_version_wrote_is_waited_for_by_nobody(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def written(*_: object) -> Landing:
        return Landing(b"\0\0\0\4next", b"")

    one, two = await fleet.join(ROUTE), await fleet.join(ROUTE)
    monkeypatch.setattr("gateway.fetch.landing", written)
    gate = asyncio.Event()
    fleet.upstream.then(b"{}", before=(gate,), fields=JSON)
    first = one.way.asking(ITEM)
    await fleet.upstream.arrived()
    second = two.way.asking(ITEM)
    await fleet.waited_for(ITEM, 1)
    gate.set()
    assert [answer.status for answer in await answers([first, second])] == [200, 200]
    assert fleet.calls == 2


async def test_a_bug_in_asking_is_told_to_callers_and_logged(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(*_: object) -> None:
        raise ZeroDivisionError

    node = await fleet.join(ROUTE)
    monkeypatch.setattr(node.leases, "ask", ask)
    with capture_logs() as logged:
        assert (await node.way.ask(ITEM)).status == 500
    assert "fetch failed" in [entry["event"] for entry in logged]
    assert fleet.calls == 0


async def test_a_bug_between_lease_and_fetch_is_in_no_other_nodes_way(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def renew(_: str) -> None:
        raise ZeroDivisionError

    one, two = await fleet.join(ROUTE), await fleet.join(ROUTE)
    monkeypatch.setattr(one.way.cache, "renew", renew)
    with capture_logs():
        assert (await one.way.ask(ITEM)).status == 500
    await one.idle()
    [got] = await answers([two.way.asking(ITEM)])
    assert (got.status, fleet.calls) == (200, 1)


async def test_where_redis_is_lost_each_node_calls_once(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        async with AsyncExitStack() as stack:
            fleet = Fleet(tmp_path, server.url, stack)
            nodes = await three(fleet)
            gate = asyncio.Event()
            for _ in nodes:
                fleet.upstream.then(b"{}", before=(gate,), fields=JSON)
            server.kill9()
            asking = [node.way.asking(ITEM) for node in nodes for _ in range(5)]
            await fleet.upstream.arrived(3)
            gate.set()
            assert {answer.status for answer in await answers(asking)} == {200}
            assert fleet.calls == 3


def test_there_is_a_lease_for_every_rank() -> None:
    assert len(Rank) == RANKS


async def test_what_is_outdated_while_it_is_waited_for_is_fetched_again(fleet: Fleet) -> None:
    one, two = await fleet.join(ROUTE), await fleet.join(ROUTE)
    gate = asyncio.Event()
    fleet.upstream.then(b"old", before=(gate,), fields=JSON)
    fleet.upstream.then(b"new", fields=JSON)
    first = one.way.asking(ITEM)
    await fleet.upstream.arrived()
    second = two.way.asking(ITEM)
    await fleet.waited_for(ITEM, 1)
    two.way.cache.invalidate(groups(two))
    await two.way.cache.told()
    third = two.way.asking(ITEM)
    await fleet.upstream.arrived(2)
    gate.set()
    assert [answer.body for answer in await answers([second, third])] == [b"new", b"new"]
    await one.hear()
    await first
    assert fleet.calls == 2


async def test_a_copy_that_is_outdated_everywhere_is_fetched_once(fleet: Fleet) -> None:
    """Whoever comes later finds what the first has stored for all, and it is a hit."""
    nodes = await three(fleet)
    for node in nodes:
        await node.way.ask(ITEM)
        await node.idle()
    assert fleet.calls == 1
    nodes[0].way.cache.invalidate(groups(nodes[0]))
    got = []
    await nodes[0].idle()
    for node in nodes:
        await node.hear()
        got.append(await node.way.ask(ITEM))
        await node.idle()
    assert fleet.calls == 2
    assert [answer.cache.hit for answer in got] == [False, True, True]
    assert not any(answer.cache.collapsed for answer in got), "nothing was under way"


async def test_a_refresh_within_the_cooldown_of_another_nodes_gets_its_copy(fleet: Fleet) -> None:
    """Also where an older copy is held."""
    route = seed_route(cache=ROUTE.cache, refresh=RefreshPolicy(query=REFRESH.query, cooldown=10.0))
    one, two = await fleet.join(route), await fleet.join(route)
    for node in (one, two):
        await node.way.ask(ITEM)
        await node.idle()
    fleet.upstream.then(b"new", fields=JSON)
    assert (await one.way.ask(FORCED)).tokens[0] == 4
    await one.idle()
    await two.hear()
    got = await two.way.ask(FORCED)
    assert (got.body, got.cache.detail, got.tokens[0]) == (b"new", "cooldown", 1)
    assert fleet.calls == 2


async def test_background_revalidations_are_one_call(fleet: Fleet) -> None:
    policy = Policy(ttl=60.0, stale_while_revalidate=60.0)
    route = seed_route(cache=CachePolicy(policy, max_body=1 << 20))
    one, two = await fleet.join(route), await fleet.join(route)
    for node in (one, two):
        await node.way.ask(ITEM)
        await node.idle()
    await one.way.cache.purge(Everything(), hard=False)
    await two.hear()
    gate = asyncio.Event()
    fleet.upstream.then(b"new", before=(gate,), fields=JSON)
    for node in (one, two):
        assert (await node.way.ask(ITEM)).body == b'{"call":1}'
    await fleet.waited_for(ITEM, 1)
    gate.set()
    for node in (one, two):
        await node.idle()
        assert (await node.way.ask(ITEM)).body == b"new"
    assert fleet.calls == 2
    assert sorted([one.way.house.charged, two.way.house.charged]) == [0, 1]


async def test_a_range_that_goes_on_is_each_nodes_own(fleet: Fleet) -> None:
    route = public_route("/v1/{rest:.*}", cache=CachePolicy(Policy(), max_body=1 << 20))
    one, two = await fleet.join(route), await fleet.join(route)
    part = {"Content-Range": "bytes 0-1/9", "Content-Length": "2"}
    gate = asyncio.Event()
    for _ in range(2):
        fleet.upstream.then(b"ab", status=206, before=(gate,), fields=part)
    asking = [node.way.asking(ITEM, fields={"Range": "bytes=0-1"}) for node in (one, two)]
    await fleet.upstream.arrived(2)
    gate.set()
    assert {answer.status for answer in await answers(asking)} == {206}


@pytest.mark.parametrize("heard", [True, False])
async def test_a_force_refresh_is_not_answered_from_before_what_was_outdated_when_it_came(
    fleet: Fleet, heard: bool
) -> None:
    """Whether the node has heard by then whose force refresh it waited for."""
    one, two = await fleet.join(ROUTE), await fleet.join(ROUTE)
    gate = asyncio.Event()
    fleet.upstream.then(b"old", before=(gate,), fields=JSON)
    fleet.upstream.then(b"new", fields=JSON)
    first = one.way.asking(FORCED)
    await fleet.upstream.arrived()
    two.way.cache.invalidate(groups(two))
    await two.way.cache.told()
    if heard:
        await one.hear()
    second, third = two.way.asking(FORCED), two.way.asking(FORCED)
    await fleet.waited_for(ITEM, 1, rank=Rank.forced)
    gate.set()
    got = await answers([second, third])
    assert [answer.body for answer in got] == [b"new", b"new"]
    assert {answer.tokens[0] for answer in got} == {4}
    await first
    assert fleet.calls == 2


async def test_before_a_force_refresh_is_answered_elsewhere_the_log_has_what_it_outdates(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing is stored: whoever has its answer may believe that nobody is served what was before."""
    route = seed_route(cache=CachePolicy(Policy(), max_body=1 << 20))
    one, two = await fleet.join(route), await fleet.join(route)
    gate, ways = asyncio.Event(), list[object]()
    connection = one.connection
    run = connection.run

    async def late(script: Script, keys: Any, arguments: Any) -> Any:
        for _ in range(10 if script.name == "turn" else 0):
            await connection.ask("PING")
        ways.append(arguments[1] if script.name == "lease_land" else script.name)
        return await run(script, keys, arguments)

    fleet.upstream.then(b"new", before=(gate,), fields=JSON)
    first = one.way.asking(FORCED)
    await fleet.upstream.arrived()
    second = two.way.asking(FORCED)
    await fleet.waited_for(ITEM, 1, rank=Rank.forced)
    monkeypatch.setattr(connection, "run", late)
    monkeypatch.setattr(connection, "start", partial(began, late))
    gate.set()
    assert [answer.body for answer in await answers([first, second])] == [b"new", b"new"]
    assert ways.index("turn") < ways.index("land")
