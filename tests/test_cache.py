"""Cache: what a refresh outdates, stored or in flight, and a second tier that is slow, failing or racing."""

import asyncio

import pytest
from aiocache import SimpleMemoryCache
from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample, variant

from gateway.cache import LOADS, SAVES, Cache, Fetching
from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse
from gateway.stores import TierUnavailable
from gateway.stores.memory import MemoryTier
from gateway.stores.second import AiocacheTier

KEY = "api /v1/products/1"
OTHER = "api /v1/products/1?include_offers=true"
GROUPS = ("everyone api /v1/products/1",)


class StillClock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def steady(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Gated:
    """A second tier whose calls can be held, before it acts or (loads only) after it has read, and made to fail."""

    def __init__(self) -> None:
        self.tier = AiocacheTier(SimpleMemoryCache(), expire_after=None)
        self.before, self.after, self.held, self.told = (asyncio.Event() for _ in range(4))
        self.before.set()
        self.after.set()
        self.broken = False
        self.calls = {"load": 0, "save": 0, "drop": 0}

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        await self._enter("load")
        found = await self.tier.load(key)
        await self._pass(self.after)
        return found

    async def save(self, stored: StoredResponse) -> None:
        await self._enter("save")
        await self.tier.save(stored)

    async def drop(self, groups: tuple[str, ...], before: float, keep: str | None) -> None:
        await self._enter("drop")
        await self.tier.drop(groups, before, keep)
        self.told.set()

    async def _enter(self, call: str) -> None:
        self.calls[call] += 1
        await self._pass(self.before)
        if self.broken:
            raise TierUnavailable("broken")

    async def _pass(self, gate: asyncio.Event) -> None:
        if not gate.is_set():
            self.held.set()
        await gate.wait()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def cache(clock: StillClock) -> Cache:
    return Cache(MemoryTier(1 << 20), None, clock)


@pytest.fixture
async def tier() -> Gated:
    return Gated()


def behind(tier: Gated, clock: StillClock) -> Cache:
    """A cache with nothing in memory, as after a restart."""
    return Cache(MemoryTier(100 << 20), tier, clock)


def brought(
    fetching: Fetching, key: str = KEY, *, forced: bool = False, selecting: tuple[tuple[str, str], ...] = ()
) -> StoredResponse:
    """What `fetching` got from the upstream."""
    return sample(key, began=fetching.began, groups=fetching.groups, forced=forced, selecting=selecting)


def fetch(cache: Cache, key: str = KEY, groups: tuple[str, ...] = GROUPS) -> StoredResponse:
    """A fetch from begin to end."""
    fetching = cache.begin(groups)
    stored = brought(fetching, key)
    assert cache.store(fetching, stored)
    cache.end(fetching)
    return stored


def deliver(cache: Cache, fetching: Fetching, key: str = KEY) -> StoredResponse:
    """The rest of a force refresh that has begun."""
    stored = brought(fetching, key, forced=True)
    assert cache.store(fetching, stored)
    cache.outdate(fetching, key)
    cache.end(fetching)
    return stored


def refresh(cache: Cache, key: str = KEY, groups: tuple[str, ...] = GROUPS) -> StoredResponse:
    return deliver(cache, cache.begin(groups), key)


# In memory


def test_what_is_stored_is_found(cache: Cache) -> None:
    assert cache.peek(KEY) == ()
    stored = fetch(cache)
    assert cache.peek(KEY) == (stored,)
    assert not cache.has_second_tier


async def test_without_a_second_tier_load_is_peek(cache: Cache) -> None:
    stored = fetch(cache)
    assert await cache.load(KEY) == (stored,)
    await cache.close()


def test_a_fetch_begins_when_the_clock_says_and_never_together_with_another(cache: Cache, clock: StillClock) -> None:
    first, second = cache.begin(GROUPS), cache.begin(GROUPS)
    clock.now = 1007.0
    assert first.began == 1000.0 < second.began < cache.begin(GROUPS).began == 1007.0


def test_a_refresh_outdates_its_group_and_stays_itself(cache: Cache) -> None:
    old, other, elsewhere = fetch(cache), fetch(cache, OTHER), fetch(cache, "api /v1/else", ("else",))
    fresh = refresh(cache)
    assert cache.peek(KEY) == (fresh,)
    assert [stored.outdated for stored in (old, fresh, other, elsewhere)] == [False, False, True, False]


def test_the_outdated_stay_for_when_the_upstream_fails(cache: Cache) -> None:
    other = fetch(cache, OTHER)
    refresh(cache)
    assert cache.peek(OTHER) == (other,)


def test_other_variants_that_began_before_are_outdated(cache: Cache) -> None:
    fetching = cache.begin(GROUPS)
    german = brought(fetching, selecting=variant("de"))
    cache.store(fetching, german)
    refreshing, later = cache.begin(GROUPS), cache.begin(GROUPS)
    french = brought(later, selecting=variant("fr"))
    cache.store(later, french)
    deliver(cache, refreshing)
    assert (german.outdated, french.outdated) == (True, False)


def test_a_fetch_that_began_before_a_refresh_and_ends_after_it_is_not_stored(cache: Cache) -> None:
    slow = {key: cache.begin(GROUPS) for key in (KEY, OTHER)}
    fresh = refresh(cache)
    assert all(fetching.outdated for fetching in slow.values())
    assert not any(cache.store(fetching, brought(fetching, key)) for key, fetching in slow.items())
    assert (cache.peek(KEY), cache.peek(OTHER)) == ((fresh,), ())


def test_a_fetch_that_began_after_the_refresh_began_is_stored(cache: Cache) -> None:
    refreshing, fetching = cache.begin(GROUPS), cache.begin(GROUPS)
    deliver(cache, refreshing)
    stored = brought(fetching, OTHER)
    assert cache.store(fetching, stored)
    assert not stored.outdated


def test_what_was_stored_under_another_key_while_the_refresh_ran_is_outdated(cache: Cache) -> None:
    refreshing = cache.begin(GROUPS)
    other = fetch(cache, OTHER)
    deliver(cache, refreshing)
    assert other.outdated


def test_of_two_refreshes_that_cross_the_one_that_began_later_stays(cache: Cache) -> None:
    first, second = cache.begin(GROUPS), cache.begin(GROUPS)
    later = deliver(cache, second, OTHER)
    assert not cache.store(first, brought(first, forced=True))
    cache.outdate(first, KEY)
    assert not later.outdated


def test_a_refresh_that_brought_nothing_to_store_still_outdates(cache: Cache) -> None:
    old = fetch(cache)
    refreshing = cache.begin(GROUPS)
    cache.outdate(refreshing, KEY)
    assert old.outdated


def test_a_failed_refresh_outdates_nothing(cache: Cache) -> None:
    stored, slow = fetch(cache), cache.begin(GROUPS)
    refreshing = cache.begin(GROUPS)
    cache.end(refreshing)
    assert not stored.outdated
    assert cache.store(slow, brought(slow, OTHER))


def test_an_older_response_does_not_replace_a_newer_one(cache: Cache) -> None:
    slow = cache.begin(GROUPS)
    newer = fetch(cache)
    assert not cache.store(slow, brought(slow))
    assert cache.peek(KEY) == (newer,)


def test_tags_reach_over_keys_and_each_tag_by_itself(cache: Cache) -> None:
    both = fetch(cache, "1", ("everyone tag:shop", "everyone tag:brand"))
    shop = fetch(cache, "2", ("everyone tag:shop",))
    brand = fetch(cache, "3", ("everyone tag:brand",))
    refresh(cache, "4", ("everyone tag:shop",))
    assert [both.outdated, shop.outdated, brand.outdated] == [True, True, False]


def test_share_scopes_are_groups_apart(cache: Cache) -> None:
    acme = fetch(cache, "acme /v1/products/1", ("acme /v1/products/1",))
    refresh(cache, "else /v1/products/1", ("else /v1/products/1",))
    assert not acme.outdated


def test_an_ended_fetch_is_told_nothing_and_stores_nothing(cache: Cache) -> None:
    fetching = cache.begin(GROUPS)
    for _ in range(2):
        cache.end(fetching)
    assert cache._in_flight == {}
    refresh(cache)
    assert not fetching.outdated
    assert not cache.store(fetching, brought(fetching, OTHER))


def test_a_group_named_twice_is_one_group(cache: Cache) -> None:
    twice = cache.begin(GROUPS * 2)
    cache.store(twice, brought(twice, OTHER))
    cache.end(twice)
    refresh(cache)
    assert cache.peek(OTHER)[0].outdated


def test_the_counts_follow_puts_evictions_and_refusals(clock: StillClock) -> None:
    memory = MemoryTier(4000)
    cache = Cache(memory, None, clock)
    for number in range(10):
        fetch(cache, str(number))
    fetching = cache.begin(GROUPS)
    assert not cache.store(fetching, sample(body=bytes(4000)))
    assert 0 < cache.stored_responses < 10
    assert cache.stored_responses + cache.evictions == 10
    assert 0 < cache.stored_bytes == memory.bytes <= 4000


def test_an_attached_splice_counts(cache: Cache) -> None:
    stored = fetch(cache)
    before = cache.stored_bytes
    cache.attach(stored, Splice(bytes(1000), comma=True, packed=b"", crc=0))
    assert cache.stored_bytes > before + 1000
    assert stored.splice is not None


EVENTS = st.lists(st.tuples(st.sampled_from(["begin", "store", "refresh", "end"]), st.integers(0, 3)), max_size=40)


@given(EVENTS)
def test_nothing_fetched_before_a_delivered_refresh_is_ever_fresh(events: list[tuple[str, int]]) -> None:
    cache = Cache(MemoryTier(1 << 20), None, StillClock())
    flying: list[tuple[Fetching, str]] = []
    bound = 0.0
    for event, number in events:
        if event == "begin" or not flying:
            flying.append((cache.begin(GROUPS), str(number % 2)))
            continue
        fetching, key = flying[number % len(flying)]
        if event == "end":
            cache.end(fetching)
            flying.remove((fetching, key))
            continue
        cache.store(fetching, brought(fetching, key, forced=event == "refresh"))
        if event == "refresh":
            cache.outdate(fetching, key)
            bound = max(bound, fetching.began)
        fresh = [stored for key in "01" for stored in cache.peek(key) if not stored.outdated]
        assert all(stored.began >= bound for stored in fresh)


# With a second tier


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
    monkeypatch.setattr("gateway.cache.MARKS", 2)
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
