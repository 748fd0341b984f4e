"""Cache: purges and surveys, whatever is stored, in flight, freshened, put out or purged meanwhile."""

import asyncio

import pytest
from stores.fetches import StillClock, brought, fetch
from stores.gated import Gated, behind

from gateway.admission.places import Place, Region
from gateway.cache import Cache
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.memory import MemoryTier
from gateway.stores.selection import Below, Everything, Exactly, Selection, Tagged
from gateway.stores.walking import KEYS

PATHS = ("/a", "/a?x", "/b")
SELECTIONS: dict[str, Selection] = {
    "url": Exactly((Place("api", "/a", "api\n*\n/a"),)),
    "tag": Tagged(("api\n*\n/a",)),
    "prefix": Below((Region("api", "/a"),)),
    "everything": Everything(),
}
ALL = Everything()


def key(target: str) -> str:
    return f"api\n\n{target}"


def groups(target: str) -> tuple[str, ...]:
    path = target.partition("?")[0]
    return (f"api\n\n{path}", f"api\n*\n{path}")


def kept(cache: Cache, target: str) -> StoredResponse:
    return fetch(cache, key(target), groups(target))


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def tier() -> Gated:
    return Gated()


@pytest.fixture
def cache(clock: StillClock) -> Cache:
    return Cache(MemoryTier(64 << 20), None, clock)


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize(
    ("name", "taken"), [("url", ["/a"]), ("tag", ["/a", "/a?x"]), ("prefix", ["/a", "/a?x"]), ("everything", [*PATHS])]
)
async def test_a_purge_takes_what_it_says(cache: Cache, name: str, taken: list[str], hard: bool) -> None:
    stored = {target: kept(cache, target) for target in PATHS}
    assert await cache.purge(SELECTIONS[name], hard=hard) == len(taken)
    assert [target for target, one in stored.items() if one.is_purged] == taken
    assert cache.stored_responses == (len(PATHS) - len(taken) if hard else len(PATHS))
    assert [bool(cache.peek(key(target))) for target in PATHS] == [not hard or target not in taken for target in PATHS]


async def test_a_purge_of_what_nothing_belongs_to_walks_nowhere(cache: Cache) -> None:
    kept(cache, "/b")
    assert await cache.purge(SELECTIONS["url"], hard=True) == 0
    assert cache.stored_responses == 1


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
async def test_what_is_in_flight_is_overtaken_at_once(cache: Cache, selection: Selection) -> None:
    before, other = cache.begin(groups("/a")), cache.begin(groups("/b"))
    purging = asyncio.ensure_future(cache.purge(selection, hard=False))
    await asyncio.sleep(0)
    after = cache.begin(groups("/a"))
    assert [one.outdated for one in (before, other, after)] == [True, selection == ALL, False]
    assert not cache.store(before, brought(before, key("/a")))
    assert cache.store(after, brought(after, key("/a")))
    await purging
    assert not cache.peek(key("/a"))[0].is_purged


async def test_a_tag_that_the_response_names_only_when_it_comes_is_purged_too(cache: Cache) -> None:
    fetching = cache.begin(groups("/a"))
    await cache.purge(Tagged(("api\n*\nlate",)), hard=False)
    assert not cache.store(fetching, brought(fetching, key("/a"), named=("api\n*\nlate",)))


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
async def test_whoever_reads_meets_it_before_the_walk_has_come(cache: Cache, hard: bool) -> None:
    for number in range(5 * KEYS):
        kept(cache, f"/{number}")
    purging = asyncio.ensure_future(cache.purge(ALL, hard=hard))
    await asyncio.sleep(0)
    assert [one.is_purged for one in cache.peek(key("/0"))] == ([] if hard else [True])
    assert await purging == 5 * KEYS


async def test_what_is_stored_during_the_walk_stays_fresh_and_what_goes_is_not_missed(cache: Cache) -> None:
    stored = [kept(cache, f"/{number}") for number in range(5 * KEYS)]
    purging = asyncio.ensure_future(cache.purge(ALL, hard=True))
    new: list[StoredResponse] = []
    while not purging.done():
        await asyncio.sleep(0)
        new.append(kept(cache, f"/new/{len(new)}"))
        cache.forget(stored[len(new) * 7])
    await purging
    assert cache.stored_responses == len(new)
    assert not any(one.is_purged for one in new)
    for one in new:
        cache.forget(one)
    assert (cache.stored_bytes, cache.stored_responses) == (0, 0)


async def test_a_walk_is_no_use_of_what_it_reads() -> None:
    cache = Cache(MemoryTier(20_000), None, StillClock())
    for number in range(10):
        kept(cache, f"/{number}")
    cache.peek(key("/0"))
    await cache.purge(ALL, hard=False)
    cache.look(key("/1"))
    while cache.peek(key("/0")):
        evicted = cache.evictions
        kept(cache, f"/more/{cache.stored_responses}/{evicted}")
        if cache.evictions > evicted:
            break
    assert not cache.look(key("/1"))
    assert cache.look(key("/0"))
    assert cache.look("nothing") == ()


async def test_one_variant_goes_and_the_others_stay_in_their_place(cache: Cache) -> None:
    old = kept(cache, "/a")
    fetching = cache.begin(groups("/a"))
    tagged = brought(fetching, key("/a"), named=("api\n*\nt",), selecting=(("accept", "x"),))
    assert cache.store(fetching, tagged)
    assert await cache.purge(Tagged(("api\n*\nt",)), hard=True) == 1
    assert cache.peek(key("/a")) == (old,)
    cache.forget(old)
    assert cache.stored_bytes == 0


async def test_a_validation_that_began_before_brings_back_nothing_and_one_after_does(cache: Cache) -> None:
    stored = kept(cache, "/a")
    before = cache.begin(groups("/a"))
    await cache.purge(ALL, hard=False)
    assert not cache.store(before, stored.replaced(began=before.began))
    after = cache.begin(groups("/a"))
    freshened = stored.replaced(began=after.began)
    assert stored.is_purged
    assert not cache.is_replaced(stored)
    assert cache.store(after, freshened)
    assert not freshened.is_purged


async def test_a_forced_refresh_in_flight_is_not_kept_and_still_outdates(cache: Cache) -> None:
    other = kept(cache, "/a?x")
    refreshing = cache.begin(groups("/a"))
    await cache.purge(ALL, hard=False)
    assert not cache.store(refreshing, brought(refreshing, key("/a"), forced=True))
    cache.outdate(refreshing, key("/a"))
    assert cache.peek(key("/a?x")) == (other,)
    assert other.outdated


async def test_two_at_once_each_count_their_own_and_share_the_walks(cache: Cache) -> None:
    for target in PATHS:
        kept(cache, target)
    counts = await asyncio.gather(*(cache.purge(SELECTIONS[name], hard=False) for name in ("url", "everything")))
    assert counts == [1, 3]
    assert await cache.purge(ALL, hard=True) == 3


async def test_a_purge_goes_on_where_its_caller_is_cancelled(cache: Cache) -> None:
    for number in range(5 * KEYS):
        kept(cache, f"/{number}")
    purging = asyncio.ensure_future(cache.purge(ALL, hard=True))
    await asyncio.sleep(0)
    purging.cancel()
    await cache.close()
    assert (cache.stored_responses, cache.stored_bytes) == (0, 0)


async def test_large_bodies_are_freed_in_more_steps(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    monkeypatch.setattr("gateway.stores.walking.FREED", 1)
    for target in PATHS:
        kept(cache, target)
    purging = asyncio.ensure_future(cache.purge(ALL, hard=True))
    left = []
    while not purging.done():
        await asyncio.sleep(0)
        left.append(cache.stored_responses)
    assert sorted(set(left), reverse=True) == [3, 2, 1, 0]


@pytest.mark.parametrize("most", [1, 7, 1000])
async def test_the_pages_of_a_survey_hold_each_stored_response(cache: Cache, most: int) -> None:
    stored = {id(kept(cache, f"/{number}")) for number in range(2 * KEYS)}
    fetching = cache.begin(())
    for number in range(5):
        one = brought(fetching, key("/0"), selecting=(("accept", str(number)),))
        cache.store(fetching, one)
        stored.add(id(one))
    found, after = await cache.survey(ALL, "", most)
    while after is not None:
        page, after = await cache.survey(ALL, after, most)
        assert 0 < len(page) <= most
        found += page
    assert sorted(map(id, found)) == sorted(stored)


async def test_a_survey_goes_on_when_most_has_gone_meanwhile(cache: Cache) -> None:
    stored = [kept(cache, f"/{number}") for number in range(50)]
    page, after = await cache.survey(ALL, "", 10)
    for one in stored[5:]:
        cache.forget(one)
    rest, none = await cache.survey(ALL, after or "", 10)
    assert sorted(one.key for one in stored[:5]) == sorted(one.key for one in {*page, *rest} & {*stored[:5]})
    assert (len({*page} & {*rest}), none) == (0, None)


async def test_a_survey_tells_what_is_selected_and_purged(cache: Cache) -> None:
    for target in PATHS:
        kept(cache, target)
    await cache.purge(SELECTIONS["url"], hard=False)
    found, after = await cache.survey(SELECTIONS["prefix"], "", 10)
    assert sorted((one.key, one.is_purged) for one in found) == [(key("/a"), True), (key("/a?x"), False)]
    assert after is None


@pytest.mark.parametrize("after", ["x", "1", "1.0", "1.0.x", "-1.0.0", "1.0.²", "9" * 21 + ".0.0", "0.0.0.0"])
async def test_an_after_that_no_page_gave_is_refused(cache: Cache, after: str) -> None:
    with pytest.raises(ValueError, match="page"):
        await cache.survey(ALL, after, 1)


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("name", SELECTIONS)
async def test_a_purge_holds_in_the_second_tier_also_after_a_restart(
    tier: Gated, clock: StillClock, name: str, hard: bool
) -> None:
    cache = behind(tier, clock)
    kept(cache, "/a")
    await cache.close()
    clock.now += 1
    assert await behind(tier, clock).purge(SELECTIONS[name], hard=hard) == 0
    found = await behind(tier, clock).load(key("/a"))
    assert all(one.is_purged for one in found)
    assert len(found) == (name in ("prefix", "everything") and not hard)


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("name", SELECTIONS)
async def test_a_purge_that_the_tier_missed_holds_until_it_is_told(
    tier: Gated, clock: StillClock, name: str, hard: bool
) -> None:
    cache = behind(tier, clock)
    kept(cache, "/a")
    await cache.close()
    clock.now += 1
    cache = behind(tier, clock)
    tier.broken = True
    await cache.purge(SELECTIONS[name], hard=hard)
    await cache.close()
    tier.broken = False
    assert all(one.is_purged for one in await cache.load(key("/a")))
    await cache.close()
    assert all(one.is_purged for one in await behind(tier, clock).load(key("/a")))


async def test_a_load_that_a_purge_overtakes_finds_nothing_fresh(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    kept(cache, "/a")
    await cache.close()
    clock.now += 1
    cache = behind(tier, clock)
    tier.after.clear()
    loading = asyncio.create_task(cache.load(key("/a")))
    await tier.held.wait()
    await cache.purge(ALL, hard=False)
    tier.after.set()
    assert [one.is_purged for one in await loading] == [True]
    await cache.close()


async def test_many_purges_of_what_no_groups_tell_ask_no_more_in_one_turn(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5 * KEYS):
        kept(cache, f"/{number}")
    asked, takes = [0], Below.takes

    def counted(below: Below, stored: StoredResponse) -> bool:
        asked[-1] += 1
        return takes(below, stored)

    monkeypatch.setattr(Below, "takes", counted)
    below = [Below((Region("api", f"/{number}"),)) for number in range(200)]
    purging = asyncio.gather(*[cache.purge(one, hard=False) for one in below])
    while not purging.done():
        await asyncio.sleep(0)
        asked.append(0)
    assert len(await purging) == 200
    assert 0 < max(asked) <= 1000
