"""MemoryTier: its count against the process, its order against a naive model, what its groups weigh."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from stores.samples import sample, variant

from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse, Terms
from gateway.stores.memory import VARIANTS, MemoryTier
from gateway.stores.size import size_of

ROOMY = 10**9
SPLICE = Splice(opened=b"{" * 5000, comma=False, packed=b"{" * 100, crc=7)
KEYS = st.sampled_from([f"key-{n}" for n in range(6)])


def grown(limit: int, count: int, median: int) -> tuple[int, int, int]:
    """What a tier counts, what its process grew by, both in bytes, and the stored responses left in it."""
    command = [sys.executable, "-m", "stores.growth", str(limit), str(count), str(median)]
    tests = Path(__file__).parent.parent
    output = subprocess.run(command, env={"PYTHONPATH": f"{tests.parent}:{tests}"}, check=True, capture_output=True)
    counted, growth, left = map(int, output.stdout.split())
    return counted, growth, left


@pytest.mark.slow
@pytest.mark.parametrize("median", [100, 1000], ids=["small", "mixed"])
def test_the_count_is_what_the_process_grows_by(median: int) -> None:
    counted, growth, left = grown(100 << 20, 20_000, median)
    assert left == 20_000
    assert 0.9 < counted / growth < 1.1


@pytest.mark.slow
def test_the_limit_bounds_the_process() -> None:
    limit = 24 << 20
    counted, growth, left = grown(limit, 20_000, 1000)
    assert 0 < left < 20_000
    assert 0.9 * limit < counted <= limit
    assert growth < 1.15 * limit


def bytes_alone(*variants: StoredResponse) -> int:
    tier = MemoryTier(ROOMY)
    for stored in reversed(variants):
        tier.put(stored)
    return tier.bytes


def test_a_response_weighs_all_its_parts() -> None:
    plain = size_of(sample())
    assert size_of(sample(body=b'{"title":"Cookware"}' + bytes(2048))) - plain == pytest.approx(2048, abs=32)
    assert size_of(sample(body=bytes(50_000))) - plain == pytest.approx(50_000, abs=64)
    assert size_of(sample(head=bytes(10_000))) - plain == pytest.approx(10_000, abs=64)
    assert size_of(sample(splice=SPLICE)) - plain == pytest.approx(5100, abs=128)
    assert size_of(sample(splice=Splice(b'{"title":"Cookware"', comma=True))) - plain <= 16
    assert size_of(sample(selecting=variant("d" * 1000))) - plain == pytest.approx(1000, abs=64)
    assert size_of(sample(terms=Terms(lifetime=60.0, heuristic=6.0))) - plain <= 16
    assert bytes_alone(sample(groups=("g" * 1000,))) - bytes_alone(sample(groups=("g",))) == pytest.approx(1000, abs=64)
    assert bytes_alone(sample("k" * 1000)) - bytes_alone(sample("k")) == pytest.approx(1000, abs=64)


class LeastRecentlyUsed(RuleBasedStateMachine):
    """Every key has a group of its own, so that a key's bytes alone are its bytes among others."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 12_000
        self.tier = MemoryTier(self.limit)
        self.model: dict[str, list[StoredResponse]] = {}
        self.now = 0.0
        self.evictions = 0

    def size(self) -> int:
        return sum(bytes_alone(*variants) for variants in self.model.values())

    @rule(key=KEYS, language=st.sampled_from(["", "de", "fr"]), size=st.integers(0, 5000))
    def put(self, key: str, language: str, size: int) -> None:
        self.now += 1
        stored = sample(key, body=bytes(size), began=self.now, groups=(key,), selecting=variant(language))
        assert self.tier.put(stored)
        others = [other for other in self.model.pop(key, []) if other.selecting != stored.selecting]
        self.model[key] = [stored, *others]
        while self.size() > self.limit:
            self.evictions += self.evict()

    def evict(self) -> int:
        oldest = next(iter(self.model))
        if len(self.model) == 1:
            self.model[oldest].pop()
            return 1
        return len(self.model.pop(oldest))

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert list(self.tier.get(key)) == self.model.get(key, [])
        if key in self.model:
            self.model[key] = self.model.pop(key)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        stored = data.draw(st.sampled_from(self.model[key]))
        self.tier.remove(stored)
        left = [one for one in self.model.pop(key) if one is not stored]
        if left:
            self.model[key] = left

    @rule(key=KEYS)
    def put_too_large(self, key: str) -> None:
        assert not self.tier.put(sample(key, body=bytes(self.limit), began=self.now))
        if key in self.model:
            self.model[key] = self.model.pop(key)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def attach(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.model[key] = self.model.pop(key)
        self.tier.attach(self.model[key][0], b"X: y\r\n", SPLICE)
        while self.size() > self.limit:
            self.evictions += self.evict()

    @invariant()
    def same(self) -> None:
        held = [stored for variants in self.model.values() for stored in variants]
        assert (self.tier.bytes, len(self.tier)) == (self.size(), len(held))
        assert self.tier.bytes <= self.limit
        assert self.tier.evictions == self.evictions


TestLeastRecentlyUsed = pytest.mark.slow(LeastRecentlyUsed.TestCase)

GROUPS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple)
PUTS = st.lists(st.tuples(KEYS, st.sampled_from(["de", "fr"]), GROUPS), max_size=30)


@given(PUTS, st.lists(GROUPS, max_size=5), st.integers(2000, 20_000))
def test_groups_and_their_marks_weigh_nothing_once_empty(
    puts: list[tuple[str, str, tuple[str, ...]]], marks: list[tuple[str, ...]], limit: int
) -> None:
    tier = MemoryTier(limit)
    for began, (key, language, groups) in enumerate(puts):
        tier.put(sample(key, selecting=variant(language), groups=groups, began=float(began)))
    for groups in marks:
        tier.mark(groups, 100.0, 101.0, "key-1")
        assert tier.bytes <= limit
    for one in [one for key in {key for key, _, _ in puts} for one in tier.get(key)]:
        tier.remove(one)
    assert (tier.bytes, len(tier)) == (0, 0)


def test_a_mark_that_takes_the_room_puts_the_least_recently_used_out() -> None:
    tier = MemoryTier(2 * bytes_alone(sample("second", groups=("g",), body=bytes(2000))))
    for key in ("first", "second"):
        tier.put(sample(key, groups=("g",), body=bytes(2000)))
    assert len(tier) == 2
    tier.mark(("g",), 1.0, 2.0, "k" * 500)
    assert (len(tier), tier.evictions) == (1, 1)
    assert tier.get("second")


def test_a_variant_that_stays_when_another_is_put_out_meets_the_mark() -> None:
    stays, goes = (sample(selecting=variant(language), groups=("g",), body=bytes(1000)) for language in ("de", "fr"))
    tier = MemoryTier(bytes_alone(stays, goes))
    for stored in (goes, stays):
        assert tier.put(stored)
    tier.mark(("g",), 2000.0, 2000.0, None)
    assert tier.evictions == 1
    assert [stored.outdated for stored in tier.get(stays.key)] == [True]


def test_marks_from_before_it_was_put_leave_a_response_alone() -> None:
    tier = MemoryTier(ROOMY)
    tier.put(before := sample("before", groups=("g",), began=5.0))
    tier.mark(("g",), 6.0, 6.0, None)
    tier.put(after := sample("after", groups=("g",), began=5.0))
    for began, outdated in ((5.0, True), (6.0, False)):
        tier.meet(loaded := sample("loaded", groups=("g", "h"), began=began))
        assert loaded.outdated is outdated
    for key in ("before", "after"):
        tier.get(key)
    assert (before.outdated, after.outdated) == (True, False)


def test_nothing_that_happens_to_its_key_hides_a_mark_from_a_response() -> None:
    tier = MemoryTier(ROOMY)
    for key in ("spliced", "joined", "left"):
        tier.put(sample(key, groups=("g",), selecting=variant("de")))
    tier.put(gone := sample("left", groups=("g",), selecting=variant("fr"), received=1000.5))
    tier.mark(("g",), 2000.0, 2000.0, None)
    tier.attach(tier._held("spliced")[0], b"", SPLICE)
    tier.put(sample("joined", groups=("g",), selecting=variant("fr"), received=1000.5))
    tier.remove(gone)
    found = {key: [stored.outdated for stored in tier.get(key)] for key in ("spliced", "joined", "left")}
    assert found == {"spliced": [True], "joined": [True, False], "left": [True]}


def test_an_older_response_does_not_replace_a_newer_one_of_its_variant() -> None:
    tier = MemoryTier(ROOMY)
    newer = sample(began=2.0, selecting=variant("de"))
    assert tier.put(newer)
    assert not tier.put(sample(began=1.0, received=9.0, selecting=variant("de")))
    other = sample(began=1.0, selecting=variant("fr"))
    assert tier.put(other)
    assert tier.get(newer.key) == (newer, other)


def test_of_two_that_began_together_the_one_put_last_stays() -> None:
    tier = MemoryTier(ROOMY)
    tier.put(sample())
    later = sample()
    assert tier.put(later)
    assert tier.get(later.key) == (later,)


def test_equal_keys_become_one_string_so_that_no_copy_goes_uncounted() -> None:
    tier = MemoryTier(ROOMY)
    first, second = sample("".join(["k", "ey"])), sample("".join(["ke", "y"]))
    kept = first.key
    tier.put(first)
    tier.put(second)
    assert second.key is kept


def test_variants_come_most_recently_received_first() -> None:
    tier = MemoryTier(ROOMY)
    for language, received in (("de", 5.0), ("fr", 9.0), ("en", 7.0)):
        tier.put(sample(selecting=variant(language), began=1.0, received=received))
    assert [stored.received for stored in tier.get(sample().key)] == [9.0, 7.0, 5.0]


def test_the_variants_of_a_key_are_bounded_and_the_least_recently_received_goes() -> None:
    tier = MemoryTier(ROOMY)
    for n in range(VARIANTS + 3):
        assert tier.put(sample(selecting=variant(str(n)), began=100.0 + n))
    assert [stored.began for stored in tier.get(sample().key)][-1] == 103.0
    assert (len(tier), tier.evictions) == (VARIANTS, 3)
    assert not tier.put(sample(selecting=variant("late"), began=1.0))
    assert len(tier) == VARIANTS


def test_a_response_too_large_by_itself_puts_nothing_out() -> None:
    tier = MemoryTier(bytes_alone(sample()))
    small = sample()
    assert tier.put(small)
    assert not tier.put(sample(body=bytes(100)))
    assert tier.get(small.key) == (small,)
    assert tier.evictions == 0


def test_a_splice_is_counted_where_it_is_attached_and_only_where_it_is_held() -> None:
    tier = MemoryTier(ROOMY)
    tier.put(held := sample())
    before = tier.bytes
    alone = size_of(sample())
    tier.attach(held, held.head, SPLICE)
    assert tier.bytes - before == size_of(held) - alone > 5000
    replaced, before = held, tier.bytes
    tier.put(sample(began=2000.0, splice=SPLICE))
    tier.attach(replaced, replaced.head, Splice(b"", comma=False))
    assert tier.bytes == before


def test_a_copy_or_an_older_response_in_its_place_goes_with_it_and_a_newer_one_stays() -> None:
    tier = MemoryTier(ROOMY)
    for began in (1.0, 2.0, 3.0):
        tier.put(held := sample(began=began))
        tier.outdate(sample(began=2.0))
        assert held.outdated == (began <= 2.0)
        tier.remove(sample(began=2.0))
        assert tier.get(held.key) == ((held,) if began > 2.0 else ())
