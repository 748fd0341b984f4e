"""A copy of the whole ledger in one file, while a gateway runs on it or not: the book, and in it the journal's tail."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.errors import BadStart
from gateway.ledger.reader import open_ledger, steady, tail
from gateway.ledger.records import LedgerCorrupt
from gateway.ledger.tables import Tables


def backup(folder: Path, file: Path) -> int:
    """Writes the ledger in `folder` to `file`, a book that holds all of it, and returns its bytes.

    `file` is there whole and on the disk itself, or not at all; one that exists is not overwritten. Put into an empty
    folder as `recovery.BOOK` it is a store that a gateway starts from. Raises BadStart.
    """
    if os.path.lexists(file):
        raise BadStart(f"{file} exists already, and a backup overwrites nothing")
    try:
        with closing(open_ledger(folder)) as db, _place_for(file) as copy:
            steady(db, lambda applied: _copy(db, folder, applied, copy))
            _sync(copy)
            # Unlike a rename it fails where another backup was quicker.
            os.link(copy, file)
            _sync(file.absolute().parent)
    except (sqlite3.Error, LedgerCorrupt, OSError) as error:
        raise BadStart(f"the ledger in {folder} cannot be copied to {file}: {error}") from error
    return file.stat().st_size


@contextmanager
def _place_for(file: Path) -> Iterator[Path]:
    """An empty file beside `file`, gone when the body ends."""
    number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.absolute().parent)
    os.close(number)
    try:
        yield Path(name)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(name + suffix).unlink(missing_ok=True)


def _copy(db: sqlite3.Connection, folder: Path, applied: int, copy: Path) -> None:
    """The moment that `db` sees, and what stands in the journal after group `applied`."""
    with closing(sqlite3.connect(copy)) as target:
        db.backup(target)
    with closing(Tables(copy, "process")) as tables:
        for groups in tail(folder, applied):
            tables.apply(groups)
    # A single file, which can be read where nothing can be written beside it.
    with closing(sqlite3.connect(copy)) as target:
        target.execute("PRAGMA journal_mode = DELETE")


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
