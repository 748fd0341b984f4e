"""Sealing: the open rows of minutes that are over move into the chain, once and for good."""

import sqlite3

import orjson

from gateway.ledger import chain

BATCH = 200
"""Rows that one transaction moves at most: a millisecond's work for the interpreter, which the event loop needs too."""

GRACE = 5.0
"""Seconds past its end in which a minute still waits for its last groups."""

# In one piece: for every row that SQLite hands over, its thread lets go of the interpreter and waits for it again.
_ENDED = """
SELECT json_group_array(json_array(
    kind, minute, account, holder, organization, route, upstream, NULL, NULL, tokens,
    count, granted, charged, lapsed, cost, outcomes, '{}'
)) FROM (
    SELECT * FROM open WHERE minute <= ?
    ORDER BY minute, kind, account, route, tokens, holder, organization, upstream LIMIT ?
)
"""
_REMOVE = """
DELETE FROM open
WHERE (minute, kind, account, route, tokens, holder, organization, upstream) <= (?, ?, ?, ?, ?, ?, ?, ?)
"""


def over(wall: float) -> int:
    """The last minute that is over at `wall` (seconds)."""
    return int((wall - GRACE) // 60) - 1


def due(minute: int) -> float:
    """When `minute` is over, in wall-clock seconds."""
    return 60 * (minute + 1) + GRACE


def seal(db: sqlite3.Connection, minute: int) -> bool:
    """Seals the minutes up to `minute`, or some rows of them, within the caller's transaction; whether more are left.

    From then on nothing is posted to them. A minute sealed before stays so. Raises sqlite3.Error.
    """
    [(ended,)] = db.execute(_ENDED, (minute, BATCH))
    rows = [chain.Row(*row) for row in orjson.loads(ended)]
    if rows:
        last = rows[-1]
        key = (last.minute, last.kind, last.account, last.route, last.tokens, last.holder)
        db.execute(_REMOVE, (*key, last.organization, last.upstream))
        chain.append(db, rows)
    if len(rows) == BATCH:
        return True
    db.execute("UPDATE meta SET value = max(value, ?) WHERE name = 'sealed'", (minute,))
    return False
