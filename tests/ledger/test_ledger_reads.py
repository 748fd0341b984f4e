import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledger.samples import CHARGE, GRANT, reserve
from support.clock import FakeClock

from gateway.errors import Problem, Reason
from gateway.ledger import ledger as module
from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Settle

ENDLESS = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT count(*) FROM endless"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    yield ledger
    await ledger.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process writes the book for as long as the body runs."""
    other = sqlite3.connect(folder / "book.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def charged(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(sum(charged), 0) FROM balances").fetchone()[0])


def full_disk(file: int, data: bytes) -> int:
    raise OSError(28, os.strerror(28))


async def refusal(ledger: Ledger) -> Reason:
    with pytest.raises(Problem) as caught:
        await ledger.read(charged)
    assert caught.value.retry_after == 1
    return caught.value.reason


async def test_everything_posted_before_is_seen(ledger: Ledger) -> None:
    assert await ledger.read(charged) == 0
    for number in range(1, 20):
        ledger.post(CHARGE)
        assert await ledger.read(charged) == 6 * number


async def test_what_is_posted_while_others_read_is_in_no_ones_way(ledger: Ledger) -> None:
    ledger.post(GRANT)

    async def spend(number: int) -> int:
        ledger.post(reserve(number))
        await ledger.committed()
        ledger.post(Settle(reserve(number), 9, False, "refreshed", 60.0))
        return await ledger.read(charged)

    assert max(await asyncio.gather(*(spend(number) for number in range(1, 51)))) == 450


async def test_with_power_as_well(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "power", FakeClock())
    ledger.post(CHARGE)
    assert await ledger.read(charged) == 6
    await ledger.close()


async def test_a_book_out_of_reach_is_a_problem_and_then_is_there_again(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    with locked(tmp_path):
        ledger.post(CHARGE)
        assert await refusal(ledger) is Reason.ledger_unavailable
    monkeypatch.undo()
    await asyncio.wrap_future(ledger._book.reached(1))
    assert await ledger.read(charged) == 6


async def test_no_more_wait_than_its_bound(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 60.0)
    with locked(tmp_path):
        ledger.post(CHARGE)
        waiting = [asyncio.create_task(ledger.read(charged)) for _ in range(100)]
        await asyncio.sleep(0)
        assert await refusal(ledger) is Reason.ledger_unavailable
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        waiting.append(asyncio.create_task(ledger.read(charged)))
    assert await asyncio.gather(*waiting[1:]) == [6] * 100


async def test_a_query_that_takes_too_long_is_a_problem_of_its_own(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(module, "_PATIENCE", 0.1)
        with pytest.raises(Problem):
            await ledger.read(lambda db: db.execute(ENDLESS).fetchone())
    monkeypatch.setattr(module, "_PATIENCE", 60.0)
    assert await ledger.read(charged) == 0


async def test_a_query_that_cannot_be_run_is_a_problem(ledger: Ledger) -> None:
    with pytest.raises(Problem) as caught:
        await ledger.read(lambda db: db.execute("SELECT * FROM elsewhere"))
    assert caught.value.reason is Reason.ledger_unavailable


async def test_what_the_journal_does_not_take_is_a_problem_for_who_reads_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        ledger.post(CHARGE)
        assert await refusal(ledger) is Reason.ledger_unavailable
    assert await ledger.read(charged) == 0


async def test_closed_it_is_not_read(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    ledger.post(CHARGE)
    late = asyncio.create_task(ledger.read(charged))
    await ledger.committed()
    await ledger.close()
    assert await refusal(ledger) is Reason.ledger_unavailable
    with pytest.raises(Problem):
        await late


async def test_closing_leaves_no_log_behind(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    ledger.post(CHARGE)
    await ledger.read(charged)
    await ledger.close()
    assert sorted(await asyncio.to_thread(os.listdir, tmp_path)) == ["book.sqlite3", "journal", "lock"]


async def test_records_are_kept_as_long_as_asked(tmp_path: Path) -> None:
    clock = FakeClock()
    ledger = Ledger.open(tmp_path, "process", clock, keep=3600.0)
    ledger.post(GRANT._replace(at=clock.wall()))
    ledger.post(CHARGE._replace(minute=int(clock.wall() // 60)))
    for _ in range(62):
        clock.advance(60.0)
        await asyncio.to_thread(ledger._book.drain)
    assert await ledger.read(lambda db: db.execute("SELECT kind FROM chain").fetchall()) == [("checkpoint",)]
    assert await ledger.drift() == 0
    await ledger.close()
