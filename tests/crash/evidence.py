"""What a kill left behind in the store's folder, before anything starts on it again."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gateway.ledger.encoding import decode
from gateway.ledger.journal import replay
from gateway.ledger.records import LedgerCorrupt, Release, Reserve, Settle


@dataclass(frozen=True, slots=True)
class Evidence:
    """`reserved`: operations that had begun and not ended; `unapplied`: journal groups that the book did not have."""

    reserved: int
    unapplied: int


def evidence(store: Path) -> Evidence:
    """Looked for in a copy: opening a book that was left behind changes its files."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(store, Path(scratch) / "store"))
        with closing(sqlite3.connect(copy / "book.sqlite3")) as db:
            applied: int = db.execute("SELECT value FROM meta WHERE name = 'applied'").fetchone()[0]
            open_: set[int] = {number for (number,) in db.execute("SELECT id FROM reservations")}
        groups = [decode(payload) for _, payload in replay(copy / "journal", applied)]
    for record, _ in (entry for group in groups for entry in group):
        match record:
            case Reserve():
                open_.add(record.id)
            case Settle() | Release():
                open_.discard(record.reserve.id)
            case _:
                pass
    return Evidence(len(open_), len(groups))


def at_rest(store: Path) -> bool:
    """Whether the book of a gateway that runs holds all of the journal, and no reservation is open."""
    applied, reserved = _told(store)
    return reserved == 0 and not _follows(store, applied)


def is_behind(store: Path) -> bool:
    """Whether the book of a gateway that runs lacks groups that its journal holds."""
    applied, _ = _told(store)
    return _follows(store, applied)


def _follows(store: Path, applied: int) -> bool:
    """Whether the journal holds more; so it seems, too, where it was dropped since the book was asked."""
    try:
        return any(True for _ in replay(store / "journal", applied))
    except (LedgerCorrupt, FileNotFoundError):
        return True


def _told(store: Path) -> tuple[int, int]:
    """The last group in the book, and how many reservations are open in it."""
    with closing(sqlite3.connect(f"{(store / 'book.sqlite3').absolute().as_uri()}?mode=ro", uri=True)) as db:
        applied: int = db.execute("SELECT value FROM meta WHERE name = 'applied'").fetchone()[0]
        reserved: int = db.execute("SELECT count(*) FROM reservations").fetchone()[0]
    return applied, reserved
