"""A process that follows and is killed: its book has every record once, and those beside it took over or read on."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from ledger.auditing import audit
from ledger.fleets import ACME, Money, following, granted
from ledger.samples import CHARGE, reserve, rows

from gateway.ledger.records import Release, Settle
from gateway.ledger.shard_book import booked
from gateway.ledger.verify import verify

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
ROUNDS = 6


def started(url: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "ledger.drained", url, str(folder)]
    process = subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "following\n":
        assert line, "it ended"
    return process


async def test_a_killed_follower_has_every_record_once(redis_url: str, tmp_path: Path) -> None:
    money, chance, operations = Money(redis_url), random.Random(8), 0
    money.post(granted(10_000_000))
    for _ in range(ROUNDS):
        process = started(redis_url, tmp_path)
        for _ in range(chance.randrange(100, 400)):
            operations += 1
            held = reserve(operations)
            money.post(CHARGE, held)
            over = Settle(held, 9, False, "refreshed", 51.0) if operations % 3 else Release(held, False, "gone", 51.0)
            money.post(over, CHARGE)
            # Those of a turn of nothing but hits are counted together on their way.
            money.count((CHARGE._replace(account=f"key{chance.randrange(3)}"), chance.randrange(1, 9)))
        process.kill()
        process.communicate()
    async with following(redis_url, tmp_path) as follower:
        found = await follower.read(lambda db: booked(db, ACME))
        assert found.balances == money.accounts.balances
        assert await follower.drift() == 0
    assert verify(tmp_path / "book.sqlite3", tmp_path).sums[1] == money.accounts.balances["acme"].charged
    ended = rows(tmp_path / "book.sqlite3", "SELECT count(*), count(DISTINCT operation) FROM chain WHERE operation")
    assert ended == [(operations, operations)]
    with closing(sqlite3.connect(tmp_path / "book.sqlite3")) as db:
        audit(db)
    money.close()
