"""Behind: a second tier that is slow, failing or racing, as the cache uses it."""

import asyncio

import pytest
from stores.fetches import GROUPS, KEY, OTHER, StillClock, brought, deliver, fetch, refresh
from stores.gated import Gated, behind
from stores.samples import variant

from gateway.stores.behind import LOADS, SAVES


async def test_a_stored_response_is_found_after_a_restart(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache)
    await cache.close()
    later = behind(tier, clock)
    assert later.peek(KEY) == ()
    [found] = await later.load(KEY)
    assert later.peek(KEY) == (found,)
    assert later.has_second_tier


async def test_storing_does_not_wait_for_the_second_tier(tier: Gated, clock: StillClock) -> None:
    tier.before.clear()
    cache = behind(tier, clock)
    stored = fetch(cache)
    assert cache.peek(KEY) == (stored,)
    tier.before.set()
    await cache.close()
    assert len(await tier.load(KEY)) == 1


async def test_a_refresh_reaches_the_second_tier(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache, OTHER)
    refreshing = cache.begin(GROUPS)
    fetch(cache, OTHER + "&meanwhile")
    await cache.close()
    deliver(cache, refreshing)
    await cache.close()
    later = behind(tier, clock)
    assert await later.load(OTHER) == await later.load(OTHER + "&meanwhile") == ()
    assert [stored.forced for stored in await later.load(KEY)] == [True]


async def test_variants_older_than_the_refresh_are_outdated_in_the_second_tier_too(
    tier: Gated, clock: StillClock
) -> None:
    cache = behind(tier, clock)
    fetching = cache.begin(GROUPS)
    cache.store(fetching, brought(fetching, selecting=variant("de")))
    await cache.close()
    refresh(cache)
    await cache.close()
    assert [stored.selecting for stored in await behind(tier, clock).load(KEY)] == [()]


async def test_a_refresh_holds_for_loads_before_the_tier_knows(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache, OTHER)
    await cache.close()
    cache = behind(tier, clock)
    tier.before.clear()
    refresh(cache)
    loading = asyncio.create_task(cache.load(OTHER))
    await tier.held.wait()
    tier.before.set()
    assert await loading == ()
    await cache.close()


@pytest.mark.parametrize("told", [True, False], ids=["tier-told", "tier-not-told"])
async def test_a_load_that_a_refresh_overtakes_finds_nothing(tier: Gated, clock: StillClock, told: bool) -> None:
    cache = behind(tier, clock)
    fetch(cache, OTHER)
    await cache.close()
    cache = behind(tier, clock)
    tier.after.clear()
    loading = asyncio.create_task(cache.load(OTHER))
    await tier.held.wait()
    tier.broken = not told
    refresh(cache)
    await cache.close()
    tier.broken = False
    tier.after.set()
    assert await loading == ()
    await cache.close()


async def test_a_load_that_a_refresh_elsewhere_overtakes_reads_again(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache)
    await cache.close()
    cache = behind(tier, clock)
    tier.after.clear()
    loading = asyncio.create_task(cache.load(KEY))
    await tier.held.wait()
    refresh(cache, "elsewhere", ("elsewhere",))
    await cache.close()
    tier.after.set()
    assert len(await loading) == 1
    assert tier.calls["load"] == 2


async def test_a_load_that_is_always_overtaken_gives_up(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache)
    await cache.close()
    cache = behind(tier, clock)
    tier.after.clear()
    loading = asyncio.create_task(cache.load(KEY))
    for _ in range(LOADS):
        await tier.held.wait()
        tier.held.clear()
        refresh(cache, "elsewhere", ("elsewhere",))
        await cache.close()
        tier.after.set()
        tier.after.clear()
    assert await loading == ()
    assert tier.calls["load"] == LOADS


async def test_a_load_does_not_replace_what_was_stored_meanwhile(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache)
    await cache.close()
    cache = behind(tier, clock)
    tier.after.clear()
    loading = asyncio.create_task(cache.load(KEY))
    await tier.held.wait()
    stored = fetch(cache)
    tier.after.set()
    assert await loading == (stored,)
    await cache.close()


async def test_a_failing_tier_is_a_miss_and_costs_nothing_else(tier: Gated, clock: StillClock) -> None:
    tier.broken = True
    cache = behind(tier, clock)
    stored = fetch(cache)
    assert await cache.load(OTHER) == ()
    assert await cache.load(KEY) == (stored,)
    await cache.close()


async def test_a_refresh_that_the_tier_missed_holds_until_it_is_told(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache, OTHER)
    await cache.close()
    tier.broken = True
    cache = behind(tier, clock)
    refresh(cache)
    await cache.close()
    tier.broken = False
    assert len(await tier.load(OTHER)) == 1
    assert await cache.load(OTHER) == ()
    async with asyncio.timeout(10):
        await tier.told.wait()
    await cache.close()
    assert await tier.load(OTHER) == ()


async def test_each_refresh_is_told_once(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    for group in ("1", "2", "3"):
        refresh(cache, group, (group,))
    await cache.close()
    assert tier.calls["drop"] == 2 * 3  # what began before the refresh, and all but its key


async def test_a_group_refreshed_again_while_the_tier_is_told_is_told_again(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    tier.before.clear()
    refresh(cache)
    await tier.held.wait()
    await tier.tier.save(brought(cache.begin(GROUPS), OTHER))
    refresh(cache)
    tier.before.set()
    await cache.close()
    assert await behind(tier, clock).load(OTHER) == ()


async def test_saves_in_flight_are_bounded(tier: Gated, clock: StillClock) -> None:
    tier.before.clear()
    cache = behind(tier, clock)
    for number in range(SAVES + 10):
        fetch(cache, str(number))
    tier.before.set()
    await cache.close()
    assert (tier.calls["save"], cache.stored_responses) == (SAVES, SAVES + 10)
    fetch(cache, "later")
    await cache.close()
    assert tier.calls["save"] == SAVES + 1


async def test_refreshes_untold_are_bounded_and_beyond_nothing_older_is_taken(
    tier: Gated, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.behind.UNTOLD", 2)
    cache = behind(tier, clock)
    fetch(cache, OTHER)
    fetch(cache, "elsewhere", ("elsewhere",))
    await cache.close()
    tier.broken = True
    cache = behind(tier, clock)
    for group in ("1", "2", *GROUPS):
        cache.outdate(cache.begin((group,)), KEY)
    await cache.close()
    tier.broken = False
    assert await cache.load(OTHER) == await cache.load("elsewhere") == ()
    clock.now += 1
    neighbour = behind(tier, clock)
    fetch(neighbour, "newer", ("newer",))
    await neighbour.close()
    assert len(await cache.load("newer")) == 1
    await cache.close()


async def test_an_unsafe_method_reaches_the_second_tier_in_one_call(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache)
    refresh(cache, OTHER)
    await cache.close()
    tier.calls["drop"] = 0
    cache.invalidate(GROUPS)
    await cache.close()
    later = behind(tier, clock)
    assert await later.load(KEY) == await later.load(OTHER) == ()
    assert tier.calls["drop"] == 1


@pytest.mark.parametrize("unsafe", [False, True], ids=["refresh", "unsafe-method"])
async def test_a_mark_that_the_tier_has_lost_still_holds_where_memory_has_it(
    tier: Gated, clock: StillClock, unsafe: bool
) -> None:
    """What an unsafe method had outdated was loaded as merely outdated, so that stale-if-error could serve it."""
    cache = behind(tier, clock)
    slow = cache.begin(GROUPS)
    fetch(cache, OTHER)
    if unsafe:
        cache.invalidate(GROUPS)
    else:
        refresh(cache, "api /v1/held")
    await cache.close()
    await tier.tier._cache.clear()
    await tier.tier.save(brought(slow))
    assert [(stored.outdated, stored.invalid) for stored in await cache.load(KEY)] == [(True, unsafe)]


async def test_who_asks_for_a_key_that_is_being_loaded_waits_for_that(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache)
    await cache.close()
    cache = behind(tier, clock)
    found = await asyncio.gather(*(cache.load(KEY) for _ in range(10)))
    assert (len({id(variants) for variants in found}), tier.calls["load"]) == (1, 1)


async def test_who_waits_for_a_load_that_is_given_up_finds_nothing(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache)
    await cache.close()
    cache = behind(tier, clock)
    tier.before.clear()
    first, second = (asyncio.create_task(cache.load(KEY)) for _ in range(2))
    await tier.held.wait()
    first.cancel()
    assert await second == ()
    tier.before.set()
    assert len(await cache.load(KEY)) == 1


async def test_finding_is_loading_without_bringing_anything(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    stored = fetch(cache)
    await cache.close()
    assert await cache.find(KEY) == (stored,)
    later = behind(tier, clock)
    assert [found.began for found in await later.find(KEY)] == [stored.began]
    assert later.stored_responses == 0


async def test_what_no_walk_finds_is_outdated_where_it_is(tier: Gated, clock: StillClock) -> None:
    cache = behind(tier, clock)
    fetch(cache, OTHER)
    await cache.close()
    cache = behind(tier, clock)
    stored = fetch(cache)
    cache.outdate_behind(GROUPS)
    assert await cache.load(OTHER) == ()
    assert (cache.peek(KEY), stored.outdated) == ((stored,), False)
    await cache.close()


async def test_of_two_singled_out_in_one_place_the_later_began_counts(tier: Gated, clock: StillClock) -> None:
    """The tier was told of the earlier one alone, and the later one was found again."""
    cache = behind(tier, clock)
    early = fetch(cache)
    late = fetch(cache)
    await cache.close()
    cache = behind(tier, clock)
    for stored in (late, early):
        cache.outdate_one(stored)
    assert await cache.load(KEY) == ()
    await cache.close()
    assert await tier.tier.load(KEY) == ()
