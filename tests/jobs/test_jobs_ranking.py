"""Ranks: few before many, and no more of them than are asked for."""

import pytest

from gateway.jobs.ranking import RANKS, rank

MANY = {
    "none": (0, 0),
    "one": (1, 0),
    "two": (2, 1),
    "ten": (10, 1),
    "eleven": (11, 2),
    "a hundred": (100, 2),
    "more": (101, 3),
    "thousands": (1001, 4),
    "a million": (1_000_000, 4),
}


@pytest.mark.parametrize(("many", "expected"), MANY.values(), ids=MANY)
def test_rank(many: int, expected: int) -> None:
    assert rank(many) == expected


def test_a_late_target_of_a_large_job_has_the_last_of_all_ranks() -> None:
    assert rank(10**9) + rank(10**9) == RANKS[-1]
