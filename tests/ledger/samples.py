"""Records and read-outs that the ledger's tests share."""

import sqlite3
from pathlib import Path

from gateway.admission.charge import Quote
from gateway.admission.snapshot import Account, Every, Plan, Rate
from gateway.admission.throttle import TokenBucket
from gateway.ledger.accounts import Accounts
from gateway.ledger.records import BEFORE_ANY, Charge, Forced, Grant, Reserve, Term
from gateway.ledger.tab import Tab
from gateway.roster import Roster

LOOKUP_QUOTE = Quote(1, lines=(("base", 1),))
OPTIONS_QUOTE = Quote(6, lines=(("base", 1), ("offers", 5)))
FORCED_QUOTE = Quote(1, 3, forced=True, lines=(("base", 1), ("force_refresh", 3)))
SPENDER = Account("ci", "acme", Plan("pro", 1_000_000, Every.never), "ci", Rate(3, 3600.0))
SPENDERS = Roster.of([SPENDER], "UTC")

GRANT = Grant("acme", 2000, Term(7, 2000), BEFORE_ANY, 30.0)
CHARGE = Charge("ci", "acme", "acme", "product", "api", 6, 29_000_000, "hit", unlimited=False)
FORCED = Forced("acme", 100.0, 220.0, "boot", 10.0)


def tab(accounts: Accounts, record: Charge = CHARGE, bucket: TokenBucket | None = None) -> Tab:
    """One on the balance that the record is about."""
    return Tab(record, accounts.balance(record.holder), bucket)


def reserve(number: int, tokens: int = 9) -> Reserve:
    """A reservation for more than a plain lookup, unless `tokens` is 1."""
    lines = (("base", 1), ("force_refresh", 8))
    return Reserve(number, "ci", "acme", "acme", "product", "api", 7, tokens, lines, f"request-{number}", 50.0)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What a query finds in the book, read by a connection of its own."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()
