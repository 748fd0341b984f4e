"""Holds the book on disk against the reference, once everything in the journal is applied."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from ledger.model_purse import Purse, Term
from ledger.model_reference import Books

from gateway.ledger.receipts import receipt
from gateway.ledger.verify import verify

_POSTINGS = """
SELECT account, kind, charged, cost FROM chain UNION ALL SELECT account, kind, charged, cost FROM open
"""


def audit(folder: Path, books: Books, *, pruned: bool) -> None:
    """Balances and open reservations; in a book that keeps all, also charges by account and operation, and receipts."""
    with closing(sqlite3.connect(f"file:{folder / 'book.sqlite3'}?mode=ro", uri=True)) as db:
        _balances(db, books.purses)
        reserved = {number for number, operation in books.operations.items() if operation.state == "reserved"}
        assert {number for (number,) in db.execute("SELECT id FROM reservations")} == reserved
        if not pruned:
            _charges(db, books)
            _receipts(db, books)


def prove(folder: Path) -> None:
    """The hash chain, and that every balance comes from it."""
    verify(folder / "book.sqlite3", folder)


def term_of(period: int, given: int) -> Term:
    """A term of the ledger's; beyond whole minutes, its period's id tells the kind of a plan with carry-over."""
    kinds = {0: 0, 31: 1, 32: 2, 33: 3}
    return Term(period - period % 60, kinds[period % 60], given) if period >= 0 else Term()


def _balances(db: sqlite3.Connection, expected: dict[str, Purse]) -> None:
    rows = db.execute("SELECT holder, granted, charged, reserved, lapsed, balance, period, given FROM balances")
    purses = {holder: Purse(g, c, r, lapsed, b, term_of(*term)) for holder, g, c, r, lapsed, b, *term in rows}
    assert {holder: purse for holder, purse in purses.items() if purse != Purse()} == expected


def _charges(db: sqlite3.Connection, books: Books) -> None:
    lookups = "('lookups', 'charge', 'refund')"
    rows = db.execute(
        f"SELECT account, sum(charged) FROM ({_POSTINGS}) WHERE kind IN {lookups} GROUP BY 1 HAVING sum(charged) != 0"
    )
    assert Counter(dict(rows.fetchall())) == +books.charged
    assert db.execute(f"SELECT ifnull(sum(cost), 0) FROM ({_POSTINGS})").fetchone() == (books.spent,)


def _receipts(db: sqlite3.Connection, books: Books) -> None:
    charges = [number for (number,) in db.execute("SELECT operation FROM chain WHERE kind = 'charge'")]
    assert len(charges) == len(set(charges))
    for number, operation in books.operations.items():
        if operation.charged and operation.quote.total > operation.quote.lines[0][1]:
            told = receipt(db, operation.account.id, number)
            assert told is not None
            assert (told["charged"], told["tokens"]) == (operation.charged, operation.paid)
