"""Kept answers, found again by the account and the digest of its Idempotency-Key."""

import sqlite3

from gateway.ledger.records import Kept


def kept(db: sqlite3.Connection, account: str, key: str) -> Kept | None:
    """What is kept for `key`, past its `until` too while nobody has removed it. Raises sqlite3.Error."""
    row = db.execute(
        "SELECT account, key, fingerprint, operation, until, content FROM answers WHERE account = ? AND key = ?",
        (account, key),
    ).fetchone()
    return None if row is None else Kept(*row)
