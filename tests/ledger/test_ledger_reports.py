"""Long reads of a ledger that is written meanwhile: bounded in number and time, and in nobody's way."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledger.ledgers import full_disk
from ledger.samples import CHARGE
from support.clock import FakeClock

from gateway.errors import BadStart, Problem, Reason
from gateway.ledger import reports as module
from gateway.ledger.ledger import Ledger
from gateway.ledger.reading import Query
from gateway.ledger.reports import Reports

ENDLESS = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT count(*) FROM endless"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    yield ledger
    await ledger.close()


@pytest.fixture
def reports(ledger: Ledger, tmp_path: Path) -> Reports:
    return Reports(tmp_path, ledger.booked)


def always() -> bool:
    return True


def charged(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(sum(charged), 0) FROM postings").fetchone()[0])


def endless(db: sqlite3.Connection) -> object:
    return db.execute(ENDLESS).fetchone()


class Held:
    """A query that waits for the test."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, db: sqlite3.Connection) -> int:
        self.begun.release()
        assert self.go.wait(20)
        return charged(db)

    async def runs(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=20)


async def refusal(reports: Reports, query: Query[object] = charged) -> str:
    with pytest.raises(Problem) as caught:
        await reports.read(query, always)
    assert (caught.value.reason, caught.value.retry_after) == (Reason.ledger_unavailable, 1)
    return caught.value.detail or ""


async def test_everything_posted_before_is_seen(ledger: Ledger, reports: Reports) -> None:
    assert await reports.read(charged, always) == 0
    for number in range(1, 6):
        ledger.post(CHARGE)
        assert await reports.read(charged, always) == 6 * number


async def test_it_is_one_moment_and_nobody_waits_for_it(ledger: Ledger, reports: Reports) -> None:
    held = Held()
    report = asyncio.create_task(reports.read(held, always))
    await held.runs()
    ledger.post(CHARGE)
    assert await ledger.read(lambda db: db.execute("SELECT sum(charged) FROM balances").fetchone()) == (6,)
    held.go.set()
    assert await report == 0


async def test_two_at_once_and_no_more(reports: Reports) -> None:
    held = Held()
    running = [asyncio.create_task(reports.read(held, always)) for _ in range(2)]
    for _ in running:
        await held.runs()
    assert "Other reports" in await refusal(reports)
    held.go.set()
    assert await asyncio.gather(*running) == [0, 0]
    assert await reports.read(charged, always) == 0


async def test_one_that_takes_too_long_is_broken_off(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(module, "_PATIENCE", 0.05)
        assert "too long" in await refusal(reports, endless)
    assert await reports.read(charged, always) == 0


async def test_one_that_nobody_wants_any_more_is_broken_off(reports: Reports) -> None:
    looks = iter([True, True])
    with pytest.raises(Problem):
        await reports.read(endless, lambda: next(looks, False))
    assert list(looks) == []


async def test_one_whose_caller_is_cancelled_ends_as_well(reports: Reports) -> None:
    begun, ended = threading.Event(), threading.Event()

    def query(db: sqlite3.Connection) -> object:
        begun.set()
        try:
            return endless(db)
        finally:
            ended.set()

    report = asyncio.create_task(reports.read(query, always))
    assert await asyncio.to_thread(begun.wait, 20)
    report.cancel()
    with pytest.raises(asyncio.CancelledError):
        await report
    assert await asyncio.to_thread(ended.wait, 20)
    assert await reports.read(charged, always) == 0


async def test_a_book_that_is_behind_is_not_waited_for(
    ledger: Ledger, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(tmp_path / "book.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(module, "_BOOKED", 0.05)
    ledger.post(CHARGE)
    assert "behind" in await refusal(reports)
    other.execute("ROLLBACK")
    other.close()
    monkeypatch.undo()
    await ledger.booked()
    assert await reports.read(charged, always) == 6


async def test_what_the_journal_does_not_take_is_a_problem(
    ledger: Ledger, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        ledger.post(CHARGE)
        await refusal(reports)
    assert await reports.read(charged, always) == 0


async def test_a_damaged_ledger_is_told_as_such(reports: Reports) -> None:
    with pytest.raises(BadStart, match="cannot be read: no such table"):
        await reports.read(lambda db: db.execute("SELECT * FROM elsewhere"), always)


async def test_closed_it_is_not_read(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    reports = Reports(tmp_path, ledger.booked)
    await ledger.close()
    await refusal(reports)
