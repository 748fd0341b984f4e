"""Queries on the book while it is written: one after the other, in a thread and on a connection of their own."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Query = Callable[[sqlite3.Connection], T]

# SQLite's instructions between two looks at the time.
_OFTEN = 10_000


class Reader:
    """Reads the book in the file `path`; a query that is not done in time is broken off."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"
        self._thread = ThreadPoolExecutor(1, "ledger-reader")
        self._db: sqlite3.Connection | None = None

    async def read(self, query: Query[T], patience: float) -> T:
        """What `query` returns within `patience` seconds, on a connection that cannot write, in one read transaction.

        Raises sqlite3.Error, for a query that took longer as well.
        """
        deadline = time.monotonic() + patience
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, query, deadline)

    def close(self) -> None:
        """Waits for the queries under way, each of which ends by its deadline."""
        self._thread.submit(self._disconnect)
        self._thread.shutdown()

    def _run(self, query: Query[T], deadline: float) -> T:
        db = self._db or self._connect()
        db.set_progress_handler(lambda: time.monotonic() > deadline, _OFTEN)
        try:
            db.execute("BEGIN")
            return query(db)
        finally:
            db.set_progress_handler(None, 0)
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _connect(self) -> sqlite3.Connection:
        self._db = sqlite3.connect(self._uri, uri=True, timeout=0.25, isolation_level=None)
        return self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
