"""kill -9 under load, fifty times: nothing lost, nothing charged twice, nothing negative, nothing drifts."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from crash.campaign import Campaign
from crash.kills import Kill, Score, anywhere, at
from crash.origin import Origin
from crash.points import POINTS

# A start takes a second, on a busy machine five.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS_ANYWHERE = 7
DURABILITIES = ("process", "power")
NAMED = tuple(POINTS)
THIRDS = {"a request's way": NAMED[:7], "the journal": NAMED[7:11], "the book and the start": NAMED[11:]}


async def campaign(folder: Path, seed: int, kills: Sequence[Kill], durability: str = "process") -> Score:
    with Origin(seed) as origin:
        score = await Campaign(folder, origin, seed, durability).run(kills)
    assert score.is_proof, score
    assert score.lost == score.retrieved > 0, score
    return score


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_killed_anywhere(tmp_path: Path, durability: str) -> None:
    seed = DURABILITIES.index(durability)
    chance = random.Random(seed)
    score = await campaign(tmp_path, seed, [anywhere(chance) for _ in range(KILLS_ANYWHERE)], durability)
    assert score.answers > KILLS_ANYWHERE * 150


@pytest.mark.parametrize("points", THIRDS.values(), ids=THIRDS.keys())
async def test_killed_at_named_points(tmp_path: Path, points: Sequence[str]) -> None:
    """Each after a kill anywhere, so that the start before it finds something to restore."""
    chance = random.Random(len(points))
    kills = [kill for point in points for kill in (anywhere(chance), at(point, chance))]
    score = await campaign(tmp_path, len(points), kills)
    assert score.points == {"anywhere": len(points)} | dict.fromkeys(points, 1)
