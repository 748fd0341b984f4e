"""The book of a fleet's ledger in this node's folder: one process takes Redis's records into it, all read it."""

import asyncio
import math
import os
import sqlite3
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.errors import BadStart
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.recovery import Recovery
from gateway.ledger import shard_book
from gateway.ledger.drainer import Drainer
from gateway.ledger.drift import Drift
from gateway.ledger.journal import SEGMENT, folder_size
from gateway.ledger.reading import Query, Reader
from gateway.ledger.recovery import BOOK, JOURNAL, free_lock
from gateway.ledger.shards import numbers
from gateway.ledger.writing import unavailable
from gateway.ports import Clock
from gateway.tasks import forever

T = TypeVar("T")

# How many reads may wait, and how many seconds each.
_READS = 100
_PATIENCE = 1.0
# Seconds between two looks at a book that another process writes, and at whether it still does.
_LOOK = 0.02
_TAKE_OVER = 1.0
_LATER = 60.0
# Seconds between two looks at whether the fleet still goes by this server.
_WATCH = 1.0


class Follower:
    """`recorded.Recorded` over a fleet's ledger; made by `open`, used from one event loop."""

    def __init__(self, folder: Path, connection: Connection, recovery: Recovery, clock: Clock, keep: float) -> None:
        self._folder = folder
        self._connection = connection
        self._recovery = recovery
        self._clock = clock
        self._keep = keep
        self._reader = Reader(folder / BOOK)
        self._reads = 0
        self._lock: int | None = None
        self._drainer: Drainer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._drift = Drift(connection, self._reader, _PATIENCE)
        self._closed = False

    @classmethod
    async def open(
        cls,
        folder: Path,
        connection: Connection,
        recovery: Recovery,
        clock: Clock,
        *,
        segment: int = SEGMENT,
        keep: float = math.inf,
    ) -> "Follower":
        """Agrees with the fleet on the server, and follows; where another process has the folder, it reads alone.

        Segments of the journal end at `segment` bytes; the book's records are kept for `keep` seconds. Raises BadStart
        where the folder cannot be written or does not hold what was written, and where its book cannot follow Redis.
        """
        follower = cls(folder, connection, recovery, clock, keep)
        recovery.keep(follower._put_back)
        connection.before_up(recovery.agree)
        connection.before_up(follower._prove)
        try:
            if not await follower._take_folder(segment):
                await recovery.agree()
                follower._tasks.append(asyncio.create_task(follower._take_over(segment)))
        except Unreachable as error:
            raise BadStart(f"the ledger in Redis cannot be read: {error}") from error
        follower._tasks.append(asyncio.create_task(forever("epoch", follower._watch)))
        return follower

    @property
    def healthy(self) -> bool:
        """Whether the book follows; of a process that only reads, whether Redis answers."""
        return self._connection.up if self._drainer is None else self._drainer.healthy

    def keep(self, seconds: float) -> None:
        """Keep the book's records that long from now on."""
        self._keep = seconds
        if self._drainer is not None:
            self._drainer.keep(seconds)

    async def read(self, query: Query[T]) -> T:
        """What `query` finds in a book that holds everything posted in Redis before this call; it runs in a thread.

        It gets a connection that cannot write and stays in one read transaction. Raises Problem(ledger_unavailable)
        when that cannot be had within a second, or too many wait for it.
        """
        if self._reads >= _READS:
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
        """Returns once the book holds everything posted in Redis before this call, however long that takes.

        Raises Problem(ledger_unavailable) where Redis does not answer, and once closed.
        """
        if self._closed:
            raise unavailable()
        try:
            latest = {shard: number or 0 for shard, number in enumerate(await numbers(self._connection))}
        except Unreachable as error:
            raise unavailable() from error
        await self._reached(latest)
        if self._closed:
            raise unavailable()

    async def drift(self) -> int:
        """Tokens that book and Redis differ by, or that Redis's columns cannot account for; 0 in a sound ledger.

        Looks at a shard each time, or at a part of a large one, and at the book only where it has the very records that
        Redis has.
        """
        with suppress(Unreachable, TimeoutError, sqlite3.Error):
            async with asyncio.timeout(_PATIENCE):
                await self._drift.look()
        return self._drift.tokens

    def size(self) -> int:
        """Bytes on disk, journal and book."""
        return folder_size(self._folder / JOURNAL) + folder_size(self._folder, "book.")

    async def close(self) -> None:
        """Bring the book up to what has been read, if that is possible at once, and let the folder go."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        # The last one to close the book's file cleans up after it, which the reader may not.
        await asyncio.to_thread(self._reader.close)
        if self._drainer is not None:
            await self._drainer.close()
        if self._lock is not None:
            os.close(self._lock)

    async def _reached(self, latest: dict[int, int]) -> None:
        """Of a book that another process writes nobody is told: it is looked at, again and again."""
        while self._drainer is None and not self._closed:
            try:
                places = await self._reader.read(shard_book.places, _PATIENCE)
            except sqlite3.Error as error:
                raise unavailable() from error
            if all(shard in places and places[shard].number >= number for shard, number in latest.items()):
                return
            await asyncio.sleep(_LOOK)
        if self._drainer is not None:
            await self._drainer.reached(latest)

    async def _take_folder(self, segment: int) -> bool:
        """Begins to drain, where no other process does; whether it did. Raises BadStart and Unreachable."""
        lock = free_lock(self._folder)
        if lock is None:
            return False
        async with AsyncExitStack() as unless_begun:
            unless_begun.callback(os.close, lock)
            drainer = Drainer.open(self._folder, self._connection, self._clock, segment, self._keep)
            unless_begun.push_async_callback(drainer.close)
            self._drainer = drainer
            unless_begun.callback(self._let_go)
            await self._recovery.agree()
            await drainer.begin()
            unless_begun.pop_all()
        self._lock = lock
        return True

    def _let_go(self) -> None:
        self._drainer = None

    async def _take_over(self, segment: int) -> None:
        """Drains once the process that did is gone."""
        while self._drainer is None:
            await asyncio.sleep(_TAKE_OVER)
            try:
                await self._take_folder(segment)
            except Unreachable:
                continue
            except BadStart as error:
                structlog.get_logger("gateway.ledger").error("book not taken over", reason=str(error))
                await asyncio.sleep(_LATER)

    async def _watch(self) -> None:
        """Whoever empties Redis takes the fleet's word for it as well, and no connection breaks by that."""
        while True:
            await asyncio.sleep(_WATCH)
            with suppress(Unreachable):
                await self._recovery.agree()

    async def _prove(self) -> None:
        if self._drainer is not None:
            await self._drainer.prove()

    async def _put_back(self) -> None:
        if self._drainer is not None:
            await self._drainer.put_back()
