"""Table: whatever comes and goes, each key is found, walked past, and put out in its turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample

from gateway.stores import table as module
from gateway.stores.table import SHARD, Table

HELD = (sample(),)
STEPS = st.lists(st.one_of(st.just("add"), st.just("out"), st.integers(0, 10_000)), max_size=60)


@pytest.fixture(autouse=True, scope="module")
def small() -> object:
    """Shards of a few keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHARD", 4)
        yield


class Kept:
    """A table, and the keys that must be in it."""

    def __init__(self, count: int) -> None:
        self.table = Table()
        self.made = 0
        self.keys: list[str] = []
        for _ in range(count):
            self.play("add")

    def play(self, step: object) -> None:
        if step == "add":
            self.made += 1
            self.keys.append(f"key-{self.made}")
            self.table.hold(self.keys[-1], HELD)
        elif step == "out" and self.keys:
            self.drop(self.table.next_out())
        elif isinstance(step, int) and self.keys:
            self.drop(self.keys[step % len(self.keys)])

    def drop(self, key: str) -> None:
        self.keys.remove(key)
        self.table.drop(key)


@given(st.integers(0, 60), STEPS)
def test_every_key_is_found_and_walked_past_once(count: int, steps: list[object]) -> None:
    kept = Kept(count)
    for step in steps:
        kept.play(step)
    assert all(kept.table.find(key)[key] is HELD for key in kept.keys)
    walked = [key for place in range(len(kept.table.shards)) for key in kept.table.at(place)]
    assert sorted(walked) == sorted(kept.keys)


@given(st.integers(0, 60), STEPS)
def test_a_walk_meets_every_key_that_stays(count: int, steps: list[object]) -> None:
    kept = Kept(count)
    there, met, place = set(kept.keys), set[str](), 0
    while place < len(kept.table.shards):
        met |= set(kept.table.at(place))
        place += 1
        if steps:
            kept.play(steps.pop())
    assert there & set(kept.keys) <= met


@given(st.integers(1, 200))
def test_no_shard_grows_for_long_and_each_holds_its_own(count: int) -> None:
    table = Kept(count).table
    assert len(table.shards) == len(table.bits) == table.mask + 1
    for place, shard in enumerate(table.shards):
        assert len(shard) <= 8  # a split may find all on one side
        assert {hash(key) % (1 << table.bits[place]) for key in shard} <= {place % (1 << table.bits[place])}


def test_as_long_as_one_shard_holds_all_they_go_in_order_of_use() -> None:
    kept = Kept(4)
    kept.table.find("key-1").move_to_end("key-1")
    out = []
    while kept.keys:
        out.append(kept.table.next_out())
        kept.drop(out[-1])
    assert out == ["key-2", "key-3", "key-4", "key-1"]


def test_with_more_those_used_last_are_not_among_those_that_go() -> None:
    kept = Kept(400)
    for key in kept.keys[:40]:
        kept.table.find(key).move_to_end(key)
    for _ in range(100):
        kept.play("out")
    assert len({*kept.keys} & {f"key-{number}" for number in range(1, 41)}) >= 35


def test_keys_whose_hashes_end_alike_share_a_shard_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BITS", 1)
    table = Kept(40).table
    assert len(table.shards) == 2
    assert sum(map(len, table.shards)) == 40


def test_a_shard_has_the_room_of_a_dict_that_is_just_full() -> None:
    table = dict.fromkeys(range(SHARD))
    before = table.__sizeof__()
    table[SHARD] = None
    assert table.__sizeof__() > before
