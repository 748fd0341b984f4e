"""`python -m crash KILLS SEED`: one long campaign; prints what it has seen; exit status 1 where that proves nothing."""

import asyncio
import random
import sys
import tempfile
from pathlib import Path

from crash.campaign import Campaign
from crash.kills import schedule
from crash.origin import Origin


def main(kills: int, seed: int) -> int:
    """The exit status."""
    with tempfile.TemporaryDirectory(prefix="crash-") as folder, Origin(seed) as origin:
        score = asyncio.run(Campaign(Path(folder), origin, seed).run(schedule(kills, random.Random(seed))))
    sys.stdout.write(f"seed {seed}: {score}\n")
    return 0 if score.is_proof else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
