"""A process that follows a fleet's ledger until it is killed: `python -m ledger.drained URL FOLDER`."""

import asyncio
import os
import sys
from pathlib import Path

from gateway.clock import SystemClock
from gateway.fleet.connection import Connection
from gateway.fleet.recovery import Recovery
from gateway.fleet.settings import Settings
from gateway.ledger.follower import Follower


async def follow(url: str, folder: Path) -> None:
    connection = await Connection.open(Settings(url, timeout=2.0), SystemClock())
    await Follower.open(folder, connection, Recovery(connection, 0.01), SystemClock(), segment=20_000)
    os.write(sys.stdout.fileno(), b"following\n")
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], Path(sys.argv[2])))
