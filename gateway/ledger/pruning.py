"""Pruning: what is older than is kept goes from the chain's beginning, and its postings are carried in one sum each.

A checkpoint at the chain's end says up to which record, with which hash, and with which sums: `verify` starts there.
"""

import hashlib
import sqlite3

import orjson

from gateway.ledger import chain

BATCH = 50_000
"""Records that one transaction removes at most."""

ANSWERS = 500
"""Kept answers that one transaction removes at most; one may be large."""

# A checkpoint alone is no reason for another one.
_DUE = """
SELECT max(number) FROM (SELECT number, kind, minute FROM chain ORDER BY number LIMIT ?)
WHERE kind <> 'checkpoint' AND number < coalesce(
    (SELECT min(number) FROM (SELECT number, minute FROM chain ORDER BY number LIMIT ?) WHERE 60 * (minute + 1) > ?),
    number + 1
)
"""
_CARRY = """
INSERT INTO carried
SELECT holder, sum(granted), sum(charged), sum(lapsed) FROM chain WHERE number <= ? AND holder <> '' GROUP BY holder
ON CONFLICT DO UPDATE SET
    granted = granted + excluded.granted, charged = charged + excluded.charged, lapsed = lapsed + excluded.lapsed
"""
_CARRIED = """
SELECT json_group_array(json_array(holder, granted, charged, lapsed))
FROM (SELECT * FROM carried WHERE holder > ? ORDER BY holder LIMIT ?)
"""
# Holders read by one statement, in one piece: for every row of its own the event loop would be held up.
_AT_ONCE = 500
_FORGET_FORCED = """
DELETE FROM forced WHERE CASE boot WHEN ? THEN uptime + until - at < ? ELSE until < ? END
"""
_FORGET_ANSWERS = """
DELETE FROM answers WHERE (account, key) IN (SELECT account, key FROM answers WHERE until < ? ORDER BY until LIMIT ?)
"""


def prune(db: sqlite3.Connection, before: float, minute: int) -> bool:
    """Removes records of minutes over by `before` (seconds) from the chain's beginning, in the caller's transaction.

    Returns whether more are due. The checkpoint is of `minute`. Raises sqlite3.Error.
    """
    through = db.execute(_DUE, (BATCH, BATCH, before)).fetchone()[0]
    if through is None:
        return False
    following = db.execute("SELECT before FROM chain WHERE number = ?", (through + 1,)).fetchone()
    hash_ = chain.tip(db)[1] if following is None else following[0]
    (last,) = db.execute("SELECT max(minute) FROM chain WHERE number <= ?", (through,)).fetchone()
    db.execute(_CARRY, (through,))
    removed = db.execute("DELETE FROM chain WHERE number <= ?", (through,)).rowcount
    chain.append(db, [checkpoint(db, through, hash_, last, minute)])
    return removed == BATCH


def checkpoint(db: sqlite3.Connection, through: int, hash_: bytes, last: int, minute: int) -> chain.Row:
    """The record that says: all up to number `through`, the last of them with hash `hash_`, is in `carried`.

    None of them is of a minute after `last`. The record itself is of `minute`.
    """
    details = {"through": through, "hash": hash_.hex(), "carried": carried_digest(db), "minute": last}
    return chain.Row("checkpoint", minute, details=orjson.dumps(details).decode())


def carried_digest(db: sqlite3.Connection) -> str:
    """SHA-256, in hexadecimal, of `carried` as one JSON list of its rows by holder. Raises sqlite3.Error."""
    digest, comma, last = hashlib.sha256(b"["), b"", ""
    while True:
        [(text,)] = db.execute(_CARRIED, (last, _AT_ONCE))
        rows = orjson.loads(text)
        if not rows:
            break
        digest.update(comma + b",".join(map(orjson.dumps, rows)))
        comma, last = b",", rows[-1][0]
    digest.update(b"]")
    return digest.hexdigest()


def forget(db: sqlite3.Connection, now: float, boot: str, uptime: float) -> bool:
    """Removes force refreshes that are over and answers kept long enough, within the caller's transaction.

    `now` is in wall-clock seconds; within one `boot` the age of a force refresh goes by `uptime`, whatever the wall
    clock says. Returns whether more answers are due. Raises sqlite3.Error.
    """
    db.execute(_FORGET_FORCED, (boot, uptime, now))
    return db.execute(_FORGET_ANSWERS, (now, ANSWERS)).rowcount == ANSWERS
