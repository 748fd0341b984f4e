"""Many rows by few statements: around each one SQLite's thread and the event loop's hand the interpreter over."""

import sqlite3
from collections.abc import Sequence

# A statement of its own is kept prepared for this many rows, and one for a single row.
_AT_ONCE = 100


def insert(
    db: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]], *, or_: str = "ABORT", conflict: str = ""
) -> None:
    """Inserts whole rows into `table`, within the caller's transaction.

    `or_` is SQL's word for what becomes of rows that are there already, `conflict` a clause for it.
    Raises sqlite3.Error, and OverflowError for integers of more than 64 bits.
    """
    if not rows:
        return
    one, head = f"({', '.join('?' * len(rows[0]))})", f"INSERT OR {or_} INTO {table} VALUES"
    many = f"{head} {', '.join([one] * _AT_ONCE)} {conflict}"
    whole = len(rows) - len(rows) % _AT_ONCE
    for begin in range(0, whole, _AT_ONCE):
        db.execute(many, [value for row in rows[begin : begin + _AT_ONCE] for value in row])
    db.executemany(f"{head} {one} {conflict}", rows[whole:])
