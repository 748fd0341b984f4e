"""The hash chain of sealed records: each holds the hash of the one before, so none changes, goes or comes unseen."""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from gateway.ledger.inserting import insert

GENESIS = bytes(32)
"""What the first record holds as the hash before it."""


class Row(NamedTuple):
    """One record, columns as in `schema`, without its number and the hash before it.

    `outcomes` and `details` are JSON objects as text: what is hashed is that very text.
    """

    kind: str
    minute: int
    account: str = ""
    holder: str = ""
    organization: str = ""
    route: str = ""
    upstream: str = ""
    operation: int | None = None
    request: str | None = None
    tokens: int = 0
    count: int = 0  # type: ignore[assignment]  # hides the tuple's method of that name: it is the column's
    granted: int = 0
    charged: int = 0
    lapsed: int = 0
    cost: int = 0
    outcomes: str = "{}"
    details: str = "{}"


def digest(before: bytes, number: int, row: Sequence[object]) -> bytes:
    """The hash of record `number` with the columns `row`, from `kind` to `details`, after one with hash `before`."""
    return hashlib.sha256(before + orjson.dumps((number, *row))).digest()


def tip(db: sqlite3.Connection) -> tuple[int, bytes]:
    """The last record's number and hash; 0 and `GENESIS` before there is one. Raises sqlite3.Error."""
    names = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('last_number', 'head')"))
    return names["last_number"], names["head"]


def append(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Adds records at the end, within the caller's transaction. Raises sqlite3.Error."""
    number, before = tip(db)
    numbered = list[tuple[object, ...]]()
    for row in rows:
        number += 1
        numbered.append((number, *row, before))
        before = digest(before, number, row)
    insert(db, "chain", numbered)
    db.executemany("UPDATE meta SET value = ? WHERE name = ?", [(number, "last_number"), (before, "head")])
