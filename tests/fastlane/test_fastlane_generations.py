"""Generations: how much is held under any sequence, what is still found, and how much work each operation is."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.fastlane.generations import Generations

pytestmark = pytest.mark.slow

ROOM = 10_000
KEYS = st.integers(0, 60).map(lambda number: b"%04d" % number)


def sized(size: int) -> int:
    """A value is the bytes that it takes."""
    return size


def held(memo: Generations[int]) -> Iterator[int]:
    """What everything takes that is not given back yet."""
    for generation in (memo._young, memo._old, memo._dropped):
        yield from [len(key) + size for key, size in generation.items()]


class Kept(RuleBasedStateMachine):
    """A memo beside a dict that forgets nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.memo = Generations[int](ROOM, sized)
        self.kept: dict[bytes, int] = {}
        self.largest = 0

    @rule(key=KEYS, size=st.integers(124, 3000))
    def keep(self, key: bytes, size: int) -> None:
        self.memo.keep(key, size)
        self.kept[key] = size
        self.largest = max(self.largest, len(key) + size)
        assert self.memo.get(key) == size

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.memo.get(key) in (None, self.kept.get(key))

    @rule(key=KEYS)
    def drop(self, key: bytes) -> None:
        self.memo.drop(key)
        self.kept.pop(key, None)
        assert self.memo.get(key) is None

    @rule(most=st.integers(1, 5))
    def shrink(self, most: int) -> None:
        before = len(list(held(self.memo)))
        assert self.memo.shrink(most) is (before > 0)
        assert before - most <= len(list(held(self.memo))) <= max(0, before - 1)

    @invariant()
    def is_bounded(self) -> None:
        assert sum(held(self.memo)) <= ROOM + self.largest


TestAnySequence = Kept.TestCase


@given(st.lists(KEYS, max_size=300))
def test_what_was_asked_for_lately_is_found(keys: list[bytes]) -> None:
    """Lately: since then others took less than half the room."""
    memo, size = Generations[int](ROOM, sized), 296
    lately = ROOM // 2 // (size + 4) - 1
    asked = list[bytes]()
    for key in keys:
        if memo.get(key) is None:
            assert key not in asked[-lately:]
            memo.keep(key, size)
        asked = [*(other for other in asked if other != key), key]


def test_what_grows_makes_room() -> None:
    memo = Generations[int](ROOM, sized)
    for number in range(10):
        memo.keep(b"%04d" % number, 200)
    memo.get(b"0009")
    memo.grow(ROOM // 2)
    memo.keep(b"0010", 4000)
    memo.keep(b"0011", 4000)
    assert [memo.get(b"%04d" % number) for number in range(12)] == [None] * 10 + [4000, 4000]


class Counted(bytes):
    """Counts how often any of them is looked up somewhere."""

    looked_up = 0

    def __hash__(self) -> int:
        Counted.looked_up += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


@pytest.mark.parametrize("operation", ["keep", "get", "drop", "shrink"])
@pytest.mark.parametrize("number", [10, 10_000])
def test_an_operation_is_as_much_work_among_many_as_among_few(operation: str, number: int) -> None:
    memo = Generations[int](number * 400, sized)
    keys = [Counted(b"%06d" % place) for place in range(number)]
    for key in keys:
        memo.keep(key, 200)
    Counted.looked_up = 0
    before = len(list(held(memo)))
    match operation:
        case "keep":
            memo.keep(keys[0], 200)
        case "get":
            memo.get(keys[0])
        case "drop":
            memo.drop(keys[0])
        case _:
            memo.shrink(3)
    assert Counted.looked_up <= 10
    assert before - len(list(held(memo))) <= 3


def test_what_is_dropped_is_given_back_little_by_little() -> None:
    """All at once took 10 ms of 20,000."""
    memo = Generations[int](400_000, sized)
    most = 0
    for number in range(5000):
        before = len(list(held(memo)))
        memo.keep(b"%06d" % number, 194)
        most = max(most, before - len(list(held(memo))))
    assert most <= 2
