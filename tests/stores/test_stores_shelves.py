"""Shelves: every key once whatever comes and goes, and a walk that misses none that stays."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.shelves import SHELF, Shelf, Shelves

STEPS = st.lists(st.one_of(st.just("add"), st.integers(0, 10_000)), max_size=60)


class Kept:
    """Shelves, and of each key the shelf that it is on, as who uses them must know it."""

    def __init__(self, count: int) -> None:
        self.shelves = Shelves()
        self.of: dict[str, Shelf] = {}
        self.made = 0
        for _ in range(count):
            self.add()

    def add(self) -> None:
        self.made += 1
        self.of[f"key-{self.made}"] = self.shelves.add(f"key-{self.made}")

    def take(self, number: int) -> None:
        if self.of:
            key = sorted(self.of)[number % len(self.of)]
            shelf = self.of.pop(key)
            moved = self.shelves.take(key, shelf)
            if moved is not None:
                self.of[moved] = shelf

    def play(self, step: object) -> None:
        if isinstance(step, int):
            self.take(step)
        else:
            self.add()


@given(st.integers(0, 3 * SHELF), STEPS)
def test_every_key_is_there_once_on_its_shelf(count: int, steps: list[object]) -> None:
    kept = Kept(count)
    for step in steps:
        kept.play(step)
    assert len(kept.shelves) == len(kept.of)
    assert sorted(kept.shelves.below(len(kept.shelves) + 5, 10**6)) == sorted(kept.of)
    assert all(key in shelf for key, shelf in kept.of.items())


@given(st.integers(0, 3 * SHELF), STEPS, st.integers(1, 100))
def test_a_walk_meets_every_key_that_stays(count: int, steps: list[object], stride: int) -> None:
    kept = Kept(count)
    there, met, place = set(kept.of), set[str](), len(kept.shelves)
    for step in [*steps, *[None] * 300]:
        if place > 0:
            met |= set(kept.shelves.below(place, stride))
            place -= stride
        if step is not None:
            kept.play(step)
    assert there & set(kept.of) <= met


def test_all_shelves_but_the_last_are_full() -> None:
    kept = Kept(5 * SHELF)
    for number in range(2 * SHELF + 1):
        kept.take(number * 7)
    assert [len(shelf) for shelf in kept.shelves._shelves] == [SHELF, SHELF, SHELF - 1]
