"""What makes a campaign a proof, and what it is made of."""

import random
from collections import Counter

import pytest
from crash.evidence import Evidence
from crash.kills import Kill, Score, schedule
from crash.points import POINTS

BOTH, RESERVED, UNAPPLIED, NEITHER = Evidence(3, 5), Evidence(3, 0), Evidence(0, 5), Evidence(0, 0)

FOUND = {
    "everything": ([BOTH] * 6, True),
    "just enough": ([BOTH, BOTH, UNAPPLIED, NEITHER, NEITHER, NEITHER], True),
    "too few reservations": ([BOTH, UNAPPLIED, UNAPPLIED, UNAPPLIED, NEITHER, NEITHER], False),
    "too little journal": ([BOTH, BOTH, RESERVED, RESERVED, RESERVED, RESERVED], False),
    "a gateway at rest": ([NEITHER] * 6, False),
}


@pytest.mark.parametrize(("found", "is_proof"), FOUND.values(), ids=FOUND.keys())
def test_a_proof_needs_kills_that_found_something(found: list[Evidence], is_proof: bool) -> None:
    score = Score()
    for left in found:
        score.add(Kill(None, 1), left)
    assert score.is_proof is is_proof


def test_a_long_schedule_comes_by_every_point() -> None:
    kills = schedule(6 * len(POINTS), random.Random(1))
    points = Counter(kill.point for kill in kills)
    assert points == {None: 4 * len(POINTS)} | dict.fromkeys(POINTS, 2)


def test_a_seed_is_a_schedule() -> None:
    assert schedule(20, random.Random(7)) == schedule(20, random.Random(7)) != schedule(20, random.Random(8))
