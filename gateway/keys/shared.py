"""Made keys that all nodes of a fleet have in common: Redis is the authority, and each node has a copy in memory.

A change names the version that it makes, so that of two at once the later one is planned again. It is an entry of the
fleet's log from the same step on, and it is answered once every living node has taken it over.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from gateway.errors import BadStart
from gateway.fleet import failures
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.enlisting import HEARTBEAT
from gateway.fleet.log import Log
from gateway.keys import encoding
from gateway.keys.database import KeyDatabase
from gateway.keys.in_redis import Held, InRedis, new_word
from gateway.keys.made import Adopt, Plan, Renew, told
from gateway.keys.orders import Unavailable
from gateway.keys.planning import Planned
from gateway.tasks import Tasks

T = TypeVar("T")

# Seconds after which whatever Redis did not answer is asked again, and how often a change is.
_AGAIN, _TRIES = 0.25, 8
# Seconds between two looks at who has taken a change over, and for how long at most: who is dead or frozen has no
# heartbeat by then, and is told by its next turn call.
_LOOK = 0.005
_LOOKS = round((HEARTBEAT + 1.0) / _LOOK)
_FAILURES = (Unreachable, failures.Refused)


class SharedKeys:
    """`Made` in Redis; made by `open`. The `log` is None for who serves nobody, and hears of no other's changes."""

    def __init__(self, connection: Connection, log: Log | None) -> None:
        self._redis = InRedis(connection)
        self._serves = log is not None
        self._copy = KeyDatabase.in_memory()
        self._thread = ThreadPoolExecutor(1, "keys")
        self._version = 0
        self._waiting: list[tuple[int, Planned]] | None = None
        self._one, self._reading = asyncio.Lock(), asyncio.Lock()
        self._untrue = asyncio.Event()
        self._adopt: list[Adopt] = []
        self._renew: list[Renew] = []
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()
        self._reader: asyncio.Task[None] | None = None
        if log is not None:
            log.on(encoding.KIND, self._heard)
            log.on_gap(self._untrue.set)
            connection.before_up(self._rejoin)

    @classmethod
    async def open(cls, connection: Connection, log: Log | None) -> "SharedKeys":
        """With all of them read; the log has been joined before. Raises BadStart."""
        shared = cls(connection, log)
        try:
            await shared._begin()
        except (*_FAILURES, ValueError, TypeError) as error:
            await shared.close()
            raise BadStart(f"the keys made here cannot be read from Redis: {error}") from error
        return shared

    def listen(self, adopt: Adopt, renew: Renew) -> None:
        """Own changes and other nodes' alike."""
        self._adopt.append(adopt)
        self._renew.append(renew)

    async def read(self, query: Callable[[KeyDatabase], T]) -> T:
        """In the copy, which has all that this node has heard of."""
        return await asyncio.wrap_future(self._submit(query))

    async def change(self, plan: Plan) -> Planned:
        """Holds at every living node once it returns; one that is frozen hears of it before it can charge anything.

        Raises Unavailable too where nobody knows whether it was made.
        """
        async with self._one:
            while True:
                # What is submitted now sees the copy at this version.
                version = self._version + 1
                planned = await self.read(lambda database: _numbered(database, plan))
                if await self._written(version, planned):
                    break
                await self._catch_up()
        self._offer(version, planned)
        await self._seen(version)
        return planned

    async def put_back(self) -> None:
        """Bring back what Redis has lost of them. Raises Unreachable."""
        if await self._redis.version() < self._version:
            version = self._version
            await self._redis.put_back(await self.read(lambda copy: Held(version, *_all(copy))))

    async def close(self) -> None:
        """Forget the copy."""
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        await self._tasks.finish()
        await asyncio.to_thread(self._thread.shutdown)
        self._copy.close()

    async def _begin(self) -> None:
        if self._serves:
            # From now on whoever changes one waits until this node has heard of it.
            await self._redis.announce(0)
        await self._load()
        if self._serves:
            await self._redis.announce(self._version)
            self._reader = asyncio.create_task(self._keep())

    async def _load(self) -> None:
        """All anew. What is heard of meanwhile comes after it."""
        async with self._reading:
            self._waiting = []
            try:
                held = await self._redis.load(agreed=self._serves)
                replaced = self._submit(lambda copy: copy.replace(held.accounts, held.keys))
                self._version = held.version
            finally:
                waiting, self._waiting = self._waiting, None
                for version, planned in waiting:
                    self._take(version, planned)
            await asyncio.wrap_future(replaced)

    async def _written(self, version: int, planned: Planned) -> bool:
        """Whether it is made; False where another one has made this version. An answer that is lost is asked for."""
        word = new_word()
        for _ in range(_TRIES):
            try:
                return await self._redis.write(version, planned, word)
            except _FAILURES as error:
                reason = error
                await asyncio.sleep(_AGAIN)
        raise Unavailable(f"Redis gives no answer, so that nobody knows whether it was changed: {reason}")

    async def _catch_up(self) -> None:
        try:
            await self._load()
            for renew in self._renew:
                await renew()
        except (*_FAILURES, BadStart, ValueError, TypeError) as error:
            raise Unavailable(str(error)) from error
        if self._serves:
            self._tasks.start(self._announce())

    async def _keep(self) -> None:
        """Reads all again whenever something was missed."""
        while True:
            await self._untrue.wait()
            self._untrue.clear()
            try:
                await self._catch_up()
            except Unavailable as error:
                structlog.get_logger("gateway.keys").warning("made keys not read again yet", reason=str(error))
                self._untrue.set()
                await asyncio.sleep(_AGAIN)

    def _heard(self, rest: list[Any]) -> None:
        self._offer(*encoding.change_of(rest))

    def _offer(self, version: int, planned: Planned) -> None:
        if self._waiting is None:
            self._take(version, planned)
        else:
            self._waiting.append((version, planned))

    def _take(self, version: int, planned: Planned) -> None:
        """Once, in the order of versions."""
        if version <= self._version:
            return
        if version > self._version + 1:
            self._untrue.set()
            return
        self._version = version
        self._submit(lambda copy: copy.apply(planned.change)).add_done_callback(self._applied)
        for adopt in self._adopt:
            adopt(planned)
        if self._serves:
            self._tasks.start(self._announce())

    def _applied(self, done: "Future[int]") -> None:
        if done.exception() is not None:
            self._loop.call_soon_threadsafe(self._untrue.set)

    async def _announce(self) -> None:
        """Where Redis does not answer the next connection says it."""
        with suppress(*_FAILURES):
            await self._redis.announce(self._version)

    async def _rejoin(self) -> None:
        await self._redis.announce(self._version)
        if await self._redis.version() > self._version:
            self._untrue.set()

    async def _seen(self, version: int) -> None:
        """Returns once all that live have taken it over."""
        for _ in range(_LOOKS):
            if not await self._lacking(version):
                return
            await asyncio.sleep(_LOOK)

    async def _lacking(self, version: int) -> bool:
        try:
            return bool(await self._redis.behind(version))
        except _FAILURES:
            return True

    def _submit(self, query: Callable[[KeyDatabase], T]) -> "Future[T]":
        return self._thread.submit(told, query, self._copy)


def _numbered(database: KeyDatabase, plan: Plan) -> Planned:
    planned = plan(database)
    if planned.key is None:
        return planned
    return replace(planned, key=planned.key._replace(number=database.next_number()))


def _all(copy: KeyDatabase) -> tuple[list[Any], list[Any]]:
    return list(copy.accounts().values()), copy.listed()
