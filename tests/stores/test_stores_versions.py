"""MemoryTier: the tuple that it gives is a version, what it holds is none of the collector's, nothing takes long."""

import asyncio
import gc
from collections.abc import Callable
from itertools import pairwise

import pytest
from stores.fetches import StillClock, fetch
from stores.samples import sample, variant

from gateway.cache import Cache
from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse
from gateway.stores import memory as module
from gateway.stores.memory import MARKS, MemoryTier
from gateway.stores.purging import Purge
from gateway.stores.selection import Everything, Tagged

KEY = sample().key


def purged(tier: MemoryTier, *, hard: bool) -> None:
    tier.purge(Purge(Everything(), 5000.0, hard))


CHANGES: dict[str, Callable[[MemoryTier, StoredResponse], object]] = {
    "outdated": lambda tier, stored: tier.outdate(stored),
    "marked": lambda tier, stored: tier.mark(("g",), 5000.0, 5000.0, None),
    "purged": lambda tier, stored: purged(tier, hard=False),
    "purged-hard": lambda tier, stored: purged(tier, hard=True),
    "removed": lambda tier, stored: tier.remove(stored),
    "replaced": lambda tier, stored: tier.put(sample(began=2000.0)),
    "joined": lambda tier, stored: tier.put(sample(selecting=variant("de"))),
    "spliced": lambda tier, stored: tier.attach(stored, stored.head, Splice(b"{", comma=False)),
    "put-out": lambda tier, stored: tier.resize(0),
}
LEAVING: dict[str, Callable[[MemoryTier, StoredResponse], object]] = {
    "used": lambda tier, stored: tier.get(KEY),
    "looked-at": lambda tier, stored: tier.look(KEY),
    "marked-elsewhere": lambda tier, stored: tier.mark(("h",), 5000.0, 5000.0, None),
    "marked-before-it-began": lambda tier, stored: tier.mark(("g",), 500.0, 500.0, None),
    "purged-before-it-began": lambda tier, stored: tier.purge(Purge(Everything(), 500.0, hard=True)),
    "purged-elsewhere": lambda tier, stored: tier.purge(Purge(Tagged(("h",)), 5000.0, hard=True)),
    "another-key": lambda tier, stored: tier.put(sample("another", groups=("g", "h"))),
    "counted": lambda tier, stored: setattr(stored, "hits", 7),
}


def with_one() -> tuple[MemoryTier, StoredResponse]:
    tier = MemoryTier(1 << 20)
    assert tier.put(sample("other", groups=("h",)))
    stored = sample(groups=("g",))
    assert tier.put(stored)
    return tier, stored


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whoever_holds_the_tuple_sees_every_change(change: Callable[[MemoryTier, StoredResponse], object]) -> None:
    tier, stored = with_one()
    before = tier.get(KEY)
    assert before == (stored,)
    change(tier, stored)
    assert tier.get(KEY) is not before


@pytest.mark.parametrize("event", LEAVING.values(), ids=LEAVING)
def test_what_changes_nothing_leaves_the_tuple(event: Callable[[MemoryTier, StoredResponse], object]) -> None:
    tier, stored = with_one()
    before = tier.get(KEY)
    event(tier, stored)
    assert tier.get(KEY) is before


def test_the_collector_looks_at_nothing_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.table.SHARD", 4)
    tier = MemoryTier(1 << 20)
    for number in range(40):
        tier.put(sample(f"key-{number}", selecting=variant(str(number % 2)), groups=("g",)))
        tier.put(sample(f"key-{number}", selecting=variant("de")))
        tier.attach(tier.get(f"key-{number}")[0], b"", Splice(b"{", comma=False, packed=b"x", crc=1))
    tier.outdate(tier.get("key-1")[0])
    tier.remove(tier.get("key-2")[0])
    tier.mark(("g",), 5000.0, 5000.0, None)
    gc.collect()
    for number in range(40):
        variants = tier.get(f"key-{number}")
        assert not any(map(gc.is_tracked, (variants, *variants)))
    assert not any(map(gc.is_tracked, tier._table.shards))


def test_marks_that_nobody_reads_are_few_and_forget_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.table.SHARD", 16)
    monkeypatch.setattr(module, "MARKS", 8)
    monkeypatch.setattr(module, "MET", 4)
    tier = MemoryTier(1 << 24)
    stored = [sample(f"key-{number}", groups=(f"group-{number}",)) for number in range(300)]
    for one in stored:
        tier.put(one)
    most = 0
    for number in range(0, 300, 2):
        tier.mark((f"group-{number}",), 5000.0, 5000.0, None)
        most = max(most, len(tier._marks))
    assert most < 8 + 2 * 300 / 4 < MARKS
    for _ in range(1000):
        tier.mark(("group-0",), 5000.0, 5000.0, None)
        tier.mark(("group-2",), 5000.0, 5000.0, None)
    assert len(tier._marks) <= 8
    assert [tier.get(one.key)[0].outdated for one in stored] == [number % 2 == 0 for number in range(300)]


def test_a_mark_on_what_nothing_belongs_to_is_no_news() -> None:
    tier, _ = with_one()
    tier.mark(("unknown",), 5000.0, 5000.0, None)
    assert (tier._marks.made, len(tier._marks)) == (0, 0)
    assert (tier.knows("g"), tier.knows("unknown")) == (True, False)


def full_of_small_ones() -> MemoryTier:
    tier = MemoryTier(1 << 20)
    while not tier.evictions:
        tier.put(sample(f"key-{len(tier)}", body=bytes(200)))
    return tier


def test_a_large_one_puts_out_many_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 8)
    tier = full_of_small_ones()
    left = [len(tier)]
    assert tier.put(sample("large", body=bytes(1 << 15)))
    left.append(len(tier) - 1)
    while tier.full:
        tier.make_room()
        left.append(len(tier) - 1)
    assert len(left) > 3
    assert max(before - after for before, after in pairwise(left)) == 8
    assert tier.get("large")


def test_what_exceeds_the_limit_by_much_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 8)
    tier = full_of_small_ones()
    assert tier.put(sample("large", body=bytes(1 << 19)))
    assert tier.limit_bytes < tier.bytes <= tier.limit_bytes * 17 // 16


async def test_the_cache_goes_on_making_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 8)
    tier = full_of_small_ones()
    cache = Cache(tier, None, StillClock())
    for key in ("large", "larger"):
        fetch(cache, key, ("g" * (1 << 14),))
    full = [tier.full]
    await cache.close()
    full.append(tier.full)
    assert full == [True, False]
    assert cache.peek("larger")


async def test_a_smaller_room_is_made_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.walking.FREED", 1 << 16)
    tier = full_of_small_ones()
    cache = Cache(tier, None, StillClock())
    for limit in (1 << 19, 1 << 18):
        cache.resize(limit)
    await asyncio.sleep(0)
    assert tier.bytes > 1 << 19
    await cache.close()
    assert tier.bytes <= tier.limit_bytes == 1 << 18
