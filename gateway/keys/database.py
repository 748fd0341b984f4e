"""The key database: a SQLite file of made keys, held by their digest, and of the accounts that were made with them.

Every change is one transaction, on the disk itself before its method returns; one that fails changes nothing.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from gateway.errors import BadStart

FILE = "keys.sqlite3"
VERSION = 1

_SCHEMA = f"""
BEGIN;
CREATE TABLE accounts (
    id TEXT PRIMARY KEY, organization TEXT, plan TEXT, throttle TEXT, scopes TEXT NOT NULL, expires REAL,
    created REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, account TEXT NOT NULL, hint TEXT NOT NULL,
    test INTEGER NOT NULL, created REAL NOT NULL, expires REAL, revoked REAL
) STRICT;
CREATE INDEX keys_account ON keys (account);
CREATE INDEX keys_hint ON keys (hint);
PRAGMA user_version = {VERSION};
COMMIT;
"""
_ADD_ACCOUNT = "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_KEY = "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
# Seconds to wait for another connection's transaction.
_PATIENCE = 1.0


class MadeAccount(NamedTuple):
    """An account that the config does not have; times are wall-clock seconds.

    `throttle` is spelled as in the config, and so are `scopes`, with a space between two.
    """

    id: str
    organization: str | None
    plan: str | None
    throttle: str | None
    scopes: str
    expires: float | None
    created: float


class MadeKey(NamedTuple):
    """A made key, without the key: `number` names it, `hint` is what may be shown of it. Times are wall seconds."""

    number: int
    digest: bytes
    account: str
    hint: str
    test: bool
    created: float
    expires: float | None = None
    revoked: float | None = None

    def holds(self, wall: float) -> bool:
        """Whether it is neither revoked nor past its own end."""
        return self.revoked is None and (self.expires is None or wall < self.expires)

    def end(self, account: float | None) -> float | None:
        """When it ends, if its account ends at `account`; None for never."""
        return min([moment for moment in (self.expires, account) if moment is not None], default=None)


class Change(NamedTuple):
    """One transaction, in this order: keys revoked `at`, keys that end `until`, an account in place of one, a new key.

    The new key's own `number` is 0 where it is the next one.
    """

    at: float
    revoked: tuple[int, ...] = ()
    until: float = 0.0
    ending: tuple[int, ...] = ()
    account: MadeAccount | None = None
    key: MadeKey | None = None


class KeyDatabase:
    """The open file; used by one thread at a time. Every method raises sqlite3.Error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    def open(cls, folder: Path) -> "KeyDatabase":
        """The database in the store's folder, made where it is missing. Raises BadStart where it cannot be used."""
        with _told(folder / FILE):
            # SQLite would let everybody read what it makes; of what fails it tells itself.
            with suppress(OSError):
                os.close(os.open(folder / FILE, os.O_RDONLY | os.O_CREAT, 0o600))
            db = _connected(folder / FILE, "rw")
            try:
                _prepare(db)
            except (sqlite3.Error, ValueError):
                db.close()
                raise
            return cls(db)

    @classmethod
    def reading(cls, folder: Path) -> "KeyDatabase | None":
        """The database for reading alone, while a gateway writes or not; None where no key was ever made.

        Raises BadStart where it cannot be read. What a dead process has left half written is taken back first: so the
        file is opened for writing, and the connection refuses every change.
        """
        if not (folder / FILE).exists():
            return None
        with _told(folder / FILE):
            db = _connected(folder / FILE, "rw")
            try:
                db.execute("PRAGMA query_only = ON")
                version = _version(db)
            except (sqlite3.Error, ValueError):
                db.close()
                raise
            if version == 0:
                db.close()
                return None
            return cls(db)

    @classmethod
    def in_memory(cls) -> "KeyDatabase":
        """An empty one, which is gone once it is closed."""
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        _prepare(db)
        return cls(db)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def accounts(self) -> dict[str, MadeAccount]:
        """Every account that was made, by id."""
        return {row[0]: MadeAccount._make(row) for row in self._db.execute("SELECT * FROM accounts")}

    def account(self, id_: str) -> MadeAccount | None:
        """The account that was made under this id."""
        row = self._db.execute("SELECT * FROM accounts WHERE id = ?", (id_,)).fetchone()
        return None if row is None else MadeAccount._make(row)

    def unrevoked(self) -> Iterator[MadeKey]:
        """Every key that is not revoked, those past their end among them."""
        return map(_key, self._db.execute("SELECT * FROM keys WHERE revoked IS NULL"))

    def listed(self, after: int = 0, most: int = -1) -> list[MadeKey]:
        """Keys in the order they were made: those behind number `after`, at most `most`; all, if that is negative."""
        return _keys(self._db.execute("SELECT * FROM keys WHERE number > ? ORDER BY number LIMIT ?", (after, most)))

    def keys_of(self, account: str) -> list[MadeKey]:
        """The keys of an account, in the order they were made."""
        return _keys(self._db.execute("SELECT * FROM keys WHERE account = ? ORDER BY number", (account,)))

    def numbered(self, number: int) -> list[MadeKey]:
        """The key of this number, if there is one."""
        return _keys(self._db.execute("SELECT * FROM keys WHERE number = ?", (number,)))

    def hinted(self, hint: str) -> list[MadeKey]:
        """Every key that is shown as `hint`."""
        return _keys(self._db.execute("SELECT * FROM keys WHERE hint = ? ORDER BY number", (hint,)))

    def next_number(self) -> int:
        """The number of the next key."""
        number: int = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM keys").fetchone()[0]
        return number

    def apply(self, change: Change) -> int:
        """Makes a whole change, or nothing of it; the number of its new key, 0 without one."""
        with self._whole():
            return self._write(change)

    def replace(self, accounts: Iterable[MadeAccount], keys: Iterable[MadeKey]) -> None:
        """Holds these and nothing else from now on."""
        with self._whole():
            for table in ("accounts", "keys"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - no word of another's
            self._db.executemany(_ADD_ACCOUNT, accounts)
            self._db.executemany(_ADD_KEY, keys)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """One transaction, undone where it does not end well."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _write(self, change: Change) -> int:
        db = self._db
        db.executemany("UPDATE keys SET revoked = ? WHERE number = ?", [(change.at, n) for n in change.revoked])
        db.executemany("UPDATE keys SET expires = ? WHERE number = ?", [(change.until, n) for n in change.ending])
        if change.account is not None:
            db.execute(_ADD_ACCOUNT, change.account)
        if change.key is None:
            return 0
        return db.execute(_ADD_KEY, (change.key.number or None, *change.key[1:])).lastrowid or 0


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of an opening as the one line of a bad start."""
    try:
        yield
    except (sqlite3.Error, ValueError) as error:
        raise BadStart(f"the key database {path} cannot be used: {error}") from error


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)


def _prepare(db: sqlite3.Connection) -> None:
    """Raises sqlite3.Error or ValueError for a file that is damaged or another's."""
    # FULL and the folder as well: after a power cut no revoked key may be valid again.
    db.execute("PRAGMA synchronous = EXTRA")
    if _version(db) == 0:
        db.executescript(_SCHEMA)
    if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise ValueError(f"it is damaged: {' '.join(found.split())}")


def _version(db: sqlite3.Connection) -> int:
    """VERSION, or 0 for an empty file. Raises ValueError for any other."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    empty = not db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    if version != VERSION and not (version == 0 and empty):
        raise ValueError(f"it has version {version}, and this gateway reads {VERSION}")
    return version


def _key(row: tuple[int, bytes, str, str, int, float, float | None, float | None]) -> MadeKey:
    return MadeKey(*row[:4], bool(row[4]), *row[5:])


def _keys(rows: sqlite3.Cursor) -> list[MadeKey]:
    return list(map(_key, rows))
