"""The walk over everything: all that is there all the while, of no use to it, and a tenth of the loop at most."""

import asyncio

import pytest
from stores.fetches import StillClock, brought, fetch

from gateway.cache import Cache
from gateway.stores.memory import MemoryTier
from gateway.stores.walking import KEYS


class WorkedClock(StillClock):
    """Time that passes by what is done with the stored responses."""

    def work(self, seconds: float) -> None:
        self.now += seconds


def key(number: int) -> str:
    return f"api\n\n/{number}"


@pytest.fixture
def clock() -> WorkedClock:
    return WorkedClock()


@pytest.fixture
def tier() -> MemoryTier:
    return MemoryTier(64 << 20)


@pytest.fixture
def cache(clock: WorkedClock, tier: MemoryTier) -> Cache:
    return Cache(tier, None, clock)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each pause of a walk was to be; none takes any time."""
    found: list[float] = []
    sleep = asyncio.sleep

    async def passed(seconds: float) -> None:
        found.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", passed)
    return found


async def test_the_variants_of_each_key_are_met_together_and_once(cache: Cache) -> None:
    for number in range(3 * KEYS):
        fetch(cache, key(number))
    fetching = cache.begin(())
    cache.store(fetching, brought(fetching, key(1), selecting=(("accept", "x"),)))
    met = [variants async for variants in cache.everything()]
    assert sorted([variants[0].key for variants in met]) == sorted(map(key, range(3 * KEYS)))
    assert sum(map(len, met)) == 3 * KEYS + 1 == cache.stored_responses


async def test_what_has_gone_meanwhile_is_not_met(cache: Cache) -> None:
    stored = {number: fetch(cache, key(number)) for number in range(KEYS)}
    met = []
    async for variants in cache.everything():
        met.append(variants[0].key)
        for one in stored.values():
            cache.forget(one)
    assert len(met) == 1


async def test_it_pauses_nine_times_as_long_as_it_took_with_what_was_done(
    cache: Cache, clock: WorkedClock, pauses: list[float]
) -> None:
    for number in range(KEYS):
        fetch(cache, key(number))
    async for _ in cache.everything():
        clock.work(0.00075)
    assert len(pauses) == KEYS // 2 + 1
    assert pauses == [pytest.approx(0.0135)] * (KEYS // 2) + [0.001]


async def test_it_pauses_after_so_many_keys_however_fast(cache: Cache, pauses: list[float]) -> None:
    for number in range(3 * KEYS):
        fetch(cache, key(number))
    assert len([variants async for variants in cache.everything()]) == 3 * KEYS
    assert pauses == [0.001] * 3


async def test_looking_is_no_use(cache: Cache, tier: MemoryTier) -> None:
    for number in range(3):
        fetch(cache, key(number))
    cache.peek(key(0))
    before = [list(shard) for shard in tier._table.shards]
    assert len([variants async for variants in cache.everything()]) == 3
    assert [list(shard) for shard in tier._table.shards] == before
