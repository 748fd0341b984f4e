"""Histograms summed up; what families make of them is seen in `test_metrics`."""

import pytest

from gateway.counting import BUCKETS, Histogram


def test_two_histograms_are_one_of_all_that_both_observed() -> None:
    first, second, both = Histogram(), Histogram(), Histogram()
    for histogram, seconds in ((first, 0.0004), (first, 100.0), (second, 0.0004), (second, 0.3)):
        histogram.observe(seconds)
        both.observe(seconds)
    first.add(second)
    assert first.counts == both.counts
    assert first.total == pytest.approx(both.total)
    assert second.buckets()[-1] == ("+Inf", 2)
    assert len(both.counts) == len(BUCKETS) + 1
