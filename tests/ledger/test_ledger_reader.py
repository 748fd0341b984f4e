import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger.folders import DECEMBER, NOVEMBER, Store, filled, grant, lookup, reserve, settle, spend

from gateway.errors import BadStart
from gateway.ledger import reader
from gateway.ledger.reader import reading, steady
from gateway.ledger.records import LedgerCorrupt, Record
from gateway.ledger.recovery import BOOK, JOURNAL
from gateway.ledger.verify import verify

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "var")) as store:
        yield store


def sums(folder: Path) -> tuple[int, ...]:
    """Count, granted, charged, lapsed and cost over all postings."""
    with reading(folder) as db:
        found: tuple[int, ...] = db.execute(
            "SELECT sum(count), sum(granted), sum(charged), sum(lapsed), sum(cost) FROM postings"
        ).fetchone()
        return found


def test_book_and_journal_are_one(store: Store) -> None:
    store.post(grant("ci"), (lookup("ci"), 3))
    store.post((lookup("ci"), 2), spend("ci", 7), booked=False)
    reserved = reserve(1, "ci")
    store.post(reserved, settle(reserved), booked=False)
    assert sums(store.folder) == (3 + 2 + 1 + 1, 1000, 3 + 2 + 9, 0, 7)


SPLIT = [grant("ci"), lookup("ci"), lookup("ci", 6), reserve(1, "ci"), settle(reserve(1, "ci")), spend("ci", 3)]


@given(st.lists(st.sampled_from(SPLIT), min_size=1, max_size=12, unique=True), st.data())
def test_how_far_the_book_is_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], data: st.DataObject
) -> None:
    behind = data.draw(st.integers(0, len(records)))
    found = []
    for applied in (len(records), behind):
        with closing(Store(tmp_path_factory.mktemp("s") / "var")) as store:
            for number, record in enumerate(records):
                store.post(record, booked=number < applied)
            found.append(sums(store.folder))
    assert found[0] == found[1]


def test_what_comes_late_is_posted_after_the_sealed_minutes(store: Store) -> None:
    store.post(lookup("ci"))
    store.seal(NOVEMBER + 600)
    store.post(lookup("ci", at=NOVEMBER), booked=False)
    with reading(store.folder) as db:
        minutes = [minute for (minute,) in db.execute("SELECT minute FROM postings ORDER BY minute")]
    assert minutes == [NOVEMBER // 60, store.tables.sealed + 1]


def test_it_needs_no_lock_and_sees_one_moment(store: Store) -> None:
    store.post(lookup("ci"))
    with reading(store.folder) as db:
        store.post(lookup("ci"))
        assert db.execute("SELECT sum(count) FROM postings").fetchone() == (1,)
    assert sums(store.folder)[0] == 2


def test_a_segment_that_is_dropped_meanwhile_begins_it_anew(store: Store) -> None:
    store.post(lookup("ci"))
    taken = []

    def take(applied: int) -> int:
        taken.append(applied)
        if len(taken) == 1:
            store.post(lookup("ci"))
            raise LedgerCorrupt("group 2 is not there")
        return applied

    with closing(sqlite3.connect(store.folder / BOOK, isolation_level=None)) as db:
        assert steady(db, take) == 2
        assert db.in_transaction
    assert taken == [1, 2]


def test_one_that_stays_lost_is_damage(store: Store) -> None:
    store.post(lookup("ci"))
    store.post(lookup("ci"), booked=False)
    store.post(lookup("ci"), booked=False)
    (segment,) = (store.folder / JOURNAL).glob("*.journal")
    segment.rename(segment.with_name(f"{3:020}.journal"))
    with pytest.raises(BadStart, match="group 2 is not there"), reading(store.folder):
        pass


def damaged(folder: Path) -> None:
    (folder / BOOK).write_bytes(b"no database" * 1000)


def of_version(number: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / BOOK)) as db, db:
            db.execute("UPDATE meta SET value = ? WHERE name = 'version'", (number,))

    return change


def without_meta(folder: Path) -> None:
    with closing(sqlite3.connect(folder / BOOK)) as db, db:
        db.execute("DELETE FROM meta WHERE name = 'applied'")


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no book": (lambda folder: (folder / BOOK).unlink(), "there is no ledger"),
    "the former version": (of_version(1), "has version 1"),
    "a later version": (of_version(99), "has version 99"),
    "something else": (damaged, "not a database"),
    "no applied": (without_meta, "does not tell its applied"),
}


@pytest.mark.parametrize(("change", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable(tmp_path: Path, change: Callable[[Path], object], words: str) -> None:
    folder = tmp_path / "var"
    Store(folder).close()
    change(folder)
    with pytest.raises(BadStart, match=words), reading(folder):
        pass


def test_what_a_gateway_left_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(filled(tmp_path / "var")) as store:
        expected = sums(store.folder)
    left = sorted(store.folder.iterdir())
    # Root may write there all the same, so it looks as if it could not.
    store.folder.chmod(0o555)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with reading(store.folder):
        assert sums(store.folder) == expected
        assert sorted(store.folder.iterdir()) == left
    store.folder.chmod(0o755)


def test_a_journal_that_may_not_be_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path, after: int) -> Iterator[tuple[int, bytes]]:
        yield from ()
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with closing(Store(tmp_path / "var")) as store:
        monkeypatch.setattr(reader, "replay", refuse)
        with pytest.raises(BadStart, match="cannot be read: Permission denied"):
            verify(store.folder / BOOK, store.folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadStart, match="there is no ledger"), reading(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()


def test_errors_of_the_body_are_told_as_well(store: Store) -> None:
    with pytest.raises(BadStart, match="no such table"), reading(store.folder) as db:
        db.execute("SELECT * FROM absent")


def test_a_month_is_found_by_index(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "var")) as store, reading(store.folder) as db:
        plan = db.execute(
            "EXPLAIN QUERY PLAN SELECT sum(count) FROM postings WHERE minute >= ? AND minute < ?",
            (NOVEMBER // 60, DECEMBER // 60),
        ).fetchall()
    assert any("chain USING INDEX chain_minute" in step[3] for step in plan)
    assert any("open USING PRIMARY KEY" in step[3] for step in plan)
