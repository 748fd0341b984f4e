"""Nodes of a fleet in one process: each a request's way with a ledger of its own, on one upstream and one Redis."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from admission.snapshots import make_request
from aiocache import RedisCache
from fleet.doors import connected
from redis import Redis
from support.clock import FakeClock
from support.in_process import Got, InProcessUpstream, Joined, Way, way
from support.polling import eventually

from gateway.admission.snapshot import Route
from gateway.clock import SystemClock
from gateway.errors import Overtaken
from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.leases import Leases
from gateway.fleet.link import Link
from gateway.fleet.log import Log
from gateway.stores.redis_tier import RedisTier
from gateway.stores.shared import Shared

LEASE = 10.0
TIMEOUT = 5.0
"""Seconds: no test is about a slow Redis unless it says so."""


@dataclass(slots=True)
class Node:
    """One of them."""

    way: Way
    connection: Connection
    leases: Leases
    link: Link
    shared: Shared

    async def hear(self) -> None:
        """Apply all that is in the log, as each request does that is charged."""
        with suppress(Overtaken):
            await self.link.verify()

    async def idle(self) -> None:
        """Return once nothing goes on here, and all is said that others are to hear."""
        await self.way.settled()
        await self.way.cache.told()
        await self.shared.settle()

    async def vanish(self) -> None:
        """It is not heard of any more, as after kill -9; what it was about goes on."""
        await self.leases.close()


class Fleet:
    """Nodes on the Redis at `url`, in the order they joined."""

    def __init__(self, folder: Path, url: str, stack: AsyncExitStack) -> None:
        self.upstream = InProcessUpstream()
        self.clock = FakeClock()
        self.nodes: list[Node] = []
        self._folder = folder
        self._url = url
        self._stack = stack

    @property
    def calls(self) -> int:
        """Exchanges with the upstream so far."""
        return len(self.upstream.sent)

    async def join(self, route: Route, lease: float = LEASE, **policy: Any) -> Node:
        """One node more, whose leases last `lease` seconds; `policy` changes the upstream's."""
        connection = await self._stack.enter_async_context(connected(self._url, TIMEOUT))
        await connection.ask("SET", names.EPOCH, connection.server)
        log = Log(connection)
        link = Link(connection, log, SystemClock(), TIMEOUT)
        backend = RedisCache(timeout=TIMEOUT)
        backend.client = connection.client()
        shared = Shared(RedisTier(backend, self.clock, 1 << 30), link, log)
        link.open()
        self._stack.push_async_callback(link.close)
        leases = Leases(connection, log, lease=lease)
        leases.start()
        self._stack.push_async_callback(leases.close)
        joined = Joined(self.upstream, self.clock, leases, shared)
        running = way(self._folder / str(len(self.nodes)), route, joined=joined, **policy)
        node = Node(await self._stack.enter_async_context(running), connection, leases, link, shared)
        await log.rejoin()
        await shared.settle()
        self.nodes.append(node)
        return node

    async def waited_for(self, target: str, nodes: int, rank: int = 0) -> None:
        """Return once so many nodes wait for the fetch of that rank that another makes."""
        key = names.digest(self.nodes[0].way.live.preparer.prepare(make_request(target)).key)
        with Redis.from_url(self._url) as redis:

            def waiting() -> int:
                return sum(field.startswith(b">") for field in redis.hkeys(names.lease(key, rank)))

            await asyncio.to_thread(eventually, lambda: waiting() >= nodes, every=0.002)


async def answers(asking: Sequence[asyncio.Task[Got]]) -> list[Got]:
    """All that was asked for."""
    async with asyncio.timeout(30):
        return await asyncio.gather(*asking)
