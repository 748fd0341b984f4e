"""The register's file: opened by one process alone, made where it is missing, and refused where it is damaged."""

import os
import sqlite3
from pathlib import Path
from typing import Literal

from gateway.errors import BadStart
from gateway.jobs.schema import SCHEMA, VERSION, WORKSPACE

FILE = "jobs.sqlite3"

Durability = Literal["process", "power"]

# Bytes that the write-ahead log keeps of its longest.
_LOG = 16 * 1024 * 1024
# Seconds to wait for a process that is about to end.
_PATIENCE = 1.0


def connect(folder: Path, durability: Durability) -> sqlite3.Connection:
    """The register's file in the store's folder, locked against every other connection until this one is closed.

    Raises BadStart where it cannot be used.
    """
    path = folder / FILE
    try:
        # SQLite would let everybody read what it makes, and tells less of what it cannot open.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = _connected(path, durability)
    except (OSError, sqlite3.Error, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadStart(f"the register of refreshes {path} cannot be used: {reason}") from error
    return db


def _connected(path: Path, durability: Durability) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db, durability)
    except (sqlite3.Error, ValueError):
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, durability: Durability) -> None:
    """Raises sqlite3.Error or ValueError for a file that is damaged, another's, or in use."""
    # Before the log is first looked at: its index then needs no shared memory, and nobody else can write.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    version = _version(db)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA journal_size_limit = {_LOG}")
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
    db.execute("PRAGMA temp_store = MEMORY")
    if version == 0:
        db.executescript(SCHEMA)
    if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise ValueError(f"it is damaged: {' '.join(found.split())}")
    db.execute(WORKSPACE)
    # What cannot be written is told now.
    db.execute(f"PRAGMA user_version = {VERSION}")


def _version(db: sqlite3.Connection) -> int:
    """VERSION, or 0 for an empty file. Raises ValueError for any other."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    empty = not db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    if version != VERSION and not (version == 0 and empty):
        raise ValueError(f"it has version {version}, and this gateway reads {VERSION}")
    return version
