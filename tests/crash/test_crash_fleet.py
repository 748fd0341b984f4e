"""kill -9 of any of three nodes under load: nothing lost, nothing charged twice, all books say the same."""

from pathlib import Path

import pytest
from crash.fleet_campaign import FleetCampaign
from crash.origin import Origin
from support.redis_server import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 8.0


async def test_killed_anywhere(tmp_path: Path, redis_server: RedisServer) -> None:
    with Origin(1) as origin:
        score = await FleetCampaign(tmp_path, origin, redis_server.empty_database(), 1).run(SECONDS)
    assert score.is_proof, score
