import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger.samples import CHARGE, GRANT, rows
from support.clock import FakeClock
from support.polling import eventually

from gateway.ledger import book as module
from gateway.ledger.book import Book
from gateway.ledger.journal import Journal
from gateway.ledger.records import Record, encode
from gateway.ledger.tables import Tables


class Rig:
    """A journal and its book."""

    def __init__(self, folder: Path, segment: int = 1 << 20) -> None:
        self.path = folder / "book.sqlite3"
        self.segments = folder / "journal"
        self.segments.mkdir(exist_ok=True)
        tables = Tables(self.path, "process")
        self.journal = Journal(self.segments, tables.applied, segment)
        self.book = Book(tables, self.journal, FakeClock())

    def write(self, *records: Record, count: int = 1) -> int:
        return self.journal.append(encode((record, count) for record in records))

    def post(self, *records: Record) -> None:
        self.book.submit(self.write(*records), [(record, 1) for record in records])

    def lookups(self) -> int:
        return int(str(rows(self.path, "SELECT coalesce(sum(count), 0) FROM lookups")[0][0]))

    def lock(self) -> sqlite3.Connection:
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return other

    def close(self) -> None:
        self.book.close()
        self.journal.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def test_everything_submitted_is_applied_once(rig: Rig) -> None:
    rig.post(GRANT)
    for _ in range(100):
        rig.post(CHARGE)
    rig.book.drain()
    assert rig.book.applied == 101
    assert rig.lookups() == 100
    assert rig.book.sums() == (2000, 600, 0, 0, 1400)
    assert rig.book.healthy


def test_what_was_not_submitted_is_read_from_the_journal(rig: Rig) -> None:
    for _ in range(10):
        rig.write(CHARGE, count=2)
    rig.post(CHARGE)
    rig.book.drain()
    assert rig.book.applied == 11
    assert rig.lookups() == 21


def test_groups_that_may_still_be_retracted_are_left_alone(rig: Rig) -> None:
    rig.write(CHARGE)
    rig.book.follow(rig.write(CHARGE))
    rig.write(CHARGE)
    rig.book.drain()
    assert rig.book.applied == 2
    assert rig.lookups() == 2


def test_a_locked_book_is_tried_again_until_it_is_free(rig: Rig) -> None:
    other = rig.lock()
    rig.post(CHARGE)
    eventually(lambda: not rig.book.healthy)
    rig.post(CHARGE)
    other.execute("ROLLBACK")
    other.close()
    rig.book.drain()
    assert rig.book.healthy
    assert rig.lookups() == 2


def test_a_full_disk_is_waited_for(rig: Rig) -> None:
    rig.book.drain()
    rig.book._tables._db.execute("PRAGMA max_page_count = 1")
    for number in range(200):
        rig.post(CHARGE._replace(account=f"{number:0>100}"))
    eventually(lambda: not rig.book.healthy)
    rig.book._tables._db.execute("PRAGMA max_page_count = 1073741823")
    rig.book.drain()
    assert rig.book.healthy
    assert rig.lookups() == 200


def test_far_behind_it_queues_no_more_than_its_bound(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE", 5)
    monkeypatch.setattr(module, "BATCH", 3)
    other = rig.lock()
    for _ in range(30):
        rig.post(CHARGE)
    assert len(rig.book._queue) <= 5
    other.execute("ROLLBACK")
    other.close()
    rig.book.drain()
    for _ in range(4):
        rig.post(CHARGE)
    rig.book.drain()
    assert rig.lookups() == 34


def test_closing_gives_up_what_cannot_be_applied_and_the_next_book_goes_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.post(CHARGE)
    rig.book.drain()
    other = rig.lock()
    rig.post(CHARGE)
    rig.close()
    other.execute("ROLLBACK")
    other.close()
    again = Rig(tmp_path)
    assert again.book.applied == 1
    again.book.follow(2)
    again.close()
    assert again.lookups() == 2


def test_a_group_that_is_gone_from_the_journal_is_no_silent_loss(rig: Rig) -> None:
    rig.post(CHARGE)
    rig.book.drain()
    rig.book.follow(2)
    eventually(lambda: not rig.book.healthy)
    assert rig.book.applied == 1
    rig.write(CHARGE)
    rig.book.drain()
    assert rig.book.healthy
    assert rig.lookups() == 2


def test_applied_segments_leave_the_journal(tmp_path: Path) -> None:
    rig = Rig(tmp_path, segment=200)
    for _ in range(50):
        rig.post(CHARGE)
    rig.book.drain()
    assert [path.name for path in rig.segments.iterdir()] == [max(path.name for path in rig.segments.iterdir())]
    rig.close()


def test_segments_stay_while_a_reader_keeps_the_book_from_the_disk(tmp_path: Path) -> None:
    rig = Rig(tmp_path, segment=200)
    reader = sqlite3.connect(rig.path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM lookups").fetchone() == (0,)
    for _ in range(50):
        rig.post(CHARGE)
    rig.book.drain()
    assert len(list(rig.segments.iterdir())) > 1
    assert rig.book.healthy
    reader.close()
    rig.post(CHARGE)
    rig.book.drain()
    assert len(list(rig.segments.iterdir())) == 1
    rig.close()


def test_a_segment_that_cannot_be_removed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, segment=200)
    with monkeypatch.context() as broken:
        broken.setattr(rig.journal, "drop", refuse)
        for _ in range(50):
            rig.post(CHARGE)
        eventually(lambda: not rig.book.healthy)
    rig.book.drain()
    assert rig.book.healthy
    assert len(list(rig.segments.iterdir())) == 1
    assert rig.lookups() == 50
    rig.close()


def refuse(upto: int) -> None:
    raise PermissionError(f"groups up to {upto} stay")
