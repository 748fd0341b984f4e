"""`python -m crash KILLS SEED`: two long campaigns, one under requests and one under refreshes in the background.

Prints what they have seen; exit status 1 where that proves nothing.
"""

import asyncio
import random
import sys
import tempfile
from pathlib import Path

from crash import job_campaign
from crash.campaign import Campaign
from crash.job_campaign import JobCampaign, JobScore
from crash.job_origin import OrderOrigin
from crash.kills import Score, schedule
from crash.origin import Origin

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


def _requests(folder: Path, kills: int, seed: int) -> Score:
    with Origin(seed) as origin:
        return asyncio.run(Campaign(folder, origin, seed).run(schedule(kills, random.Random(seed))))


def _refreshes(folder: Path, kills: int, seed: int) -> JobScore:
    planned = job_campaign.schedule(kills, random.Random(seed))
    with OrderOrigin(seed) as origin:
        return asyncio.run(JobCampaign(folder, origin, seed).run(planned))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
