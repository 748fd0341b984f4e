"""A process whose minutes fly by until it is killed: `python -m ledger.tidier FOLDER`.

It spends, and its book seals and prunes all the while. It prints how many lookups are committed.
"""

import asyncio
import sys
from pathlib import Path

from ledger.samples import CHARGE, reserve
from support.clock import FakeClock

from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Settle

KEEP = 600.0


async def spend(folder: Path) -> None:
    clock = FakeClock()
    ledger = Ledger.open(folder, "process", clock, segment=4096, keep=KEEP)
    committed = 0
    while True:
        lookup = CHARGE._replace(minute=int(clock.wall() // 60), unlimited=True)
        for number in range(20):
            ledger.post(lookup._replace(account=f"a{number}"))
        operation = reserve(ledger.next_id())._replace(period=None)
        ledger.post(operation)
        ledger.post(Settle(operation, 6, False, "miss", clock.wall()))
        await ledger.committed()
        committed += 21
        sys.stdout.write(f"{committed}\n")
        sys.stdout.flush()
        clock.advance(20.0)
        if committed % 2:
            await ledger.read(lambda db: db.execute("SELECT 1").fetchone())


if __name__ == "__main__":
    asyncio.run(spend(Path(sys.argv[1])))
