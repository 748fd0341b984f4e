"""Offset: of several comparisons of two clocks the most exact one counts, as long as it is not too old."""

import pytest

from gateway.stores.offset import KEPT, Offset


def test_a_time_there_and_back_is_the_same() -> None:
    offset = Offset()
    offset.compare(10.0, 1000.5, 11.0)
    assert (offset.there(10.5), offset.here(1000.5)) == (1000.5, 10.5)


def test_before_any_comparison_it_is_old() -> None:
    offset = Offset()
    assert offset.is_old(0.0)
    offset.compare(0.0, 5.0, 0.0)
    assert not offset.is_old(KEPT)
    assert offset.is_old(KEPT + 1)


@pytest.mark.parametrize(
    ("before", "after", "here"),
    [(10.0, 10.5, 5.0), (10.0, 12.0, 0.0), (100.0, 102.0, 5.0)],
    ids=["more-exact", "less-exact", "less-exact-when-the-other-is-old"],
)
def test_the_most_exact_comparison_counts(before: float, after: float, here: float) -> None:
    offset = Offset()
    offset.compare(0.0, 100.5, 1.0)
    offset.compare(before, (before + after) / 2 + 95, after)
    assert offset.here(100.0) == here
