"""The sums over all balances in the book and the group that they are of: memory's are held against them."""

import sqlite3

from gateway.ledger.totals import Sums

_SUMS = """
SELECT (SELECT value FROM meta WHERE name = 'applied'),
    sum(granted), sum(charged), sum(reserved), sum(lapsed), sum(balance) FROM balances
"""


def booked(db: sqlite3.Connection) -> tuple[int, Sums]:
    """The number of the last group in the book, and the sums after it. Raises sqlite3.Error."""
    applied, *columns = db.execute(_SUMS).fetchone()
    granted, charged, reserved, lapsed, balance = (value or 0 for value in columns)
    return applied, (granted, charged, reserved, lapsed, balance)
