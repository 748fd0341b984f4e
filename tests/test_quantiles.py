"""Quantiles from buckets, against values that histogram_quantile gives and what it must hold to."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.quantiles import quantile

BOUNDS = (0.1, 0.2, 1.0)


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        pytest.param(0.5, (0, 0, 0, 0), None, id="nothing observed"),
        pytest.param(0.5, (10, 0, 0, 0), 0.05, id="the first bucket begins at 0"),
        pytest.param(0.5, (0, 10, 0, 0), 0.15, id="halfway through a bucket"),
        pytest.param(0.5, (10, 10, 0, 0), 0.1, id="on a bound"),
        pytest.param(0.75, (10, 10, 0, 0), 0.15, id="halfway through the second"),
        pytest.param(0.5, (1, 0, 1, 0), 0.1, id="an empty bucket between"),
        pytest.param(0.9, (0, 0, 10, 0), 0.92, id="near a bucket's end"),
        pytest.param(0.99, (90, 0, 0, 10), 1.0, id="past every bound"),
        pytest.param(0.5, (0, 0, 0, 1), 1.0, id="all past every bound"),
        pytest.param(0.0, (0, 4, 0, 0), 0.1, id="the least"),
        pytest.param(1.0, (0, 4, 0, 0), 0.2, id="the most"),
    ],
)
def test_known_values(share: float, counts: tuple[int, ...], expected: float | None) -> None:
    assert quantile(share, BOUNDS, counts) == (None if expected is None else pytest.approx(expected))


COUNTS = st.lists(st.integers(0, 1000), min_size=4, max_size=4)
SHARE = st.floats(0, 1)


@given(SHARE, SHARE, COUNTS)
def test_a_larger_share_is_never_less(one: float, other: float, counts: list[int]) -> None:
    less, more = (quantile(share, BOUNDS, counts) for share in sorted((one, other)))
    assert (less is None) == (more is None) == (sum(counts) == 0)
    assert less is None or more is None or 0 <= less <= more + 1e-12 <= BOUNDS[-1] + 1e-9


@given(SHARE, st.lists(st.floats(0.0001, 0.9999), min_size=1, max_size=50))
def test_it_lies_in_the_bucket_of_the_observation_it_stands_for(share: float, observed: list[float]) -> None:
    counts = [
        sum(lower < one <= upper for one in observed) for lower, upper in zip((0.0, *BOUNDS), BOUNDS, strict=False)
    ]
    found = quantile(share, BOUNDS, [*counts, 0])
    true = sorted(observed)[max(1, ceil(share * len(observed))) - 1]
    assert found is not None
    place = next(place for place, bound in enumerate(BOUNDS) if true <= bound)
    assert (0.0, *BOUNDS)[place] - 1e-9 <= found <= BOUNDS[place] + 1e-9
