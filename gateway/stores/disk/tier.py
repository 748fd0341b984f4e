"""The second tier on disk: one thread owns the file's connection, and writes what came meanwhile in one transaction."""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from gateway.rfc9111.stored import StoredResponse
from gateway.stores import TierUnavailable
from gateway.stores.census import Census
from gateway.stores.disk import file
from gateway.stores.disk.orders import Order, tell
from gateway.stores.disk.shelf import Kept, Shelf, digest, variant
from gateway.stores.encoding import parts

TOGETHER, BYTES = 64, 1 << 20
"""Orders in one transaction at most, and bytes after which no more is added: a load may have to wait for it."""

_SOON = 0.005
"""Seconds for which saves wait for others: what each transaction takes from the loop it takes once for all of them."""

_UNTIDY = 64
"""Loads whose consequences wait to be written, at most, while nothing else is."""

_IDLE = 0.5
"""Seconds after which they are written anyway."""

_PAUSE = 0.001
"""Seconds between two parts of what is done meanwhile."""

_AGAIN = 10.0
"""Seconds between two attempts to make a file that cannot be made."""

_NAMES = 1000
"""Cache keys read at once while it is found out what there is."""

# A place in the census for so many bytes: about as many as small responses.
_ROOM_FOR_EACH, _LEAST_PLACES, _MOST_PLACES = 256, 1 << 16, 1 << 24

# An error of what is asked, too: in a file that is whole there is none.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT})


class DiskTier:
    """`ports.SecondTier` over the file in `folder`, on `db`, of at most `limit` bytes.

    `renew` makes the file anew, and is called in the thread where it turns out to be damaged; `holds` too, of a cache
    key, whether memory has it. `bytes`, `count`, `evictions` and `up` are plain values to read. Every method raises
    `stores.TierUnavailable` where the file cannot be used.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        folder: Path,
        limit: int,
        holds: Callable[[str], bool],
        renew: Callable[[], sqlite3.Connection],
    ) -> None:
        self._db, self._folder, self._limit, self._holds, self._renew = db, folder, limit, holds, renew
        self._shelf: Shelf | None = Shelf(db, limit, holds)
        self.latest = self._shelf.latest
        self.bytes, self.count, self.evictions, self.up = self._shelf.taken, self._shelf.count, 0, True
        self._retry = 0.0
        # None until it is known what there is.
        self._census: Census | None = None
        self._counting = Census(max(_LEAST_PLACES, min(limit // _ROOM_FOR_EACH, _MOST_PLACES)))
        self._counted, self._upto = 0, self._shelf.turn
        self._unrested = True
        self._loads: deque[Order] = deque()
        self._orders: deque[Order] = deque()
        self._ready = threading.Condition()
        self._closing = self._waking = False
        self._log = structlog.get_logger("gateway.disk")
        self._thread = threading.Thread(target=self._run, name="responses", daemon=True)
        self._thread.start()

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant stored under `key`, outdated ones left out; waits for nothing where there is none."""
        if self._census is not None and not self._census.has(digest(key)):
            return ()
        found: tuple[StoredResponse, ...] = await self._ask(self._loads, lambda shelf: shelf.load(key))
        return found

    async def save(self, stored: StoredResponse) -> None:
        """Keep `stored`, unless the variant in its place began later; an outdated one only takes that out."""
        pieces = None if stored.outdated else parts(stored)
        kept = Kept(stored.key, variant(stored.selecting), stored.began, stored.received, pieces)
        await self._ask(self._orders, lambda shelf: shelf.keep(kept), kept.size, soon=len(self._orders) < TOGETHER // 2)

    async def drop(self, groups: tuple[str, ...], before: float, keep: str | None) -> None:
        """Outdate what belongs to one of `groups` and began before `before` (steady seconds), but for key `keep`."""
        await self._ask(self._orders, lambda shelf: shelf.drop(groups, before, keep))

    async def purge(self, selection: tuple[str, ...], before: float, *, hard: bool) -> None:
        """Leave out what `selection` takes and began before `before`; unless `hard` say of it that it is purged."""
        await self._ask(self._orders, lambda shelf: shelf.purge(selection, before, hard=hard))

    async def close(self, *, whole: bool) -> None:
        """Do what was ordered, and close; `whole`: nothing is missing that the next process must be told."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._close, whole)

    def _ask(
        self, queue: deque[Order], call: Callable[[Shelf], Any], size: int = 0, *, soon: bool = False
    ) -> asyncio.Future[Any]:
        """Let the thread do it, at once or `soon`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        if self._closing:
            raise TierUnavailable("closed")
        queue.append(Order(call, size, done))
        if not soon:
            self._wake()
        elif not self._waking:
            self._waking = True
            loop.call_later(_SOON, self._wake)
        return done

    def _wake(self) -> None:
        self._waking = False
        with self._ready:
            self._ready.notify()

    def _run(self) -> None:
        while True:
            loads, orders = self._next()
            if not loads and not orders and self._closing:
                return
            for order in loads:
                self._do([order], self._load)
            if orders or self._is_untidy(idle=not loads):
                self._do(orders, self._write)
            elif not loads:
                self._rest()

    def _next(self) -> tuple[list[Order], list[Order]]:
        """All loads that wait, and of what is to be written as much as belongs into one transaction."""
        with self._ready:
            if not self._loads and not self._orders and not self._closing:
                self._ready.wait(_PAUSE if self._unrested and self.up else _IDLE)
            loads = [self._loads.popleft() for _ in range(len(self._loads))]
            orders, size = list[Order](), 0
            while self._orders and len(orders) < TOGETHER and size < BYTES:
                orders.append(self._orders.popleft())
                size += orders[-1].size
        return loads, orders

    def _is_untidy(self, *, idle: bool) -> bool:
        untidy = 0 if self._shelf is None else self._shelf.untidy
        return untidy >= _UNTIDY or (idle and untidy > 0)

    def _do(self, orders: list[Order], work: Callable[[Shelf, list[Order]], list[Any]]) -> None:
        """Do them all or none, and tell who waits."""
        try:
            results = work(self._there(), orders)
        except Exception as error:  # noqa: BLE001 - whatever is read may be damaged in any way
            self._failed(error)
            tell(orders, None, TierUnavailable(f"{type(error).__name__}: {error}"))
            return
        tell(orders, results, None)

    def _load(self, shelf: Shelf, orders: list[Order]) -> list[Any]:
        return [order.call(shelf) for order in orders]

    def _write(self, shelf: Shelf, orders: list[Order]) -> list[Any]:
        size = sum(order.size for order in orders)
        # By itself: it must not be undone with what it is made for.
        if shelf.untidy or not shelf.has_room(size, len(orders)):
            self._transact(shelf, [shelf.tidy, partial(shelf.make_room, size, len(orders))])
        shelf.full = not shelf.has_room(size, len(orders))
        self._transact(shelf, [partial(order.call, shelf) for order in orders])
        if not self.up:
            # That something can be read says nothing.
            self.up = True
            self._log.info("responses on disk again", file=str(self._folder / file.FILE))
        return [None] * len(orders)

    def _transact(self, shelf: Shelf, calls: list[Callable[[], Any]]) -> None:
        before = shelf.state()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for call in calls:
                call()
            shelf.close_turn()
            self._db.execute("COMMIT")
        except BaseException:
            shelf.restore(before)
            raise
        self._recount(shelf)
        self.bytes, self.count, self.evictions = shelf.taken, shelf.count, shelf.evictions

    def _recount(self, shelf: Shelf) -> None:
        for _, name in shelf.came:
            self._counting.add(name)
        for id_, name in shelf.went:
            if id_ <= self._counted or id_ > self._upto:
                self._counting.discard(name)
        shelf.came, shelf.went = [], []

    def _there(self) -> Shelf:
        """What may be used; made anew where it was damaged. Raises sqlite3.Error and OSError."""
        if self._shelf is None:
            if time.monotonic() < self._retry:
                raise OSError("the file cannot be made")
            self._retry = time.monotonic() + _AGAIN
            self._db = self._renew()
            self._shelf = self._shelved()
        return self._shelf

    def _shelved(self) -> Shelf:
        shelf = Shelf(self._db, self._limit, self._holds)
        shelf.evictions = self.evictions
        return shelf

    def _failed(self, error: Exception) -> None:
        """Go on as it was before, or with nothing where it is damaged; the first time it is told."""
        reason = getattr(error, "sqlite_errorname", None) or str(error)
        with suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        if self._shelf is not None and not _is_damage(error):
            self._tell_down(reason)
            return
        if self._shelf is not None:
            self._log.warning(
                "responses on disk are damaged: made anew", file=str(self._folder / file.FILE), reason=reason
            )
            self._shelf, self._retry = None, 0.0
            with suppress(sqlite3.Error):
                self._db.close()
            with suppress(Exception):
                self._there()
                return
        self._tell_down(reason)

    def _tell_down(self, reason: str) -> None:
        if self.up:
            self.up = False
            self._log.warning("responses on disk cannot be used", file=str(self._folder / file.FILE), reason=reason)

    def _rest(self) -> None:
        """What is done while nothing is asked for, a part at a time."""
        shelf = self._shelf
        if shelf is None or not self.up or not self._unrested:
            return
        try:
            self._unrested = self._count_some(shelf) or self._shrink(shelf)
        except sqlite3.Error as error:
            self._failed(error)

    def _count_some(self, shelf: Shelf) -> bool:
        """Find out what there is: then a load of what there is not need not wait."""
        if self._census is not None:
            return False
        names = shelf.names(self._counted, self._upto, _NAMES)
        for _, name in names:
            self._counting.add(name)
        if names:
            self._counted = names[-1][0]
        else:
            self._counted, self._census = self._upto, self._counting
        return True

    def _shrink(self, shelf: Shelf) -> bool:
        if not shelf.excess:
            return False
        self._transact(shelf, [shelf.shrink])
        if not shelf.excess:
            # Until then the file is as long as it was.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return True

    def _close(self, whole: bool) -> None:
        with suppress(sqlite3.Error, OSError):
            if whole and self._shelf is not None and self.up:
                file.end(self._db, self._folder)
        with suppress(sqlite3.Error):
            self._db.close()


def _is_damage(error: Exception) -> bool:
    """Whether it says something of what is in the file, and not of what may be done with it."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
    return not isinstance(error, OSError)
