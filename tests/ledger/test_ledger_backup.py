import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from ledger.folders import NOVEMBER, Store, filled, lookup, reserve
from support.clock import FakeClock

from gateway.errors import BadStart
from gateway.ledger.applying import Group
from gateway.ledger.backup import backup
from gateway.ledger.ledger import Ledger
from gateway.ledger.reader import reading, tail
from gateway.ledger.recovery import BOOK
from gateway.ledger.verify import verify

COUNTS = "SELECT sum(count), sum(charged), sum(granted), sum(lapsed), sum(cost) FROM postings"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies" / "backup"


def names(file: Path) -> list[str]:
    """What stands in the folder for copies."""
    return sorted(path.name for path in file.parent.iterdir())


def behind(folder: Path) -> Store:
    """A store whose book lags."""
    store = filled(folder)
    store.post((lookup("ci", 2), 4), reserve(9, "shop", 5), booked=False)
    return store


def test_it_holds_book_and_journal(tmp_path: Path, file: Path) -> None:
    with closing(behind(tmp_path / "var")) as store:
        size = backup(store.folder, file)
        with reading(store.folder) as db:
            expected = db.execute(COUNTS).fetchone()
    assert (size, names(file)) == (file.stat().st_size, ["backup"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert verify(file).waiting == 0
    restored = tmp_path / "restored"
    restored.mkdir()
    file.rename(restored / BOOK)
    with reading(restored) as db:
        assert db.execute(COUNTS).fetchone() == expected


@pytest.fixture
def restored(tmp_path: Path, file: Path) -> Path:
    """A store's folder with a backup of another one, `var`, alone."""
    with closing(behind(tmp_path / "var")) as store:
        backup(store.folder, file)
    (tmp_path / "restored").mkdir()
    return file.rename(tmp_path / "restored" / BOOK).parent


async def test_a_gateway_starts_from_it(tmp_path: Path, restored: Path) -> None:
    clock = FakeClock(NOVEMBER + 3600)
    original, again = (Ledger.open(folder, "process", clock) for folder in (tmp_path / "var", restored))
    assert original.accounts.balances == again.accounts.balances
    assert again.accounts.balances["shop"].balance > 0
    await original.close()
    await again.close()
    assert verify(restored / BOOK, restored).sums == verify(tmp_path / "var" / BOOK, tmp_path / "var").sums


def test_it_overwrites_nothing(tmp_path: Path, file: Path) -> None:
    file.write_text("precious")
    with closing(filled(tmp_path / "var")) as store, pytest.raises(BadStart, match="exists already"):
        backup(store.folder, file)
    assert (file.read_text(), names(file)) == ("precious", ["backup"])


def test_one_that_another_was_quicker_with_stays(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(path: Path) -> None:
        file.write_text("precious")

    monkeypatch.setattr("gateway.ledger.backup._sync", sync)
    with closing(filled(tmp_path / "var")) as store, pytest.raises(BadStart, match="exists"):
        backup(store.folder, file)
    assert (file.read_text(), names(file)) == ("precious", ["backup"])


def test_the_gateway_goes_on_meanwhile(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the copy of the book and the journal's tail it posts, applies and seals."""
    with closing(filled(tmp_path / "var")) as store:

        def late(folder: Path, after: int) -> Iterator[Sequence[Group]]:
            store.post((lookup("ci", 7, NOVEMBER + 400), 3))
            store.seal(NOVEMBER + 400)
            return tail(folder, after)

        monkeypatch.setattr("gateway.ledger.backup.tail", late)
        backup(store.folder, file)
        assert verify(file).sums == verify(store.folder / BOOK).sums


UNWRITABLE = {"a folder that is not there": "none/backup", "a long name": "x" * 300}


@pytest.mark.parametrize("name", UNWRITABLE.values(), ids=UNWRITABLE)
def test_where_nothing_can_be_written(tmp_path: Path, name: str) -> None:
    with closing(filled(tmp_path / "var")) as store, pytest.raises(BadStart, match="cannot be copied"):
        backup(store.folder, tmp_path / name)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with closing(behind(tmp_path / "var")) as store:
        monkeypatch.setattr("gateway.ledger.backup.Tables.apply", full)
        with pytest.raises(BadStart, match="disk is full"):
            backup(store.folder, file)
    assert names(file) == []


def test_no_ledger(tmp_path: Path, file: Path) -> None:
    with pytest.raises(BadStart, match="there is no ledger"):
        backup(tmp_path / "none", file)
    assert names(file) == []
