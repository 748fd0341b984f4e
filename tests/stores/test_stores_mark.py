"""Mark: one value that says exactly what a list of drops says."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stores import Mark

TIMES = st.integers(1, 6).map(float)
DROPS = st.lists(st.tuples(TIMES, st.sampled_from([None, "a", "b"])), max_size=4)


def outdated_by(drops: list[tuple[float, str | None]], key: str, began: float) -> bool:
    return any(began < before and key != keep for before, keep in drops)


def mark_of(drops: list[tuple[float, str | None]]) -> Mark:
    mark = Mark()
    for before, keep in drops:
        mark = mark.joined(before, keep)
    return mark


@given(DROPS, st.sampled_from(["a", "b", "c"]), st.integers(0, 7).map(float))
def test_a_mark_never_spares_what_a_drop_outdates(
    drops: list[tuple[float, str | None]], key: str, began: float
) -> None:
    assert mark_of(drops).outdates(key, began) == outdated_by(drops, key, began)


@pytest.mark.parametrize("order", list(permutations([(2.0, "a"), (3.0, "b"), (1.0, None)])), ids=str)
def test_the_order_of_drops_makes_no_difference(order: tuple[tuple[float, str | None], ...]) -> None:
    assert mark_of(list(order)) == Mark(before=3.0, keep="b", floor=2.0)


def test_without_drops_nothing_is_outdated() -> None:
    assert not Mark().outdates("a", 0.0)
