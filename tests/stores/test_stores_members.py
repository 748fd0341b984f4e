"""The walk for members: whatever is stored, comes, goes or moves meanwhile, and of no use to what it looks at."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest
from stores.fetches import StillClock, brought, fetch
from stores.gated import Gated, behind

from gateway.cache import Cache
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.memory import MemoryTier
from gateway.stores.selection import Everything
from gateway.stores.walking import KEYS


def key(number: int) -> str:
    return f"api\n\n/{number}"


def kept(cache: Cache, number: int, *tags: str) -> StoredResponse:
    return fetch(cache, key(number), (f"api\n*\n/{number}", *[f"api\n*\n{tag}" for tag in tags]))


def asked(**tags: str) -> dict[str, str]:
    return {f"api\n*\n{tag}": what for tag, what in tags.items()}


async def met(cache: Cache, wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(what, stored.key) async for what, stored in cache.members(wanted)]


@pytest.fixture
def cache() -> Cache:
    return Cache(MemoryTier(64 << 20), None, StillClock())


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


async def test_each_member_is_met_once_for_everything_it_is_wanted_for(cache: Cache) -> None:
    kept(cache, 1, "a")
    kept(cache, 2, "a", "b", "c")
    kept(cache, 3, "elsewhere")
    found = await met(cache, asked(a="x", b="y", c="x", unknown="z"))
    assert sorted(found) == [("x", key(1)), ("x", key(2)), ("y", key(2))]


async def test_every_variant_and_what_is_outdated_or_purged_is_a_member_too(cache: Cache) -> None:
    outdated = kept(cache, 1, "a")
    fetching = cache.begin(outdated.groups)
    cache.store(fetching, brought(fetching, key(1), selecting=(("accept", "x"),)))
    cache.outdate_one(outdated)
    await cache.purge(Everything(), hard=False)
    assert await met(cache, asked(a="x")) == [("x", key(1))] * 2


async def test_it_walks_in_slices_with_a_pause_after_each(cache: Cache, pauses: list[float]) -> None:
    for number in range(3 * KEYS):
        kept(cache, number, "a")
    assert len(await met(cache, asked(a="x"))) == 3 * KEYS
    assert len(pauses) == 3
    assert min(pauses) > 0


async def test_a_pause_is_nine_times_as_long_as_the_look_before_it(pauses: list[float]) -> None:
    class Ticking(StillClock):
        """A clock on which everything takes a second."""

        def steady(self) -> float:
            self.now += 1.0
            return self.now

    cache = Cache(MemoryTier(64 << 20), None, Ticking())
    kept(cache, 1, "a")
    await met(cache, asked(a="x"))
    assert pauses == [9.0]


@pytest.mark.parametrize("wanted", [{}, asked(unknown="x", b="y")], ids=["nothing", "unknown"])
async def test_what_nothing_belongs_to_costs_nothing(
    cache: Cache, pauses: list[float], monkeypatch: pytest.MonkeyPatch, wanted: Mapping[str, str]
) -> None:
    cache.forget(kept(cache, 1, "b"))
    kept(cache, 2, "a")
    monkeypatch.setattr(MemoryTier, "keys", None)
    assert await met(cache, wanted) == []
    assert pauses == []


async def test_looking_is_no_use(pauses: list[float]) -> None:
    tier = MemoryTier(64 << 20)
    cache = Cache(tier, None, StillClock())
    for number in range(3):
        kept(cache, number, "a")
    cache.peek(key(0))
    before = [list(shard) for shard in tier._table.shards]
    assert len(await met(cache, asked(a="x"))) == 3
    assert [list(shard) for shard in tier._table.shards] == before


def changes(cache: Cache, stored: list[StoredResponse]) -> Iterator[None]:
    """Keys come and go, those that are walked next among them, and the shelves close up."""
    number = len(stored)
    for one in stored[5::7]:
        cache.forget(one)
        kept(cache, number, "a")
        number += 1
        yield


async def test_what_is_there_all_the_while_is_met_whatever_comes_and_goes(cache: Cache, pauses: list[float]) -> None:
    stored = [kept(cache, number, "a") for number in range(10 * KEYS)]
    changing, found = changes(cache, stored), set[str]()
    async for _, member in cache.members(asked(a="x")):
        found.add(member.key)
        next(changing, None)
    staying = {one.key for one in stored} - {one.key for one in stored[5::7]}
    assert staying <= found


async def test_without_changes_nothing_is_met_twice(cache: Cache, pauses: list[float]) -> None:
    for number in range(5 * KEYS + 7):
        kept(cache, number, "a")
    found = await met(cache, asked(a="x"))
    assert len(found) == len(set(found)) == 5 * KEYS + 7


async def test_a_walk_goes_on_when_all_that_is_left_of_it_has_gone(cache: Cache, pauses: list[float]) -> None:
    stored = [kept(cache, number, "a") for number in range(3 * KEYS)]
    walk = cache.members(asked(a="x"))
    await anext(walk)
    for one in stored:
        cache.forget(one)
    rest = [member.key async for _, member in walk]
    assert len(rest) == KEYS - 1


async def test_only_memory_is_walked() -> None:
    tier, clock = Gated(), StillClock()
    cache = behind(tier, clock)
    kept(cache, 1, "a")
    await cache.close()
    cache = behind(tier, clock)
    assert await met(cache, asked(a="x")) == []
    await cache.load(key(1))
    assert await met(cache, asked(a="x")) == [("x", key(1))]
    await cache.close()
