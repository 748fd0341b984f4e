"""A store's keys, ledger and meter for the suites."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from keys.rings import Disk, Ring, loaded
from support.clock import FakeClock

from gateway.config.compile import snapshot
from gateway.journalled import Journalled
from gateway.ledger.ledger import Ledger
from gateway.meter import Meter
from gateway.roster import Roster


@dataclass
class Books:
    """What an operators' door changes."""

    ring: Ring
    ledger: Ledger
    meter: Meter
    metering: Journalled
    clock: FakeClock


@asynccontextmanager
async def books(folder: Path) -> AsyncIterator[Books]:
    """By the config of `rings.loaded`, in a folder of the test's own."""
    clock, config = FakeClock(), loaded(folder)
    ledger = Ledger.open(folder / "var", "process", clock)
    ring = await Ring.open(Disk(folder / "var"), clock, config)
    meter = Meter(ledger, clock)
    compiled = replace(snapshot(config), keys=ring.keyring)
    meter.configure(Roster.of(compiled.keys.values(), compiled.timezone))
    ring.keyring.listen(meter.enroll)
    try:
        yield Books(ring, ledger, meter, Journalled(meter, ledger), clock)
    finally:
        await ring.close()
        await ledger.close()
