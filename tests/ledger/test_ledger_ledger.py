import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ledger.samples import CHARGE, FORCED, FORCED_QUOTE, GRANT, SPENDER, SPENDERS, reserve, rows
from support.clock import FakeClock

from gateway.clock import SystemClock
from gateway.errors import BadStart, Problem, Reason
from gateway.ledger.accounts import Balance
from gateway.ledger.journal import replay
from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Entry, Record, Settle, Term, decode
from gateway.ledger.tables import Durability
from gateway.meter import Meter

TESTS = Path(__file__).parents[1]


@asynccontextmanager
async def opened(folder: Path, durability: Durability = "process") -> AsyncIterator[Ledger]:
    ledger = Ledger.open(folder, durability, FakeClock())
    try:
        yield ledger
    finally:
        await ledger.close()


def journal(folder: Path) -> list[list[Entry]]:
    return [decode(payload) for _, payload in replay(folder / "journal", 0)]


def is_healthy(ledger: Ledger) -> bool:
    """Asked anew each time, which a type checker does not expect of a property."""
    return ledger.healthy


def full_disk(file: int, data: bytes) -> int:
    raise OSError(28, os.strerror(28))


async def failure(waiter: asyncio.Future[None]) -> Reason:
    with pytest.raises(Problem) as caught:
        await waiter
    assert caught.value.retry_after == 1
    return caught.value.reason


# Groups


async def test_one_turns_records_are_one_group_and_equal_ones_are_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for record in (GRANT, CHARGE, CHARGE, reserve(1), CHARGE):
            ledger.post(record)
        await ledger.committed()
        ledger.post(CHARGE)
        await ledger.committed()
        assert journal(tmp_path) == [[(GRANT, 1), (CHARGE, 3), (reserve(1), 1)], [(CHARGE, 1)]]
        assert ledger.accounts.balance("acme") == Balance(2000, 24, 9, 0, 1967, Term(7, 2000))


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
        ledger.post(CHARGE)
        ledger.post(CHARGE)
        assert heard == []
        await ledger.committed()
        with monkeypatch.context() as broken:
            broken.setattr("os.write", full_disk)
            ledger.post(CHARGE)
            await failure(ledger.committed())
    assert heard == [(CHARGE, 2)]


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
        assert ledger.drift() == 0


async def test_a_number_that_cannot_be_written_is_charged_to_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(CHARGE._replace(tokens=2**64))
        assert await failure(ledger.committed()) is Reason.ledger_unavailable
        assert ledger.accounts.balance("acme") == Balance()


# Power


class Disk:
    """fdatasync that waits for the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.works = True
        monkeypatch.setattr("os.fdatasync", self)

    def __call__(self, file: int) -> None:
        self.reached.release()
        assert self.go.acquire(timeout=20)
        if not self.works:
            raise OSError(5, "disk")

    async def is_asked(self) -> None:
        assert await asyncio.to_thread(self.reached.acquire, timeout=20)


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
        ledger.post(CHARGE)
        await asyncio.to_thread(lambda: None)
        ledger.post(CHARGE)
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
        ledger.post(GRANT, lambda: undone.append("grant"))
        first = ledger.committed()
        await disk.is_asked()
        ledger.post(CHARGE, lambda: undone.append("charge"))
        second = ledger.committed()
        disk.go.release()
        assert await failure(first) is await failure(second) is Reason.ledger_unavailable
        assert undone == ["charge", "grant"]
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
    assert rows(tmp_path / "book.sqlite3", "SELECT count FROM lookups") == [(1,)]


# Start and end


async def test_what_was_posted_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for record in (GRANT, CHARGE, CHARGE, FORCED._replace(until=1e12)):
            ledger.post(record)
    async with opened(tmp_path) as ledger:
        assert ledger.accounts.balance("acme") == Balance(2000, 12, 0, 0, 1988, Term(7, 2000))
        assert ledger.forced == (FORCED._replace(until=1e12),)
        assert ledger.drift() == 0


async def test_the_journal_alone_is_enough(tmp_path: Path) -> None:
    async with opened(tmp_path / "one") as ledger:
        for record in (GRANT, CHARGE, reserve(4), FORCED, FORCED):
            ledger.post(record)
        await ledger.committed()
    for path in (tmp_path / "one").glob("book*"):
        path.unlink()
    async with opened(tmp_path / "one") as ledger:
        assert ledger.accounts.balance("acme") == Balance(2000, 6, 0, 0, 1994, Term(7, 2000))
        assert ledger.forced == (FORCED, FORCED)
        assert ledger.next_id() == 5
        ledger._book.drain()
        assert ledger.drift() == 0


async def test_open_reservations_are_released_at_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for record in (GRANT, reserve(1), reserve(2, 5), Settle(reserve(1), 9, False, "miss", 51.0), reserve(3)):
            ledger.post(record)
    for _ in range(2):
        async with opened(tmp_path) as ledger:
            assert ledger.accounts.balance("acme") == Balance(2000, 9, 0, 0, 1991, Term(7, 2000))
            assert ledger.accounts.open == {}
    assert rows(tmp_path / "book.sqlite3", "SELECT id, charged, outcome FROM operations ORDER BY id") == [
        (1, 9, "miss"),
        (2, 0, "abandoned"),
        (3, 0, "abandoned"),
    ]


async def test_ids_are_never_given_twice(tmp_path: Path) -> None:
    given = list[int]()
    for _ in range(3):
        async with opened(tmp_path) as ledger:
            for _ in range(2):
                given.append(ledger.next_id())
                ledger.post(reserve(given[-1], 0))
    assert given == [1, 2, 3, 4, 5, 6]


async def test_closed_it_takes_nothing(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    await ledger.close()
    with pytest.raises(Problem) as caught:
        ledger.post(CHARGE)
    assert caught.value.reason is Reason.ledger_unavailable
    assert ledger.accounts.balance("acme") == Balance()


async def test_a_journal_that_failed_is_healthy_again_without_another_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.ledger._RETRY", 0.001)
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


async def test_closing_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    ledger.post(CHARGE)
    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        await ledger.close()
    async with opened(tmp_path) as ledger:
        assert ledger.accounts.balance("acme") == Balance()


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(BadStart, match="in use by another process"):
            Ledger.open(tmp_path, "process", FakeClock())
    async with opened(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_a_bad_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadStart, match="cannot be written: Not a directory"):
        Ledger.open(tmp_path / "file" / "var", "process", FakeClock())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda folder: (folder / "book.sqlite3").write_bytes(b"x" * 9000), "not a database", id="book"),
        pytest.param(lambda folder: next((folder / "journal").iterdir()).unlink(), "is not there", id="segment"),
        pytest.param(lambda folder: flip(min((folder / "journal").iterdir())), "damaged", id="group"),
    ],
)
async def test_a_damaged_ledger_is_a_bad_start_and_is_let_go(tmp_path: Path, damage: object, message: str) -> None:
    await spend_in_segments(tmp_path)
    assert callable(damage)
    damage(tmp_path)
    for _ in range(2):
        with pytest.raises(BadStart, match=message):
            Ledger.open(tmp_path, "process", FakeClock())


async def spend_in_segments(folder: Path) -> None:
    """Leaves journal segments that the book has not applied: it is put back to how it was before them."""
    empty = Ledger.open(folder, "process", FakeClock())
    await empty.close()
    book = (folder / "book.sqlite3").read_bytes()
    ledger = Ledger.open(folder, "process", FakeClock())
    for number in range(4):
        ledger.post(CHARGE._replace(minute=number))
        await ledger.committed()
    await ledger.close()
    (folder / "book.sqlite3").write_bytes(book)
    first = min((folder / "journal").iterdir())
    text = first.read_bytes()
    second = len(text) // 2
    first.write_bytes(text[:second])
    first.with_name(f"{3:020}.journal").write_bytes(text[second:])


def flip(path: Path) -> None:
    text = bytearray(path.read_bytes())
    text[30] ^= 1
    path.write_bytes(text)


async def test_a_start_that_cannot_write_its_releases_is_a_bad_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(reserve(1))
    monkeypatch.setattr("os.write", full_disk)
    with pytest.raises(BadStart, match="No space left"):
        Ledger.open(tmp_path, "process", FakeClock())


# Figures


async def test_size_and_drift(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        empty = ledger.size()
        ledger.post(GRANT)
        await ledger.committed()
        ledger._book.drain()
        assert ledger.size() > empty > 0
        assert ledger.drift() == 0
        ledger.accounts.balance("acme").granted += 7
        ledger.accounts.balance("acme").balance += 7
        assert ledger.drift() == 14
        ledger.post(CHARGE)
        assert ledger.drift() == 0


async def test_an_unreadable_book_is_no_drift(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        (tmp_path / "book.sqlite3").rename(tmp_path / "elsewhere")
        assert ledger.drift() == 0


# A killed process


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_a_killed_process_loses_nothing_it_said_and_nothing_counts_twice(
    tmp_path: Path, durability: Durability
) -> None:
    acknowledged = killed_after(1000, tmp_path, durability)
    ledger = Ledger.open(tmp_path, durability, SystemClock())
    meter = Meter(ledger, SystemClock())
    meter.configure(SPENDERS)
    assert ledger.accounts.open == {}
    balance = ledger.accounts.balance("ci")
    with pytest.raises(Problem) as caught:
        meter.reserve(SPENDER, "product", FORCED_QUOTE)
    assert caught.value.reason is Reason.force_refresh_capped
    ledger._book.drain()
    assert ledger.drift() == 0
    await ledger.close()

    book = tmp_path / "book.sqlite3"
    operations = {str(number) for (number,) in rows(book, "SELECT id FROM operations WHERE charged = 1")}
    said = [name for name, _ in acknowledged if name != "reuse"]
    assert operations.issuperset(said)
    assert len(said) <= len(operations) <= len(said) + 1
    [(reuses,)] = rows(book, "SELECT sum(count) FROM lookups")
    assert reuses in (len(acknowledged) - len(said), len(acknowledged) - len(said) + 1)
    assert balance.charged == len(operations) + int(str(reuses))
    assert balance.reserved == 0
    assert rows(book, "SELECT count(*) FROM reservations") == [(0,)]


def killed_after(lines: int, folder: Path, durability: Durability) -> list[tuple[str, str]]:
    """What the spending process acknowledged before it was killed."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    command = [sys.executable, "-m", "ledger.poster", str(folder), durability]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        found += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    whole = [line.split() for line in found if line.endswith("\n")]
    assert len(whole) >= lines
    return [(name, tokens) for name, tokens in whole]
