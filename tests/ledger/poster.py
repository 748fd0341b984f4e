"""A process that spends until it is killed: `python -m ledger.poster FOLDER DURABILITY`.

It prints a line for each charge once that is committed: `reuse` or the operation's id, and its tokens.
"""

import asyncio
import sys
from pathlib import Path

from admission.snapshots import ROUTE
from ledger.samples import FORCED_QUOTE, LOOKUP_QUOTE, OPTIONS_QUOTE, SPENDER, SPENDERS

from gateway.admission.outcomes import Outcome
from gateway.clock import SystemClock
from gateway.ledger.ledger import Ledger
from gateway.ledger.tables import Durability
from gateway.meter import Meter


async def spend(folder: Path, durability: Durability) -> None:
    clock = SystemClock()
    ledger = Ledger.open(folder, durability, clock, segment=4096)
    meter = Meter(ledger, clock)
    meter.configure(SPENDERS)
    for _ in range(3):
        meter.reserve(SPENDER, ROUTE, FORCED_QUOTE)
    while True:
        abandoned = meter.reserve(SPENDER, ROUTE, LOOKUP_QUOTE)
        reservation = meter.reserve(SPENDER, ROUTE, OPTIONS_QUOTE)
        await ledger.committed()
        meter.settle(reservation, Outcome.miss)
        meter.charge(SPENDER, ROUTE, LOOKUP_QUOTE, Outcome.hit)
        await ledger.committed()
        sys.stdout.write(f"{reservation.reserve.id} 6\nreuse 1\n")
        sys.stdout.flush()
        if abandoned.reserve.id % 3:
            meter.release(abandoned, "failed")


if __name__ == "__main__":
    name, chosen = sys.argv[1:]
    asyncio.run(spend(Path(name), "power" if chosen == "power" else "process"))
