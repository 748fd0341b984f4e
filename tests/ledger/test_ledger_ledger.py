import asyncio
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger.ledgers import Disk, failure, full_disk, is_healthy, journal, opened
from ledger.samples import CHARGE, GRANT, reserve, rows, tab
from support.clock import FakeClock

from gateway.errors import Problem, Reason
from gateway.ledger.accounts import Balance
from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Record, Settle, Term
from gateway.ledger.sums import booked
from gateway.ledger.totals import Sums

# Groups


async def test_one_turns_records_are_one_group_and_equal_ones_are_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        lookups = tab(ledger.accounts)
        ledger.post(GRANT)
        ledger.count(lookups)
        ledger.post(reserve(1))
        assert ledger.count(lookups, 2) == 2000 - 18
        assert ledger.accounts.balance("acme") == Balance(2000, 18, 9, 0, 1973, Term(7, 2000))
        await ledger.committed()
        ledger.count(lookups)
        await ledger.committed()
        assert journal(tmp_path) == [[(GRANT, 1), (reserve(1), 1), (CHARGE, 3)], [(CHARGE, 1)]]
        assert ledger.accounts.balance("acme") == Balance(2000, 24, 9, 0, 1967, Term(7, 2000))
        await ledger.booked()
        assert rows(tmp_path / "book.sqlite3", "SELECT count FROM open") == [(4,)]
        assert await ledger.drift() == 0


async def test_with_nothing_under_way_committed_is_done_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        assert ledger.committed().done()
        ledger.post(CHARGE)
        assert not ledger.committed().done()
        await ledger.committed()
        assert ledger.committed().done()


async def test_a_caller_that_leaves_takes_nobody_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(CHARGE)
        gone, stays = ledger.committed(), ledger.committed()
        gone.cancel()
        await stays
        assert len(journal(tmp_path)) == 1


async def test_a_listener_hears_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = list[tuple[Record, int]]()
    async with opened(tmp_path) as ledger:
        ledger.listen(lambda record, count: heard.append((record, count)))
        lookups = tab(ledger.accounts)
        ledger.count(lookups)
        ledger.count(lookups)
        ledger.post(GRANT)
        assert heard == []
        await ledger.committed()
        with monkeypatch.context() as broken:
            broken.setattr("os.write", full_disk)
            ledger.count(lookups)
            await failure(ledger.committed())
    assert heard == [(GRANT, 1), (CHARGE, 2)]


async def test_a_group_that_is_not_written_is_undone_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone = list[str]()
    async with opened(tmp_path) as ledger:
        ledger.post(GRANT)
        await ledger.committed()
        with monkeypatch.context() as broken:
            broken.setattr("os.write", full_disk)
            for _ in range(2):
                ledger.post(reserve(1), lambda: undone.append("reserve"))
                ledger.post(Settle(reserve(1), 6, False, "miss", 51.0), lambda: undone.append("settle"))
                ledger.post(CHARGE, lambda: undone.append("charge"))
                assert ledger.accounts.balance("acme").charged == 12
                waiters = [ledger.committed(), ledger.committed()]
                gone = ledger.committed()
                gone.cancel()
                assert [await failure(waiter) for waiter in waiters] == [Reason.ledger_unavailable] * 2
                assert ledger.accounts.balance("acme") == Balance(2000, 0, 0, 0, 2000, Term(7, 2000))
                assert ledger.accounts.open == {}
                assert not is_healthy(ledger)
        assert undone == ["charge", "settle", "reserve"] * 2
        ledger.post(CHARGE)
        await ledger.committed()
        assert is_healthy(ledger)
        assert journal(tmp_path) == [[(GRANT, 1)], [(CHARGE, 1)]]
        ledger._book.drain()
        assert await ledger.drift() == 0


async def test_a_number_that_cannot_be_written_is_charged_to_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(CHARGE._replace(tokens=2**64))
        assert await failure(ledger.committed()) is Reason.ledger_unavailable
        assert ledger.accounts.balance("acme") == Balance()


# Power


async def test_with_power_the_next_group_gathers_while_one_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    async with opened(tmp_path, "power") as ledger:
        ledger.post(GRANT)
        first = ledger.committed()
        await disk.is_asked()
        assert journal(tmp_path) == [[(GRANT, 1)]]
        assert not first.done()
        late = ledger.committed()
        lookups = tab(ledger.accounts)
        ledger.count(lookups)
        await asyncio.to_thread(lambda: None)
        ledger.count(lookups)
        second = ledger.committed()
        disk.go.release()
        await first
        await late
        assert not second.done()
        disk.go.release()
        await second
        assert journal(tmp_path) == [[(GRANT, 1)], [(CHARGE, 2)]]


async def test_with_power_a_failed_sync_undoes_what_gathered_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, undone = Disk(monkeypatch), list[str]()
    async with opened(tmp_path, "power") as ledger:
        disk.works = False
        lookups = tab(ledger.accounts)
        ledger.post(GRANT, lambda: undone.append("grant"))
        ledger.count(lookups)
        first = ledger.committed()
        await disk.is_asked()
        ledger.post(reserve(1), lambda: undone.append("reserve"))
        ledger.count(lookups)
        second = ledger.committed()
        disk.go.release()
        assert await failure(first) is await failure(second) is Reason.ledger_unavailable
        assert undone == ["reserve", "grant"]
        assert lookups.count == 0
        assert ledger.accounts.balance("acme") == Balance()
        assert not is_healthy(ledger)
        disk.works = True
        disk.go.release()
        ledger.post(GRANT)
        await ledger.committed()
        assert is_healthy(ledger)
        assert journal(tmp_path) == [[(GRANT, 1)]]
    assert rows(tmp_path / "book.sqlite3", "SELECT granted, charged FROM balances") == [(2000, 0)]


async def test_with_power_closing_waits_for_the_last_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    ledger = Ledger.open(tmp_path, "power", FakeClock())
    ledger.post(CHARGE)
    closing = asyncio.create_task(ledger.close())
    await disk.is_asked()
    assert not closing.done()
    disk.go.release()
    await closing
    assert rows(tmp_path / "book.sqlite3", "SELECT count FROM open") == [(1,)]


# A journal that failed


async def test_a_journal_that_failed_is_healthy_again_without_another_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.writing._RETRY", 0.001)
    async with opened(tmp_path) as ledger:
        with monkeypatch.context() as broken:
            broken.setattr("os.write", full_disk)
            ledger.post(reserve(1))
            with pytest.raises(Problem):
                await ledger.committed()
            await asyncio.sleep(0.01)
            assert not is_healthy(ledger)
        for _ in range(10_000):
            await asyncio.sleep(0.001)
            if is_healthy(ledger):
                break
        assert is_healthy(ledger)
        assert ledger.accounts.open == {}
        async with asyncio.timeout(20):
            await ledger.booked()


async def test_a_journal_that_works_or_is_under_way_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    async with opened(tmp_path, "power") as ledger:
        ledger._try()
        disk.works = False
        ledger.post(GRANT)
        failed = ledger.committed()
        disk.go.release()
        await failure(failed)
        disk.works = True
        ledger.post(GRANT)
        again = ledger.committed()
        for _ in range(2):
            await disk.is_asked()
        ledger._try()
        disk.go.release()
        await again
        ledger._try()
        assert journal(tmp_path) == [[(GRANT, 1)]]


# Figures


async def test_size_and_drift(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        empty = ledger.size()
        ledger.post(GRANT)
        await ledger.committed()
        ledger._book.drain()
        assert ledger.size() > empty > 0
        assert await ledger.drift() == 0
        ledger.accounts.balance("acme").granted += 7
        ledger.accounts.balance("acme").balance += 7
        assert await ledger.drift() == 14
        ledger.post(CHARGE)
        assert await ledger.drift() == 0


async def test_an_unreadable_book_is_no_drift(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        (tmp_path / "book.sqlite3").rename(tmp_path / "elsewhere")
        assert await ledger.drift() == 0


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The book's sums are read no sooner than this is set."""
    go = threading.Event()

    def waiting(db: sqlite3.Connection) -> tuple[int, Sums]:
        go.wait()
        return booked(db)

    monkeypatch.setattr("gateway.ledger.ledger.booked", waiting)
    yield go
    go.set()


async def test_what_the_book_takes_in_meanwhile_is_no_drift(tmp_path: Path, slowly: threading.Event) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(GRANT)
        await ledger.booked()
        drift = asyncio.create_task(ledger.drift())
        await asyncio.sleep(0)
        ledger.post(CHARGE)
        await ledger.booked()
        slowly.set()
        assert await drift == 0


async def test_sums_that_take_too_long_are_no_drift(
    tmp_path: Path, slowly: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.ledger._PATIENCE", 0.01)
    async with opened(tmp_path) as ledger:
        assert await ledger.drift() == 0
        slowly.set()


async def test_once_closed_memory_is_all_that_can_drift(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(GRANT)
    ledger.accounts.balance("acme").balance += 3
    assert await ledger.drift() == 3


async def test_what_the_ledger_keeps_is_for_its_own_user_alone(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    ledger.post(GRANT)
    await ledger.committed()
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path) if entry.is_file()}
    assert {"book.sqlite3", "book.sqlite3-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    await ledger.close()
