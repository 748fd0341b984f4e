"""The book's SQLite tables: one transaction applies whole journal groups together with the last one's number."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, assert_never

import orjson

from gateway.ledger.accounts import Accounts, Balance, Sums
from gateway.ledger.records import (
    Charge,
    Entry,
    Forced,
    Grant,
    Lapse,
    LedgerCorrupt,
    Record,
    Refund,
    Release,
    Reserve,
    Settle,
    Term,
)

Durability = Literal["process", "power"]
Group = tuple[int, Sequence[Entry]]
"""A group's sequence number and its records."""

VERSION = 1
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE balances (
    holder TEXT PRIMARY KEY, granted INTEGER NOT NULL, charged INTEGER NOT NULL, reserved INTEGER NOT NULL,
    lapsed INTEGER NOT NULL, balance INTEGER NOT NULL, period INTEGER NOT NULL, given INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE lookups (
    account TEXT NOT NULL, route TEXT NOT NULL, tokens INTEGER NOT NULL, minute INTEGER NOT NULL,
    count INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (account, route, tokens, minute)
) STRICT, WITHOUT ROWID;
CREATE TABLE operations (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, organization TEXT NOT NULL, route TEXT NOT NULL,
    reserved INTEGER NOT NULL, charged INTEGER NOT NULL, lines TEXT NOT NULL, outcome TEXT NOT NULL,
    began REAL NOT NULL, ended REAL NOT NULL
) STRICT;
CREATE TABLE reservations (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, holder TEXT NOT NULL, organization TEXT NOT NULL,
    route TEXT NOT NULL, period INTEGER, tokens INTEGER NOT NULL, lines TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE forced (organization TEXT NOT NULL, at REAL NOT NULL, until REAL NOT NULL) STRICT;
INSERT INTO meta VALUES ('version', 1), ('applied', 0), ('last_id', 0);
"""
_ADD_BALANCE = """
INSERT INTO balances VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (holder) DO UPDATE SET
    granted = granted + excluded.granted, charged = charged + excluded.charged,
    reserved = reserved + excluded.reserved, lapsed = lapsed + excluded.lapsed,
    balance = balance + excluded.balance, period = max(period, excluded.period),
    given = CASE WHEN excluded.period >= 0 THEN excluded.given ELSE given END
"""
_ADD_LOOKUPS = """
INSERT INTO lookups VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, route, tokens, minute) DO UPDATE SET
    count = count + excluded.count, sum = sum + excluded.sum
"""


class Tables:
    """The book's file, opened for writing and made where it is missing. Used by one thread at a time.

    `durability` power brings every transaction to the disk itself. Every method raises sqlite3.Error,
    the first one LedgerCorrupt for a book of another version.
    """

    def __init__(self, path: Path, durability: Durability) -> None:
        self._path = path
        self._db = sqlite3.connect(path, timeout=0.25, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(durability)
        except (sqlite3.Error, LedgerCorrupt):
            self._db.close()
            raise

    @property
    def applied(self) -> int:
        """The number of the last group in the book."""
        return self._meta("applied")

    def load(self) -> Accounts:
        """Balances and open reservations as of `applied`."""
        accounts = Accounts()
        for holder, *columns in self._db.execute("SELECT * FROM balances"):
            granted, charged, reserved, lapsed, balance, period, given = columns
            accounts.balances[holder] = Balance(granted, charged, reserved, lapsed, balance, Term(period, given))
        for row in self._db.execute("SELECT * FROM reservations"):
            number, account, holder, organization, route, period, tokens, text, at = row
            lines = tuple((name, part) for name, part in orjson.loads(text))
            reserve = Reserve(number, account, holder, organization, route, period, tokens, lines, at)
            accounts.open[number] = reserve
        accounts.last_id = self._meta("last_id")
        return accounts

    def forced(self) -> Iterator[Forced]:
        """Force refreshes that may still count against a cap."""
        return (Forced(*row) for row in self._db.execute("SELECT * FROM forced ORDER BY at"))

    def apply(self, groups: Sequence[Group], wall: float) -> None:
        """Applies groups that follow `applied` in one transaction, and forgets the forced that are over at `wall`."""
        change = _Change()
        for _, entries in groups:
            for record, count in entries:
                change.add(record, count)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            change.write(self._db)
            self._db.execute("DELETE FROM forced WHERE until < ?", (wall,))
            self._db.execute("UPDATE meta SET value = ? WHERE name = 'applied'", (groups[-1][0],))
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def checkpoint(self) -> bool:
        """Brings what is applied to the disk itself; False while a reader keeps a part of it waiting."""
        busy, pages, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return not busy and pages == moved

    def sums(self) -> Sums:
        """The sums over all balances, read by a connection of its own from whatever thread."""
        reader = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.25)
        try:
            row = reader.execute(
                "SELECT sum(granted), sum(charged), sum(reserved), sum(lapsed), sum(balance) FROM balances"
            ).fetchone()
        finally:
            reader.close()
        granted, charged, reserved, lapsed, balance = (value or 0 for value in row)
        return granted, charged, reserved, lapsed, balance

    def close(self) -> None:
        """Closes the file, the last transaction rolled back if it has not ended."""
        self._db.close()

    def _prepare(self, durability: Durability) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        if not self._db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        if (version := self._meta("version")) != VERSION:
            raise LedgerCorrupt(f"{self._path}: has version {version}, this gateway reads {VERSION}")

    def _meta(self, name: str) -> int:
        value: int = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]
        return value


class _Change:
    """What a transaction changes, summed up: accounts that began empty hold the differences."""

    def __init__(self) -> None:
        self._accounts = Accounts()
        self._lookups: Counter[tuple[str, str, int, int]] = Counter()
        self._closed: list[tuple[int]] = []
        self._operations: list[tuple[object, ...]] = []
        self._refunds: list[tuple[object, ...]] = []
        self._forced: list[Forced] = []

    def add(self, record: Record, count: int) -> None:
        self._accounts.apply(record, count)
        match record:
            case Charge():
                self._lookups[record.account, record.route, record.tokens, record.minute] += count
            case Settle():
                self._close(record.reserve, record.tokens, record.outcome, record.at)
            case Release():
                self._close(record.reserve, 0, record.outcome, record.at)
            case Refund():
                self._refunds.append((record.tokens, record.outcome, record.at, record.reserve.id))
            case Forced():
                self._forced.extend([record] * count)
            case Grant() | Lapse() | Reserve():
                pass
            case _:
                assert_never(record)

    def write(self, db: sqlite3.Connection) -> None:
        db.executemany(
            _ADD_BALANCE,
            (
                (holder, b.granted, b.charged, b.reserved, b.lapsed, b.balance, *b.term)
                for holder, b in self._accounts.balances.items()
            ),
        )
        db.executemany(_ADD_LOOKUPS, ((*key, n, n * key[2]) for key, n in self._lookups.items()))
        db.executemany("INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._operations)
        db.executemany(
            "UPDATE operations SET charged = charged - ?, outcome = ?, ended = ? WHERE id = ?", self._refunds
        )
        db.executemany("DELETE FROM reservations WHERE id = ?", self._closed)
        db.executemany(
            "INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*r[:-2], _text(r), r.at) for r in self._accounts.open.values()),
        )
        db.executemany("INSERT INTO forced VALUES (?, ?, ?)", self._forced)
        db.execute("UPDATE meta SET value = max(value, ?) WHERE name = 'last_id'", (self._accounts.last_id,))

    def _close(self, reserve: Reserve, charged: int, outcome: str, at: float) -> None:
        r = reserve
        self._closed.append((r.id,))
        self._operations.append(
            (r.id, r.account, r.organization, r.route, r.tokens, charged, _text(r), outcome, r.at, at)
        )


def _text(reserve: Reserve) -> str:
    return orjson.dumps(reserve.lines).decode()
