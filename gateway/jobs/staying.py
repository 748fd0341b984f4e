"""Refreshes that stay behind where an embedded ledger moves to a fleet's: the fleet has a register of its own."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.errors import BadStart
from gateway.jobs.database import FILE, connect

_UNFINISHED = "SELECT count(*) FROM jobs WHERE ended IS NULL"


def unfinished(folder: Path) -> int:
    """How many refreshes have not ended in the store's folder, which no gateway runs on. Raises BadStart."""
    if not (folder / FILE).is_file():
        return 0
    with closing(connect(folder, "process")) as db:
        try:
            count: int = db.execute(_UNFINISHED).fetchone()[0]
        except sqlite3.Error as error:
            raise BadStart(f"the register of refreshes {folder / FILE} cannot be read: {error}") from error
    return count
