"""Reports on the ledger that this process writes: long reads on connections of their own, a few at once."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from gateway.errors import BadStart, Problem, Reason
from gateway.ledger.reader import reading
from gateway.ledger.reading import Query

T = TypeVar("T")

# How many at once, and how many seconds each may take; of these, until the book is there.
_MOST = 2
_PATIENCE = 60.0
_BOOKED = 1.0
# SQLite's instructions between two looks at whether to go on: some milliseconds, as each stops the event loop shortly.
_OFTEN = 200_000


class Reports:
    """Reads the ledger in `folder` in threads; `booked` is the ledger's: the book holds what was posted before."""

    def __init__(self, folder: Path, booked: Callable[[], Awaitable[None]]) -> None:
        self._folder = folder
        self._booked = booked
        self._running = 0

    async def read(self, query: Query[T], wanted: Callable[[], bool]) -> T:
        """What `query` returns for a connection as `reader.reading` gives it; it ends once it is `wanted` no more.

        `wanted` is called in the thread. Raises Problem(ledger_unavailable) where too many run already, the book is not
        to be had, it takes over a minute, or is broken off; BadStart for a damaged ledger.
        """
        if self._running >= _MOST:
            raise _unavailable("Other reports are being made: ask again once they are done.")
        self._running += 1
        asked = True
        deadline = time.monotonic() + _PATIENCE

        def over() -> bool:
            return not asked or time.monotonic() > deadline or not wanted()

        try:
            await self._caught_up()
            return await asyncio.to_thread(_read, self._folder, query, over)
        finally:
            # Who asked may have left, and the thread knows nothing of that.
            asked = False
            self._running -= 1

    async def _caught_up(self) -> None:
        """What the book lacks would be read from the journal, and that cannot be broken off."""
        try:
            async with asyncio.timeout(_BOOKED):
                await self._booked()
        except TimeoutError:
            raise _unavailable("The book is behind the journal.") from None


def _read(folder: Path, query: Query[T], over: Callable[[], bool]) -> T:
    try:
        with reading(folder) as db:
            return _bounded(db, query, over)
    except BadStart:
        if over():
            raise _unavailable("The report took too long, or was not waited for.") from None
        raise


def _bounded(db: sqlite3.Connection, query: Query[T], over: Callable[[], bool]) -> T:
    db.set_progress_handler(over, _OFTEN)
    try:
        return query(db)
    finally:
        db.set_progress_handler(None, 0)


def _unavailable(detail: str) -> Problem:
    return Problem(Reason.ledger_unavailable, detail, retry_after=1)
