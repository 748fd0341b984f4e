"""The book's file: whole journal groups come in by one transaction, with the last one's number; minutes are sealed."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import orjson

from gateway.ledger import applying, migration, pruning, sealing
from gateway.ledger.accounts import Accounts, Balance
from gateway.ledger.applying import Group, Pause
from gateway.ledger.backlog import Batch
from gateway.ledger.records import Forced, LedgerCorrupt, Reserve, Term
from gateway.ledger.schema import VERSION

Durability = Literal["process", "power"]

# Bytes that the write-ahead log keeps on disk once a reader or a large transaction had made it longer.
_LOG = 16 << 20

# In SQLite a bare column is of the row that has the maximum.
_ORGANIZATIONS = """
SELECT holder, organization FROM (
    SELECT holder, organization, max(minute) FROM (
        SELECT holder, organization, minute FROM chain UNION ALL SELECT holder, organization, minute FROM open
    ) WHERE holder <> '' AND organization <> '' GROUP BY holder
)
"""


class Tables:
    """The book opened for writing and made where it is missing. Used by one thread at a time.

    `durability` power brings every transaction to the disk itself. A `path` of `:memory:` is a book of no file.
    Every method raises sqlite3.Error, the first one LedgerCorrupt for a book of a version unknown.
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
    def outdated(self) -> bool:
        """Whether the book is of a former version: all it can tell is `applied` until it is migrated."""
        return self._meta("version") in migration.FORMER

    @property
    def applied(self) -> int:
        """The number of the last group in the book."""
        return self._meta("applied")

    @property
    def sealed(self) -> int:
        """The last minute that is sealed; -1 at first."""
        return self._meta("sealed")

    @property
    def fleet(self) -> str:
        """The fleet whose ledger it follows, empty for none."""
        (fleet,) = self._db.execute("SELECT value FROM meta WHERE name = 'fleet'").fetchone()
        return str(fleet)

    def migrate(self, wall: float) -> None:
        """Brings an outdated book to the present version, at `wall` seconds."""
        with self._transaction():
            migration.migrate(self._db, wall)

    def load(self) -> Accounts:
        """Balances and open reservations as of `applied`."""
        accounts = Accounts()
        for holder, *columns in self._db.execute("SELECT * FROM balances"):
            granted, charged, reserved, lapsed, balance, period, given = columns
            accounts.put(holder, Balance(granted, charged, reserved, lapsed, balance, Term(period, given)))
        for row in self._db.execute("SELECT * FROM reservations"):
            reserve = Reserve._make(row)
            lines = tuple((name, part) for name, part in orjson.loads(row[Reserve._fields.index("lines")]))
            accounts.open[reserve.id] = reserve._replace(lines=lines)
        accounts.last_id = self._meta("last_id")
        return accounts

    def forced(self) -> Iterator[Forced]:
        """Force refreshes that may still count against a cap."""
        return (Forced(*row) for row in self._db.execute("SELECT * FROM forced ORDER BY at"))

    def following(self) -> tuple[dict[int, tuple[str, int]], dict[str, int]]:
        """Of a fleet's ledger: up to which entry and number it has each shard, and the shard of each holder."""
        places = {shard: (id_, number) for shard, id_, number in self._db.execute("SELECT * FROM positions")}
        return places, dict(self._db.execute("SELECT * FROM homes"))

    def organizations(self) -> dict[str, str]:
        """By holder the organization that was charged last of those spending from its balance."""
        return dict(self._db.execute(_ORGANIZATIONS))

    def apply(self, groups: Sequence[Group]) -> None:
        """Applies groups that follow `applied` in one transaction; those up to it are in the book already.

        Raises LedgerCorrupt where one is missing before them, and OverflowError for sums over 64 bits.
        """
        with self._transaction():
            applying.apply(self._db, groups)

    def add(self, batch: Batch, pause: Pause) -> None:
        """As `apply` does, with a batch that is whole in the book or not at all; `pause`s within the transaction."""
        with self._transaction():
            applying.add(self._db, batch, pause)

    def seal(self, wall: float) -> bool:
        """Seals the minutes that are over at `wall` seconds, their groups all being applied; whether more are left."""
        with self._transaction():
            return sealing.seal(self._db, sealing.over(wall))

    def prune(self, before: float, wall: float) -> bool:
        """Removes the oldest records, those from before `before`; now is `wall`, in seconds. Whether more are due."""
        with self._transaction():
            return pruning.prune(self._db, before, max(int(wall // 60), self.sealed + 1))

    def forget(self, now: float, boot: str, uptime: float) -> bool:
        """Removes force refreshes and kept answers that are over at `now` seconds; whether more are due.

        `boot` and `uptime` are `ports.Clock.uptime`.
        """
        with self._transaction():
            return pruning.forget(self._db, now, boot, uptime)

    def checkpoint(self) -> bool:
        """Brings what is applied to the disk itself; False while a reader keeps a part of it waiting."""
        busy, pages, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return not busy and pages == moved

    def close(self) -> None:
        """Closes the file, the last transaction rolled back if it has not ended."""
        self._db.close()

    def _prepare(self, durability: Durability) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA journal_size_limit = {_LOG}")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        if not self._db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            with self._transaction():
                migration.create(self._db)
        version = self._meta("version")
        if version not in (*migration.FORMER, VERSION):
            raise LedgerCorrupt(f"{self._path}: has version {version}, this gateway reads {VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _meta(self, name: str) -> int:
        value: int = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]
        return value
