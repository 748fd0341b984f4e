"""kill -9 under refreshes in the background: each that was acknowledged ends, and nothing that costs is done twice."""

import random
from collections import Counter
from pathlib import Path

import pytest
from crash.job_campaign import JobCampaign, JobScore, anywhere, schedule
from crash.job_origin import OrderOrigin
from crash.job_points import JOB_POINTS

KILLS, SEED = 5, 1

FOUND = {
    "work left behind, and ended well": (JobScore(6, 4, states=Counter(done=4, failed=3)), True),
    "hardly ever work left behind": (JobScore(6, 3, states=Counter(done=7)), False),
    "hardly any job": (JobScore(6, 6, states=Counter(done=6)), False),
    "mostly given up": (JobScore(6, 6, states=Counter(done=3, failed=4)), False),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_anywhere(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with OrderOrigin(SEED) as origin:
        score = await JobCampaign(tmp_path, origin, SEED).run([anywhere(chance) for _ in range(KILLS)])
    assert score.is_proof, score
    # Whether an answer was lost, and a job widened, is chance in so few.
    assert min(score.acknowledged, score.imports, score.how["initiated"], score.how["joined"]) > 0, score


@pytest.mark.parametrize(("score", "is_proof"), FOUND.values(), ids=FOUND.keys())
def test_a_proof_needs_work_that_was_left_behind(score: JobScore, is_proof: bool) -> None:
    assert score.is_proof is is_proof


def test_a_long_schedule_comes_by_every_point_that_is_reached() -> None:
    points = Counter(kill.point for kill in schedule(2 * len(JOB_POINTS), random.Random(1)))
    unreached = {"withdrawing", "withdrawal-uncommitted", "withdrawn"}
    assert points.keys() == {None} | (JOB_POINTS.keys() - unreached)
