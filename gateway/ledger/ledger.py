"""The ledger as its callers see it: what is posted in one event-loop turn goes to the journal whole, or is undone."""

import asyncio
import math
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from gateway.errors import BadStart, Problem, Reason
from gateway.ledger import outage, recovery
from gateway.ledger.accounts import Accounts
from gateway.ledger.book import Book
from gateway.ledger.encoding import encode
from gateway.ledger.journal import SEGMENT, Journal, folder_size
from gateway.ledger.reading import Query, Reader
from gateway.ledger.records import Forced, LedgerCorrupt, Record
from gateway.ledger.tables import Durability, Tables
from gateway.ledger.totals import Sums
from gateway.ports import Clock

T = TypeVar("T")

# Seconds until a journal that failed is tried again.
_RETRY = 1.0
# How many reads may wait, and how many seconds each.
_READS = 100
_PATIENCE = 1.0

Undo = Callable[[], object]
Listener = Callable[[Record, int], None]


class _Group:
    """What gathers in one turn: equal records counted, what else a failure has to undo, and who waits."""

    __slots__ = ("counts", "undos", "waiters")

    def __init__(self) -> None:
        self.counts: dict[Record, int] = {}
        self.undos: list[Undo] = []
        self.waiters: list[asyncio.Future[None]] = []


class Ledger:
    """Balances, their journal and their book, held by one process at a time and used from one event loop.

    `accounts` is only read by others; what changes it is posted. `forced` are the force refreshes before the start that
    may still count against a cap.
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
        self.accounts = accounts
        self.forced = forced
        self._journal = journal
        self._book = book
        self._reader = reader
        self._reads = 0
        self._lock = lock
        self._syncer = ThreadPoolExecutor(1, "journal-sync") if power else None
        self._group = _Group()
        self._syncing: _Group | None = None
        self._listener: Listener | None = None
        self._last_id = accounts.last_id
        self._writing = True
        self._closed = False
        self._sums: tuple[int, Sums] | None = None

    @classmethod
    def open(
        cls, folder: Path, durability: Durability, clock: Clock, *, segment: int = SEGMENT, keep: float = math.inf
    ) -> "Ledger":
        """Takes the folder, made where it is missing, replays it and releases the reservations of a dead process.

        Segments of the journal end at `segment` bytes; the book's records are kept for `keep` seconds. Raises BadStart
        when another process holds the folder, when it cannot be written, and when it does not hold what was written.
        """
        lock, path = recovery.lock(folder), folder / recovery.BOOK
        try:
            recovery.touch(path)
            tables = Tables(path, durability)
            try:
                recovery.migrate(tables, folder / recovery.JOURNAL, clock.wall())
                accounts, forced, journal = recovery.restore(tables, folder / recovery.JOURNAL, segment)
                recovery.release_open(accounts, journal, clock.wall())
                if durability == "power":
                    journal.sync()
            except (OSError, sqlite3.Error, LedgerCorrupt):
                tables.close()
                raise
        except (OSError, sqlite3.Error, LedgerCorrupt) as error:
            os.close(lock)
            raise BadStart(f"the ledger in {folder} cannot be opened: {error}") from error
        book = Book(tables, journal, clock, keep)
        book.follow(journal.sequence)
        return cls(accounts, forced, journal, book, Reader(path), lock, power=durability == "power")

    @property
    def healthy(self) -> bool:
        """Whether the latest group was written, and the book's latest transaction."""
        return self._writing and self._book.healthy

    def keep(self, seconds: float) -> None:
        """Keep the book's records that long from now on."""
        self._book.keep = seconds

    def listen(self, listener: Listener) -> None:
        """Has `listener` called with every record, and how often it stands in its group, once it is durable."""
        self._listener = listener

    def next_id(self) -> int:
        """An operation's id that no other one has, had or will have."""
        self._last_id += 1
        return self._last_id

    def post(self, record: Record, undo: Undo | None = None) -> None:
        """Applies a record at once and adds it to this turn's group.

        `undo` gives back what else was taken for it, if the group cannot be written. Raises Problem(ledger_unavailable)
        once closed, and then nothing was applied.
        """
        group = self._group
        if not group.counts:
            if self._closed:
                raise _unavailable()
            asyncio.get_running_loop().call_soon(self._flush)
        self.accounts.apply(record)
        group.counts[record] = group.counts.get(record, 0) + 1
        if undo is not None:
            group.undos.append(undo)

    def committed(self) -> asyncio.Future[None]:
        """Resolves when everything posted so far is durable: written, or with `power` on the disk itself.

        Done already where nothing is under way. Fails with Problem(ledger_unavailable) if the group of the latest
        record could not be written; it is then undone. Every call has a future of its own.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        group = self._group if self._group.counts else self._syncing
        if group is None:
            waiter.set_result(None)
        else:
            group.waiters.append(waiter)
        return waiter

    async def read(self, query: Query[T]) -> T:
        """What `query` finds in a book that holds everything posted before this call; it runs in a thread.

        It gets a connection that cannot write and stays in one read transaction. Raises Problem(ledger_unavailable)
        when that cannot be had within a second, or too many wait for it.
        """
        if self._closed or self._reads >= _READS:
            raise _unavailable()
        self._reads += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.booked()
                return await self._reader.read(query, _PATIENCE)
        except (TimeoutError, sqlite3.Error) as error:
            raise _unavailable() from error
        finally:
            self._reads -= 1

    async def booked(self) -> None:
        """Returns once the book holds everything posted before this call, however long that takes.

        Raises Problem(ledger_unavailable) where it cannot be written, and once closed.
        """
        await self.committed()
        await asyncio.wrap_future(self._book.reached(self._journal.sequence))
        if self._closed:
            raise _unavailable()

    async def close(self) -> None:
        """Writes what is posted, brings the book up to date if that is possible at once, and lets the folder go."""
        while self._group.counts or self._syncing:
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

    def drift(self) -> int:
        """Tokens that memory cannot account for, or that book and memory differ by while nothing is under way.

        0 in a sound ledger. A book that cannot be read differs by nothing: `healthy` tells of it.
        """
        drift = self.accounts.drift()
        idle = not self._group.counts and self._syncing is None
        if idle and self._book.applied == self._journal.sequence:
            with suppress(sqlite3.Error):
                drift += sum(abs(a - b) for a, b in zip(self._booked(), self.accounts.sums(), strict=True))
        return drift

    def _booked(self) -> Sums:
        """The book's sums, read once for what is in it: they take a while."""
        applied = self._book.applied
        if self._sums is None or self._sums[0] != applied:
            self._sums = applied, self._book.sums()
        return self._sums[1]

    def size(self) -> int:
        """Bytes on disk, journal and book."""
        return self._journal.size() + folder_size(self._journal.folder.parent)

    def _flush(self) -> None:
        """Writes the gathered group; while another one is being synced it gathers on."""
        if self._syncing is not None or not self._group.counts:
            return
        group, self._group = self._group, _Group()
        try:
            sequence = self._journal.append(encode(group.counts.items()))
        except (OSError, TypeError) as error:  # TypeError: what JSON cannot hold must not be charged for nothing
            self._fail(error, group)
            return
        if self._syncer is None:
            self._succeed(group, sequence)
        else:
            self._sync(self._syncer, group, sequence)

    def _sync(self, syncer: ThreadPoolExecutor, group: _Group, sequence: int) -> None:
        self._syncing = group
        done = asyncio.get_running_loop().run_in_executor(syncer, self._journal.sync)
        done.add_done_callback(lambda done: self._synced(group, sequence, done.exception()))

    def _synced(self, group: _Group, sequence: int, error: BaseException | None) -> None:
        self._syncing = None
        if error is None:
            self._succeed(group, sequence)
            self._flush()
        else:
            self._journal.retract()
            gathered, self._group = self._group, _Group()
            self._fail(error, gathered, group)

    def _succeed(self, group: _Group, sequence: int) -> None:
        if not self._writing:
            self._writing = True
            outage.over("journal")
        entries = tuple(group.counts.items())
        self._book.submit(sequence, entries)
        if self._listener is not None:
            for record, count in entries:
                self._listener(record, count)
        for waiter in group.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _fail(self, error: BaseException, *groups: _Group) -> None:
        """Undoes groups, the newest of which comes first."""
        if self._writing:
            self._writing = False
            outage.begun("journal", error)
            self._try_later()
        for group in groups:
            for record, count in reversed(group.counts.items()):
                self.accounts.apply(record, -count)
            for undo in reversed(group.undos):
                undo()
        for waiter in (waiter for group in groups for waiter in group.waiters):
            if not waiter.done():
                waiter.set_exception(_unavailable())

    def _try_later(self) -> None:
        asyncio.get_running_loop().call_later(_RETRY, self._try)

    def _try(self) -> None:
        """Asks with an empty group whether the journal takes again: an unhealthy gateway may get no request to ask."""
        if self._writing or self._closed:
            return
        try:
            if self._syncing is None:
                self._succeed(_Group(), self._journal.append(encode(())))
                return
        except OSError:
            pass
        self._try_later()


def _unavailable() -> Problem:
    return Problem(Reason.ledger_unavailable, retry_after=1)
