"""`python -m crash KILLS SEED`: two long campaigns, one under requests and one under refreshes in the background.
`python -m crash fleet SECONDS SEED`: one on three gateways and a Redis.

Prints what they have seen; exit status 1 where that proves nothing.
"""

import asyncio
import random
import sys
import tempfile
from pathlib import Path

from crash import job_campaign
from crash.campaign import Campaign
from crash.fleet_campaign import FleetCampaign
from crash.job_campaign import JobCampaign, JobScore
from crash.job_origin import OrderOrigin
from crash.kills import Score, schedule
from crash.origin import Origin
from support.redis_server import RedisServer

# After each of these kills there is much to go on with.
_OF_JOBS = 5


def main(kills: int, seed: int) -> int:
    """The exit status. The second campaign has a fifth of the first one's kills."""
    proven = True
    for campaign, count in ((_requests, kills), (_refreshes, kills // _OF_JOBS)):
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            score = campaign(Path(folder), count, seed)
        sys.stdout.write(f"seed {seed}: {score}\n")
        proven = proven and score.is_proof
    return 0 if proven else 1


def fleet(seconds: float, seed: int) -> int:
    """The exit status of a campaign on a fleet."""
    with (
        tempfile.TemporaryDirectory(prefix="crash-") as folder,
        RedisServer(Path(folder) / "redis") as redis,
        Origin(seed) as origin,
    ):
        score = asyncio.run(FleetCampaign(Path(folder), origin, redis.url, seed).run(seconds))
    sys.stdout.write(f"seed {seed}: {score}\n")
    return 0 if score.is_proof else 1


def _requests(folder: Path, kills: int, seed: int) -> Score:
    with Origin(seed) as origin:
        return asyncio.run(Campaign(folder, origin, seed).run(schedule(kills, random.Random(seed))))


def _refreshes(folder: Path, kills: int, seed: int) -> JobScore:
    planned = job_campaign.schedule(kills, random.Random(seed))
    with OrderOrigin(seed) as origin:
        return asyncio.run(JobCampaign(folder, origin, seed).run(planned))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fleet", seconds, seed]:
            sys.exit(fleet(float(seconds), int(seed)))
        case numbers:
            sys.exit(main(*map(int, numbers)))
