"""Proof of a book: that its chain is whole, and that the balances are what its postings and reservations add up to.

What it cannot prove: whoever may write the book may also make a whole chain anew, up to its head. So note the head now
and then, elsewhere: one noted earlier must still be a hash in the chain. Nothing hashes the rows of the last minutes,
`open` and `reservations`, before they are sealed: they are proven as far as they count for a balance. A balance's term
is proven where its latest grant stands in the chain, and not where that is pruned or the balance was taken over.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import orjson

from gateway.ledger import chain
from gateway.ledger.accounts import Sums
from gateway.ledger.applying import Group
from gateway.ledger.pruning import carried_digest
from gateway.ledger.reader import open_book, open_ledger, steady, tail, told
from gateway.ledger.records import BEFORE_ANY, LedgerCorrupt
from gateway.ledger.walk import Damage, Pruned, Total, Totals, Walk, beginning, details_of, moment

_RESTARTS = 5

_OPEN = """
SELECT minute, kind, holder, tokens, count, granted, charged, lapsed, cost, outcomes FROM open
ORDER BY minute, kind, account, route, tokens, holder, organization, upstream
"""
_RESERVATIONS = "SELECT id, holder, period, tokens FROM reservations ORDER BY id"
_NOTHING_CARRIED = hashlib.sha256(b"[]").hexdigest()


class Proof(NamedTuple):
    """What was proven: the chain from record `first` to `last` with hash `head`, and sums over all `holders`.

    `sealed` is the last UTC minute in it for good; `waiting` groups follow in the journal.
    """

    first: int
    last: int
    head: bytes
    sealed: int
    holders: int
    sums: Sums
    waiting: int


def verify(book: Path, folder: Path | None = None, noted: bytes | None = None) -> Proof:
    """Proves `book`, and with `folder`, the ledger's it belongs to, that what follows in the journal can be read.

    `noted` must be the hash of a record in the chain, or of the last one pruned. The chain is read in pages, so that a
    running gateway is not held up. Raises Damage, and BadStart where there is no such book.
    """
    with closing(open_book(book) if folder is None else open_ledger(folder)) as db:
        try:
            for _ in range(_RESTARTS):
                try:
                    return _proof(db, folder, noted)
                except Pruned:
                    continue
            raise Damage("the chain's beginning went again and again while it was read")
        except (sqlite3.Error, LedgerCorrupt, ValueError, TypeError) as error:
            raise Damage(f"what the book holds cannot be read: {error}") from error


class _Open(NamedTuple):
    """An open row, as far as it can be judged."""

    minute: int
    kind: str
    holder: str
    tokens: int
    number: int
    granted: int
    charged: int
    lapsed: int
    cost: int
    outcomes: str

    @property
    def sound(self) -> bool:
        """Whether what it says of itself fits together."""
        counts: dict[str, int] = orjson.loads(self.outcomes)
        if self.kind == "spend":
            amounts = self.tokens, self.granted, self.charged, self.lapsed
            return amounts == (0, 0, 0, 0) and not self.holder and not counts
        # Charges that were given back count below zero, in a minute of their own if theirs is over.
        ended = bool(counts) and self.number == sum(counts.values())
        return self.kind == "lookups" and self.cost == 0 and ended and self.charged == self.tokens * self.number


def _proof(db: sqlite3.Connection, folder: Path | None, noted: bytes | None) -> Proof:
    walk = Walk(db, noted)
    walk.on(db)
    if folder is None:
        with moment(db):
            return _rest(db, walk, ())
    return steady(db, lambda applied: _rest(db, walk, tail(folder, applied)))


def _rest(db: sqlite3.Connection, walk: Walk, waiting: Iterable[Sequence[Group]]) -> Proof:
    """What came since the walk, and all that must fit together at one moment."""
    groups = sum(map(len, waiting))
    walk.on(db)
    walk.end(told(db, "last_number"), _head(db))
    _prove_beginning(db, walk)
    if not walk.noted_found:
        raise Damage("no record in the chain, nor the last one pruned, has the hash that was noted")
    holders, sums = _prove_balances(db, walk)
    return Proof(beginning(db)[0], walk.number, walk.hash, told(db, "sealed"), holders, sums, groups)


def _prove_beginning(db: sqlite3.Connection, walk: Walk) -> None:
    """The chain begins where its newest checkpoint says that all before is carried, and with these sums."""
    through, before, carried = 0, chain.GENESIS.hex(), _NOTHING_CARRIED
    if walk.checkpoint is not None:
        through, before, carried = details_of(walk.checkpoint, "through", "hash", "carried")
    first, hash_ = beginning(db)
    if (first, hash_.hex()) != (through + 1, before):
        raise Damage(f"the chain begins with record {first}, and should with {through + 1} after the one with {before}")
    if carried_digest(db) != carried:
        raise Damage("what is carried from pruned records is not what the newest checkpoint says")


def _head(db: sqlite3.Connection) -> object:
    row = db.execute("SELECT value FROM meta WHERE name = 'head'").fetchone()
    return row and row[0]


def _prove_balances(db: sqlite3.Connection, walk: Walk) -> tuple[int, Sums]:
    totals, holders, all_ = _totals(db, walk), 0, Total()
    for holder, *columns, period, given in db.execute("SELECT * FROM balances ORDER BY holder"):
        if holder not in totals:
            raise Damage(f"the balance of {holder!r} comes from no posting")
        total = totals.pop(holder)
        _prove_balance(holder, tuple(columns), total.columns)
        if holder not in walk.unknown_terms and walk.terms.get(holder, BEFORE_ANY) != (period, given):
            raise Damage(f"the balance of {holder!r} is in another period than its latest grant")
        all_.add(total.granted, total.charged, total.lapsed)
        all_.reserved += total.reserved
        holders += 1
    if totals:
        raise Damage(f"the balance of {min(totals)!r} is missing")
    return holders, all_.columns


def _prove_balance(holder: str, columns: tuple[int, ...], expected: Sums) -> None:
    if columns != expected:
        raise Damage(f"the balance of {holder!r} is {columns}, but its postings make it {expected}")
    if min(expected[2:]) < 0:
        raise Damage(f"the balance of {holder!r} is overspent: {columns}")


def _totals(db: sqlite3.Connection, walk: Walk) -> Totals:
    """What all holders' postings and open reservations add up to."""
    totals = Totals()
    for holder, total in walk.totals.items():
        totals[holder].add(total.granted, total.charged, total.lapsed)
    for holder, carried in walk.carried.items():
        totals[holder].add(*carried)
    _add_open(db, totals)
    _add_reservations(db, totals)
    return totals


def _add_open(db: sqlite3.Connection, totals: Totals) -> None:
    sealed = told(db, "sealed")
    for row in map(_Open._make, db.execute(_OPEN)):
        if row.minute <= sealed or not row.sound:
            raise Damage(f"an open row cannot be: {row}")
        if row.holder:
            totals[row.holder].add(row.granted, row.charged, row.lapsed)


def _add_reservations(db: sqlite3.Connection, totals: Totals) -> None:
    last_id = told(db, "last_id")
    for number, holder, period, tokens in db.execute(_RESERVATIONS):
        if not 0 < number <= last_id or tokens < 0:
            raise Damage(f"reservation {number} of {holder!r} cannot be")
        totals[holder].reserved += tokens
        totals[holder].granted += tokens if period is None else 0
