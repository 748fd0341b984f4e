"""A store's folder with what a test posts, in the book or in the journal alone, as a gateway leaves it behind."""

from datetime import UTC, datetime
from pathlib import Path

from gateway.ledger.encoding import encode
from gateway.ledger.journal import Journal
from gateway.ledger.records import (
    BEFORE_ANY,
    Charge,
    Correction,
    Entry,
    Grant,
    Record,
    Refund,
    Release,
    Reserve,
    Settle,
    Spend,
    Term,
)
from gateway.ledger.recovery import BOOK, JOURNAL
from gateway.ledger.tables import Tables

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
LINES = (("base", 1), ("offers", 5), ("force_refresh", 3))


def grant(holder: str, tokens: int = 1000, at: float = NOVEMBER) -> Grant:
    return Grant(holder, tokens, Term(7, tokens), BEFORE_ANY, at)


def correction(holder: str, tokens: int, at: float = NOVEMBER) -> Correction:
    return Correction(holder, tokens, "goodwill", at)


def lookup(account: str, tokens: int = 1, at: float = NOVEMBER, outcome: str = "hit", route: str = "product") -> Charge:
    return Charge(account, account, "acme", route, "api", tokens, int(at // 60), outcome, unlimited=False)


def reserve(number: int, account: str, tokens: int = 9, at: float = NOVEMBER, request: str = "req") -> Reserve:
    return Reserve(number, account, account, "acme", "product", "api", 7, tokens, LINES, request, at)


def settle(reserved: Reserve, tokens: int = 9, outcome: str = "refreshed", after: float = 1.5) -> Settle:
    return Settle(reserved, tokens, False, outcome, reserved.at + after)


def release(reserved: Reserve, outcome: str = "upstream_error") -> Release:
    return Release(reserved, False, outcome, reserved.at + 1)


def refund(reserved: Reserve, tokens: int = 9, outcome: str = "truncated") -> Refund:
    return Refund(reserved, tokens, False, outcome, reserved.at + 2)


def spend(account: str, tokens: int, at: float = NOVEMBER) -> Spend:
    return Spend(account, "acme", "product", "api", tokens, int(at // 60))


class Store:
    """Posts a group for each call, to the book as well unless `booked` says otherwise, and then none after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / JOURNAL).mkdir(parents=True)
        self.tables = Tables(folder / BOOK, "process")
        self.journal = Journal(folder / JOURNAL, 0)

    def post(self, *records: Record | Entry, booked: bool = True) -> None:
        entries: list[Entry] = [(record, 1) if isinstance(record, Record) else record for record in records]
        sequence = self.journal.append(encode(entries))
        if booked:
            self.tables.apply([(sequence, entries)])

    def seal(self, at: float) -> None:
        """Every minute before `at` is sealed."""
        self.tables.seal(at + 60)

    def close(self) -> None:
        self.tables.close()
        self.journal.close()


def filled(folder: Path) -> Store:
    """One with a bit of everything: sealed, open, reserved, and the end of it in the journal alone."""
    store = Store(folder)
    store.post(grant("ci"), grant("shop", 500))
    store.post((lookup("ci"), 3), lookup("ci", 6), (lookup("shop", 1, outcome="stale"), 2), spend("ci", 4))
    first, second, third, last = (reserve(number, "ci", at=NOVEMBER + number) for number in range(1, 5))
    store.post(first, second, third)
    store.post(settle(first), release(second))
    store.post(settle(third, 6, "undelivered"))
    store.seal(NOVEMBER + 120)
    store.post(refund(third, 6), correction("shop", -20, NOVEMBER + 130), last)
    store.post((lookup("ci", 1, NOVEMBER + 200), 2), spend("shop", 2, NOVEMBER + 200))
    return store
