"""A journal and the book that follows it, for the book's tests."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path

from ledger.auditing import audit
from ledger.samples import rows
from support.clock import FakeClock

from gateway.ledger.book import Book
from gateway.ledger.encoding import encode
from gateway.ledger.journal import Journal
from gateway.ledger.records import Record
from gateway.ledger.sums import booked
from gateway.ledger.tables import Tables
from gateway.ledger.totals import Sums


class Rig:
    """A journal and its book."""

    def __init__(self, folder: Path, segment: int = 1 << 20, keep: float = math.inf) -> None:
        self.path = folder / "book.sqlite3"
        self.clock = FakeClock()
        self.segments = folder / "journal"
        self.segments.mkdir(exist_ok=True)
        tables = Tables(self.path, "process")
        self.journal = Journal(self.segments, tables.applied, segment)
        self.book = Book(tables, self.journal, self.clock, keep)
        self.book.drain()

    def write(self, *records: Record, count: int = 1) -> int:
        return self.journal.append(encode((record, count) for record in records))

    def post(self, *records: Record) -> None:
        self.book.submit(self.write(*records), [(record, 1) for record in records])

    def lookups(self) -> int:
        """Lookups of the chain and of open rows together."""
        both = "SELECT count FROM open UNION ALL SELECT count FROM chain WHERE kind = 'lookups'"
        return int(str(rows(self.path, f"SELECT coalesce(sum(count), 0) FROM ({both})")[0][0]))

    def sums(self) -> Sums:
        """Over all balances in the book."""
        with closing(sqlite3.connect(self.path)) as db:
            return booked(db)[1]

    def audit(self) -> None:
        with closing(sqlite3.connect(self.path)) as db:
            audit(db)

    def lock(self) -> sqlite3.Connection:
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return other

    def close(self) -> None:
        self.book.close()
        self.journal.close()
