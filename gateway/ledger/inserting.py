"""Many rows by few statements: around each one SQLite's thread and the event loop's hand the interpreter over."""

import sqlite3
from collections.abc import Sequence

# Statements for so many rows are kept prepared, whatever is left being inserted by the next smaller one.
_AT_ONCE = (100, 10, 1)


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
    begin = 0
    for size in _AT_ONCE:
        statement = f"{head} {', '.join([one] * size)} {conflict}"
        while len(rows) - begin >= size:
            db.execute(statement, [value for row in rows[begin : begin + size] for value in row])
            begin += size
