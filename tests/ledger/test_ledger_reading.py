import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ledger.reading import Reader

ENDLESS = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT count(*) FROM endless"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "book #1?.sqlite3"
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE sums (value INTEGER)")
    db.execute("INSERT INTO sums VALUES (7)")
    db.commit()
    db.close()
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    reader = Reader(path)
    yield reader
    reader.close()


def value(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT value FROM sums").fetchone()[0])


async def test_a_query_sees_one_moment_of_the_book(reader: Reader, path: Path) -> None:
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def twice(db: sqlite3.Connection) -> tuple[int, int]:
        before = value(db)
        writer.execute("UPDATE sums SET value = value + 1")
        return before, value(db)

    assert await reader.read(twice, 60.0) == (7, 7)
    assert await reader.read(value, 60.0) == 8
    writer.close()


async def test_nothing_can_be_written(reader: Reader) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await reader.read(lambda db: db.execute("UPDATE sums SET value = 0"), 60.0)
    assert await reader.read(value, 60.0) == 7


async def test_a_query_that_takes_too_long_is_broken_off_and_the_next_one_goes_on(reader: Reader) -> None:
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        await reader.read(lambda db: db.execute(ENDLESS).fetchone(), 0.05)
    assert await reader.read(value, 60.0) == 7


async def test_what_a_query_raises_reaches_its_caller_and_nobody_else(reader: Reader) -> None:
    def wrong(db: sqlite3.Connection) -> int:
        raise LookupError(db.execute("SELECT 1").fetchone())

    with pytest.raises(LookupError):
        await reader.read(wrong, 60.0)
    assert await reader.read(value, 60.0) == 7


async def test_a_book_that_is_not_there_yet_is_opened_later(tmp_path: Path, path: Path) -> None:
    reader = Reader(tmp_path / "later")
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await reader.read(value, 60.0)
    await asyncio.to_thread(path.rename, tmp_path / "later")
    assert await reader.read(value, 60.0) == 7
    reader.close()


async def test_a_query_whose_caller_left_before_its_turn_is_not_run(reader: Reader) -> None:
    begun, go, ran = threading.Event(), threading.Event(), list[str]()

    def first(db: sqlite3.Connection) -> None:
        begun.set()
        assert go.wait(20)

    running = asyncio.create_task(reader.read(first, 60.0))
    assert await asyncio.to_thread(begun.wait, 20)
    waiting = asyncio.create_task(reader.read(lambda db: ran.append("second"), 60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    go.set()
    await running
    await reader.read(lambda db: ran.append("third"), 60.0)
    assert ran == ["third"]


async def test_closing_waits_for_what_is_under_way(path: Path) -> None:
    reader = Reader(path)
    running = asyncio.create_task(reader.read(value, 60.0))
    await asyncio.sleep(0)
    await asyncio.to_thread(reader.close)
    assert await running == 7
