"""Connections to Redis for the suites of the fleet, closed when their test ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from support.polling import PATIENCE

from gateway.clock import SystemClock
from gateway.fleet.connection import Connection
from gateway.fleet.settings import Settings

UNHURRIED = 2.0
"""Seconds for calls that are to be answered, however busy the machine is."""


@asynccontextmanager
async def connected(url: str, timeout: float = UNHURRIED, **settings: Any) -> AsyncIterator[Connection]:
    """A connection to the Redis at `url`."""
    connection = await Connection.open(Settings(url, timeout=timeout, **settings), SystemClock())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(connection.close)
        yield connection


class States:
    """What a connection's listeners are told, in order."""

    def __init__(self, connection: Connection) -> None:
        self._told = asyncio.Queue[bool]()
        self._connection = connection
        connection.listen(self._told.put_nowait)

    async def next(self) -> bool:
        """The next change of `up`."""
        return await asyncio.wait_for(self._told.get(), PATIENCE)

    @property
    def empty(self) -> bool:
        """Whether nothing more has been told."""
        return self._told.empty()
