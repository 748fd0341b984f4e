"""A killed process: it loses nothing that it said, and nothing counts twice."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from admission.snapshots import ROUTE
from ledger.auditing import audit
from ledger.samples import FORCED_QUOTE, SPENDER, SPENDERS, rows
from support.clock import FakeClock

from gateway.clock import SystemClock
from gateway.errors import Problem, Reason
from gateway.ledger.ledger import Ledger
from gateway.ledger.tables import Durability
from gateway.meter import Meter

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_a_killed_process_loses_nothing_it_said_and_nothing_counts_twice(
    tmp_path: Path, durability: Durability
) -> None:
    said_lines = killed_after(1000, "ledger.poster", str(tmp_path), durability)
    acknowledged = [(name, tokens) for name, tokens in (line.split() for line in said_lines)]
    ledger = Ledger.open(tmp_path, durability, SystemClock())
    meter = Meter(ledger, SystemClock())
    meter.configure(SPENDERS)
    assert ledger.accounts.open == {}
    balance = ledger.accounts.balance("ci")
    with pytest.raises(Problem) as caught:
        meter.reserve(SPENDER, ROUTE, FORCED_QUOTE)
    assert caught.value.reason is Reason.force_refresh_capped
    ledger._book.drain()
    assert await ledger.drift() == 0
    await ledger.close()

    book = tmp_path / "book.sqlite3"
    operations = {str(number) for (number,) in rows(book, "SELECT operation FROM chain WHERE charged = 6")}
    said = [name for name, _ in acknowledged if name != "reuse"]
    assert operations.issuperset(said)
    assert len(said) <= len(operations) <= len(said) + 1
    lookups = (
        "SELECT count FROM open WHERE charged UNION ALL SELECT count FROM chain WHERE operation IS NULL AND charged"
    )
    [(reuses,)] = rows(book, f"SELECT sum(count) FROM ({lookups})")
    assert reuses in (len(acknowledged) - len(said), len(acknowledged) - len(said) + 1)
    assert balance.charged == 6 * len(operations) + int(str(reuses))
    assert balance.reserved == 0
    assert rows(book, "SELECT count(*) FROM reservations") == [(0,)]
    with closing(sqlite3.connect(book)) as db:
        audit(db)


@pytest.mark.slow
async def test_a_process_killed_while_it_seals_and_prunes_leaves_a_whole_book(tmp_path: Path) -> None:
    charged = 0
    for kill in range(12):
        said = [int(line) for line in killed_after(20 + 17 * kill, "ledger.tidier", str(tmp_path))]
        ledger = Ledger.open(tmp_path, "process", FakeClock())
        now = ledger.accounts.balance("acme").charged
        assert charged + 6 * said[-1] <= now <= charged + 6 * (said[-1] + 21)
        charged = now
        ledger._book.drain()
        assert await ledger.drift() == 0
        await ledger.close()
        with closing(sqlite3.connect(tmp_path / "book.sqlite3")) as db:
            audit(db)
    assert rows(tmp_path / "book.sqlite3", "SELECT max(number) > 2 * count(*) FROM chain") == [(1,)]


def killed_after(lines: int, module: str, *arguments: str) -> list[str]:
    """What the spending process `module` acknowledged before it was killed, whole lines only."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        found += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    whole = [line for line in found if line.endswith("\n")]
    assert len(whole) >= lines
    return whole
