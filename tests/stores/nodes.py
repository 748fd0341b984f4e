"""Nodes of a fleet in one process, each with a cache of its own, on one Redis; they hear of each other when told to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from stores.fetches import GROUPS, KEY, brought

from gateway.cache import Cache
from gateway.clock import SystemClock
from gateway.errors import Overtaken
from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.link import Link
from gateway.fleet.log import Log
from gateway.fleet.settings import Settings
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.memory import MemoryTier
from gateway.stores.redis_tier import RedisTier, backend
from gateway.stores.shared import Shared

TIMEOUT = 5.0
"""Seconds: no test is about a slow Redis unless it says so."""

ROOM = 1 << 30
"""Bytes of the shared tier: more than any test stores that says nothing of it."""


class Ahead(SystemClock):
    """A steady clock that began `ahead` seconds wrong."""

    def __init__(self, ahead: float = 0.0) -> None:
        super().__init__()
        self.ahead = ahead

    def steady(self) -> float:
        return super().steady() + self.ahead


class Node:
    """A node's part of what is shared; `follow` is left to the test."""

    def __init__(self, connection: Connection, clock: Ahead, timeout: float) -> None:
        self.connection = connection
        self.clock = clock
        self.log = Log(connection)
        self.link = Link(connection, self.log, clock, timeout)
        self.tier = RedisTier(backend(connection.client(), timeout), clock, ROOM)
        self.shared = Shared(self.tier, self.link, self.log)
        self.cache = Cache(MemoryTier(64 << 20), None, clock, shared=self.shared)

    async def hear(self) -> None:
        """Apply all that is in the log, as each request does that is charged."""
        with suppress(Overtaken):
            await self.link.verify()

    async def idle(self) -> None:
        """Return once all that this node has to say has been said."""
        await self.cache.told()
        await self.shared.settle()

    async def fetch(self, key: str = KEY, groups: tuple[str, ...] = GROUPS) -> StoredResponse:
        """A fetch from begin to end."""
        fetching = self.cache.begin(groups)
        stored = brought(fetching, key)
        assert self.cache.store(fetching, stored)
        self.cache.end(fetching)
        await self.idle()
        return stored

    async def refresh(self, key: str = KEY, groups: tuple[str, ...] = GROUPS) -> StoredResponse:
        """A force refresh from begin to end."""
        fetching = self.cache.begin(groups)
        stored = brought(fetching, key, forced=True)
        assert self.cache.store(fetching, stored)
        self.cache.outdate(fetching, key)
        self.cache.end(fetching)
        await self.idle()
        return stored

    async def finds(self, key: str = KEY) -> list[StoredResponse]:
        """What a request that begins now finds: not outdated, in memory or behind it."""
        await self.hear()
        return [stored for stored in await self.cache.load(key) if not stored.outdated]


@asynccontextmanager
async def node(url: str, ahead: float = 0.0, timeout: float = TIMEOUT) -> AsyncIterator[Node]:
    """One that has come to the fleet."""
    clock = Ahead(ahead)
    connection = await Connection.open(Settings(url, timeout=timeout), clock, ROOM)
    await connection.ask("SET", names.EPOCH, connection.server)
    one = Node(connection, clock, timeout)
    await one.log.rejoin()
    # Until it knows the purges there were, it loads nothing.
    await one.shared.settle()
    one.link.open()
    try:
        yield one
    finally:
        await one.cache.close()
        await one.link.close()
        await connection.close()
