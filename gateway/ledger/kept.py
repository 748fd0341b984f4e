"""Kept answers, found again by the account and the digest of its Idempotency-Key."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

from gateway.ledger.applying import Group
from gateway.ledger.reader import open_ledger, readable, steady, tail
from gateway.ledger.records import Kept

_COLUMNS = "account, key, fingerprint, operation, until, content"


def kept(db: sqlite3.Connection, account: str, key: str) -> Kept | None:
    """What is kept for `key`, past its `until` too while nobody has removed it. Raises sqlite3.Error."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM answers WHERE account = ? AND key = ?",  # noqa: S608 - no word of another's
        (account, key),
    ).fetchone()
    return None if row is None else Kept(*row)


def all_kept(folder: Path, wall: float) -> list[Kept]:
    """Every answer that the ledger in `folder` keeps beyond `wall`. Raises BadStart."""
    with closing(open_ledger(folder)) as db, readable(folder):
        found = steady(db, lambda applied: _held(db, tail(folder, applied)))
    return [kept for kept in found.values() if kept.until > wall]


def _held(db: sqlite3.Connection, waiting: Iterable[Sequence[Group]]) -> dict[tuple[str, str], Kept]:
    """Those in the book, and over them those that only the journal has yet."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM answers")  # noqa: S608 - no word of another's
    posted = (record for batch in waiting for _, group in batch for record, _ in group)
    kept = chain((Kept(*row) for row in rows), (record for record in posted if isinstance(record, Kept)))
    return {(one.account, one.key): one for one in kept}
