"""Along a book's chain from its beginning, in pages: every record is where and what it was when it was sealed."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.ledger.accounts import Sums
from gateway.ledger.chain import GENESIS, Row, digest
from gateway.ledger.records import Term

_PAGE = 10_000

_ROWS = """
SELECT before, number, kind, minute, account, holder, organization, route, upstream, operation, request, tokens, count,
    granted, charged, lapsed, cost, outcomes, details FROM chain WHERE number > ? ORDER BY number LIMIT ?
"""


class Damage(Exception):
    """The book does not prove itself; the message names the first place where it does not."""


class Pruned(Exception):
    """The chain's beginning went while it was read."""


@dataclass(slots=True)
class Total:
    """Tokens of one holder, summed up from its postings and reservations."""

    granted: int = 0
    charged: int = 0
    lapsed: int = 0
    reserved: int = 0

    @property
    def columns(self) -> Sums:
        """What they make of its balance."""
        left = self.granted - self.charged - self.reserved - self.lapsed
        return self.granted, self.charged, self.reserved, self.lapsed, left

    def add(self, granted: int, charged: int, lapsed: int) -> None:
        """Adds a posting, or several in one sum."""
        self.granted += granted
        self.charged += charged
        self.lapsed += lapsed


class Totals(dict[str, Total]):
    """Totals by holder."""

    def __missing__(self, holder: str) -> Total:
        total = self[holder] = Total()
        return total


class Walk:
    """Along the chain. A record counts once the one after it, or the head, has confirmed its hash.

    `totals` has the postings by holder, without those `carried` at the beginning; `terms` the latest grant's, where
    that is in the chain; of `unknown_terms` the chain does not tell.
    """

    def __init__(self, db: sqlite3.Connection, noted: bytes | None) -> None:
        with moment(db):
            number, self.hash = beginning(db)
            self.number = number - 1
            self.carried = {holder: sums for holder, *sums in db.execute("SELECT * FROM carried")}
        self.totals = Totals()
        self.terms = dict[str, Term]()
        self.unknown_terms = set(self.carried)
        self.checkpoint: Row | None = None
        self.noted_found = noted in (None, self.hash)
        self._noted = noted
        self._unconfirmed: Row | None = None

    def on(self, db: sqlite3.Connection) -> None:
        """As far as the chain goes now. Raises Damage and Pruned."""
        while rows := db.execute(_ROWS, (self.number, _PAGE)).fetchall():
            if rows[0][1] != self.number + 1 and beginning(db)[0] > self.number + 1:
                raise Pruned
            for before, number, *columns in rows:
                self._take(number, before, Row(*columns))

    def end(self, number: int, head: object) -> None:
        """Says that the record that came last is the last one, by its `number` and hash. Raises Damage."""
        if number != self.number:
            raise Damage(f"the chain ends with record {self.number}, and its last one is {number}")
        if head != self.hash:
            raise Damage(f"record {self.number} is not what was sealed: the head is another hash")
        self._confirm()

    def _take(self, number: int, before: bytes, row: Row) -> None:
        if number != self.number + 1:
            raise Damage(f"record {self.number + 1} is missing: {number} comes next")
        if before != self.hash:
            raise Damage(f"record {self.number} is not what was sealed: record {number} holds another hash of it")
        self._confirm()
        self.number, self.hash, self._unconfirmed = number, digest(before, number, row), row
        self.noted_found = self.noted_found or self.hash == self._noted

    def _confirm(self) -> None:
        row, self._unconfirmed = self._unconfirmed, None
        if row is None:
            return
        if row.holder:
            self.totals[row.holder].add(row.granted, row.charged, row.lapsed)
        match row.kind:
            case "grant" | "opening":
                self.terms[row.holder] = Term(*details_of(row, "period", "given"))
                self.unknown_terms.discard(row.holder)
            case "renamed":
                self._rename(row.holder, *details_of(row, "former"))
            case "checkpoint":
                self.checkpoint = row
            case _:
                pass

    def _rename(self, holder: str, former: str) -> None:
        """The former holder begins anew; which term the other one goes on in, the record does not say."""
        self.terms.pop(holder, None)
        if holder == former:
            self.unknown_terms.discard(holder)
        else:
            self.unknown_terms.add(holder)


def beginning(db: sqlite3.Connection) -> tuple[int, bytes]:
    """The first record's number and the hash before it; where there is none, what they would be."""
    row: tuple[int, bytes] | None = db.execute("SELECT number, before FROM chain ORDER BY number LIMIT 1").fetchone()
    return row or (1, GENESIS)


def details_of(row: Row, *names: str) -> list[Any]:
    """What a record's details have under `names`. Raises Damage where they have not."""
    try:
        details = orjson.loads(row.details)
        return [details[name] for name in names]
    except (ValueError, KeyError, TypeError) as error:
        raise Damage(f"the details of a {row.kind} record make no sense: {row.details}") from error


@contextmanager
def moment(db: sqlite3.Connection) -> Iterator[None]:
    """The body sees one moment of the book."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
