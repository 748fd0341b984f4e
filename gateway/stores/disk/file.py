"""The responses' file: opened where it can be trusted, and made anew where it cannot."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from gateway.ports import Clock
from gateway.stores.disk.schema import PAGE, SCHEMA, VERSION, remember, told

FILE = "responses.sqlite3"
NOTES = "responses-marks"

_LEFT = (FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal", NOTES, "responses-marks.new")

# Seconds by which clocks read one after the other may differ.
_LEEWAY = 1.0


class Untrusted(Exception):
    """What is in the file must not be served; the message says why."""


class Hour(NamedTuple):
    """When a process opens the file: the boot's name ("": unknown), steady seconds, and those at uptime 0."""

    boot: str
    now: float
    zero: float

    @classmethod
    def of(cls, clock: Clock) -> "Hour":
        """Now."""
        boot, uptime = clock.uptime()
        now = clock.steady()
        return cls(boot, now, now - uptime)


def remove(folder: Path) -> bool:
    """Leave nothing of it, the responses themselves first; whether there was any. Raises OSError."""
    there = [path for name in _LEFT if (path := folder / name).exists()]
    for path in there:
        path.unlink()
    return bool(there)


def made(folder: Path, limit: int) -> sqlite3.Connection:
    """An empty file in place of whatever there is. Raises OSError and sqlite3.Error."""
    for name in _LEFT[:4]:
        (folder / name).unlink(missing_ok=True)
    # SQLite would let everybody read what it makes.
    os.close(os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = _connected(folder, limit)
    try:
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA user_version = {VERSION}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def opened(folder: Path, limit: int, name: str | None, hour: Hour) -> sqlite3.Connection:
    """The file that there is, which the notes know by `name`. Raises Untrusted, sqlite3.Error and OSError."""
    if not (folder / FILE).exists():
        raise Untrusted("there is none")
    db = _connected(folder, limit)
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise Untrusted("it has another version")
        _trust(db, name, hour)
    except (Untrusted, sqlite3.Error):
        db.close()
        raise
    return db


def begin(db: sqlite3.Connection, hour: Hour, name: str) -> None:
    """Say whose it is from now on, and that it has not ended well: on the disk itself, before anything else is done."""
    _tell(db, name=name, boot=hour.boot, zero=hour.zero, ended=0)


def end(db: sqlite3.Connection, folder: Path) -> None:
    """Bring all to the disk itself, and then say so: from now on it is trusted after a power cut too."""
    _settle(db)
    descriptor = os.open(folder / FILE, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _tell(db, ended=1)


def new_name() -> str:
    """One that no file had."""
    return token_hex(16)


def _trust(db: sqlite3.Connection, name: str | None, hour: Hour) -> None:
    boot, zero, ended = told(db, "boot"), told(db, "zero"), told(db, "ended")
    if name is None or told(db, "name") != name:
        raise Untrusted("what was outdated is not noted beside it")
    same_boot = bool(hour.boot) and boot == hour.boot
    if not ended and not same_boot:
        raise Untrusted("the machine stopped, or was another one, before the process had ended")
    if hour.now < (told(db, "latest") or 0.0) - _LEEWAY or (same_boot and hour.zero < zero - _LEEWAY):
        raise Untrusted("the clock was set back")


def _connected(folder: Path, limit: int) -> sqlite3.Connection:
    uri = f"{(folder / FILE).absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        # Before the log is first looked at: its index then needs no shared memory, and nobody else can write.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute(f"PRAGMA page_size = {PAGE}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        log = min(1000, limit // 16 // PAGE)
        db.execute(f"PRAGMA wal_autocheckpoint = {log}")
        db.execute(f"PRAGMA journal_size_limit = {log * PAGE}")
        db.execute(f"PRAGMA max_page_count = {(limit - limit // 16) // PAGE}")
        # What a process has written outlasts it; whoever outlives the machine is told by `ended`.
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _tell(db: sqlite3.Connection, **what: object) -> None:
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    try:
        for name, value in what.items():
            remember(db, name, value)
        db.execute("COMMIT")
    except sqlite3.Error:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    _settle(db)
    db.execute("PRAGMA synchronous = OFF")


def _settle(db: sqlite3.Connection) -> None:
    """The log's content in the file, and that on the disk."""
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
