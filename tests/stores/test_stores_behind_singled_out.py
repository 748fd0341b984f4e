"""Behind: one stored response that is outdated or forgotten alone, as a second tier learns of it and before."""

import asyncio
from collections.abc import Callable

import pytest
from stores.fetches import GROUPS, KEY, OTHER, StillClock, brought, fetch
from stores.gated import Gated, behind
from stores.samples import variant

from gateway.cache import Cache
from gateway.rfc9111.stored import StoredResponse

Singling = Callable[[Cache, StoredResponse], None]


@pytest.fixture(params=[Cache.forget, Cache.outdate_one], ids=["forgotten", "outdated"])
def single_out(request: pytest.FixtureRequest) -> Singling:
    """The two ways to be rid of one stored response alone."""
    single: Singling = request.param
    return single


async def loaded(tier: Gated, clock: StillClock) -> tuple[Cache, StoredResponse]:
    """A cache whose memory has what another process stored, and that alone."""
    cache = behind(tier, clock)
    fetch(cache)
    await cache.close()
    cache = behind(tier, clock)
    [stored] = await cache.load(KEY)
    return cache, stored


async def test_what_is_singled_out_leaves_the_second_tier_and_the_rest_stays(
    tier: Gated, clock: StillClock, single_out: Singling
) -> None:
    cache, stored = await loaded(tier, clock)
    fetching = cache.begin(GROUPS)
    cache.store(fetching, brought(fetching, selecting=variant("de")))
    fetch(cache, OTHER)
    single_out(cache, stored)
    await cache.close()
    later = behind(tier, clock)
    assert [found.selecting for found in await later.load(KEY)] == [variant("de")]
    assert len(await later.load(OTHER)) == 1


async def test_what_is_singled_out_while_it_is_saved_is_not_found(
    tier: Gated, clock: StillClock, single_out: Singling
) -> None:
    tier.before.clear()
    cache = behind(tier, clock)
    stored = fetch(cache)
    await tier.held.wait()
    single_out(cache, stored)
    tier.before.set()
    await cache.close()
    assert await behind(tier, clock).load(KEY) == ()


async def test_what_is_singled_out_is_not_loaded_before_the_tier_knows(
    tier: Gated, clock: StillClock, single_out: Singling
) -> None:
    cache, stored = await loaded(tier, clock)
    cache = behind(tier, clock)
    tier.broken = True
    single_out(cache, stored)
    await cache.close()
    tier.broken = False
    assert len(await tier.load(KEY)) == 1
    assert await cache.load(KEY) == ()
    await cache.close()
    assert await tier.load(KEY) == ()


@pytest.mark.parametrize("told", [True, False], ids=["tier-told", "tier-not-told"])
async def test_a_load_that_a_singling_out_overtakes_finds_nothing(
    tier: Gated, clock: StillClock, single_out: Singling, told: bool
) -> None:
    cache, stored = await loaded(tier, clock)
    cache = behind(tier, clock)
    tier.after.clear()
    loading = asyncio.create_task(cache.load(KEY))
    await tier.held.wait()
    tier.broken = not told
    single_out(cache, stored)
    await cache.close()
    tier.broken = False
    tier.after.set()
    assert await loading == ()
    await cache.close()


async def test_what_came_after_one_singled_out_is_loaded(tier: Gated, clock: StillClock, single_out: Singling) -> None:
    cache, stored = await loaded(tier, clock)
    clock.now += 1
    await tier.tier.save(brought(cache.begin(GROUPS)))
    cache = behind(tier, clock)
    tier.broken = True
    single_out(cache, stored)
    await cache.close()
    tier.broken = False
    [found] = await cache.load(KEY)
    assert (found.outdated, found.began > stored.began) == (False, True)
    await cache.close()


async def test_one_singled_out_again_while_the_tier_is_told_is_told_again(
    tier: Gated, clock: StillClock, single_out: Singling
) -> None:
    cache, stored = await loaded(tier, clock)
    tier.before.clear()
    single_out(cache, stored)
    await tier.held.wait()
    clock.now += 1
    newer = brought(cache.begin(GROUPS))
    await tier.tier.save(newer)
    single_out(cache, newer)
    tier.before.set()
    await cache.close()
    assert await tier.load(KEY) == ()


async def test_those_singled_out_untold_are_bounded_and_beyond_nothing_older_is_taken(
    tier: Gated, clock: StillClock, single_out: Singling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.behind.UNTOLD", 1)
    cache, stored = await loaded(tier, clock)
    other = fetch(cache, OTHER)
    fetch(cache, "elsewhere", ("elsewhere",))
    await cache.close()
    cache = behind(tier, clock)
    tier.broken = True
    clock.now += 1
    for one in (stored, stored, other):
        single_out(cache, one)
    await cache.close()
    tier.broken = False
    assert await cache.load(OTHER) == await cache.load("elsewhere") == ()
    await cache.close()
