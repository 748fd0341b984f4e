"""The ledger as its callers see it: opened and closed as a whole, written a turn at a time, read beside that."""

import asyncio
import math
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from gateway.errors import BadStart, Problem
from gateway.ledger import recovery
from gateway.ledger.accounts import Accounts
from gateway.ledger.book import Book
from gateway.ledger.journal import SEGMENT, Journal, folder_size
from gateway.ledger.reading import Query, Reader
from gateway.ledger.records import Forced, LedgerCorrupt
from gateway.ledger.sums import booked
from gateway.ledger.tables import Durability
from gateway.ledger.totals import Sums
from gateway.ledger.writing import Writer, unavailable
from gateway.ports import Clock

T = TypeVar("T")

# How many reads may wait, and how many seconds each.
_READS = 100
_PATIENCE = 1.0


class Ledger(Writer):
    """Balances, their journal and their book, held by one process at a time and used from one event loop.

    `forced` are the force refreshes before the start that may still count against a cap.
    """

    def __init__(
        self,
        accounts: Accounts,
        forced: tuple[Forced, ...],
        journal: Journal,
        book: Book,
        reader: Reader,
        lock: int,
        *,
        power: bool,
    ) -> None:
        super().__init__(accounts, journal, book, power=power)
        self.forced = forced
        self._reader = reader
        self._reads = 0
        self._lock = lock
        self._sums: tuple[int, Sums] | None = None

    @classmethod
    def open(
        cls, folder: Path, durability: Durability, clock: Clock, *, segment: int = SEGMENT, keep: float = math.inf
    ) -> "Ledger":
        """Takes the folder, made where it is missing, replays it and releases the reservations of a dead process.

        Segments of the journal end at `segment` bytes; the book's records are kept for `keep` seconds. Raises BadStart
        when another process holds the folder, when it cannot be written, and when it does not hold what was written.
        """
        lock = recovery.lock(folder)
        try:
            tables, accounts, forced, journal = recovery.start(folder, durability, segment, clock.wall())
        except (OSError, sqlite3.Error, LedgerCorrupt) as error:
            os.close(lock)
            raise BadStart(f"the ledger in {folder} cannot be opened: {error}") from error
        book, reader = Book(tables, journal, clock, keep), Reader(folder / recovery.BOOK)
        book.follow(journal.sequence)
        return cls(accounts, forced, journal, book, reader, lock, power=durability == "power")

    def keep(self, seconds: float) -> None:
        """Keep the book's records that long from now on."""
        self._book.keep = seconds

    async def read(self, query: Query[T]) -> T:
        """What `query` finds in a book that holds everything posted before this call; it runs in a thread.

        It gets a connection that cannot write and stays in one read transaction. Raises Problem(ledger_unavailable)
        when that cannot be had within a second, or too many wait for it.
        """
        if self._closed or self._reads >= _READS:
            raise unavailable()
        self._reads += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.booked()
                return await self._reader.read(query, _PATIENCE)
        except (TimeoutError, sqlite3.Error) as error:
            raise unavailable() from error
        finally:
            self._reads -= 1

    async def booked(self) -> None:
        """Returns once the book holds everything posted before this call, however long that takes.

        Raises Problem(ledger_unavailable) where it cannot be written, and once closed.
        """
        await self.committed()
        await asyncio.wrap_future(self._book.reached(self._journal.sequence))
        if self._closed:
            raise unavailable()

    async def close(self) -> None:
        """Writes what is posted, brings the book up to date if that is possible at once, and lets the folder go."""
        while not self._group.empty or self._syncing:
            with suppress(Problem):
                await self.committed()
        self._closed = True
        # The last one to close the book's file cleans up after it, which the reader may not.
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._book.close)
        if self._syncer is not None:
            self._syncer.shutdown()
        self._journal.close()
        os.close(self._lock)

    async def drift(self) -> int:
        """Tokens that memory cannot account for, or that book and memory differ by while nothing is under way.

        0 in a sound ledger. A book that cannot be read within a second differs by nothing: `healthy` tells of it.
        """
        drift, sequence = self.accounts.drift(), self._journal.sequence
        if self._closed or not self.idle or self._book.applied != sequence:
            return drift
        sums = self.accounts.sums()
        read = await self._booked(sequence)
        # What the book has taken in meanwhile is not in the sums of memory.
        if read is not None and read[0] == sequence:
            drift += sum(abs(a - b) for a, b in zip(read[1], sums, strict=True))
        return drift

    async def _booked(self, sequence: int) -> tuple[int, Sums] | None:
        """The book's last group and its sums, if they can be read; once for what is in it, as that takes a while."""
        if self._sums is None or self._sums[0] != sequence:
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._sums = await self._reader.read(booked, _PATIENCE)
            except (TimeoutError, sqlite3.Error):
                return None
        return self._sums

    def size(self) -> int:
        """Bytes on disk, journal and book."""
        return self._journal.size() + folder_size(self._journal.folder.parent, "book.")
