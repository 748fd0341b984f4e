"""After a failover, a restart or a loss of Redis: the fleet puts back what it knows, then agrees on the server.

Redis has the run id of the server that the fleet goes by. Nobody asks anything of the ledger where it is another one,
so that nothing new takes the place of what is missing. Every node that comes puts back what it remembers; one of them
lets the others have a moment for that, and then writes the new run id down.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.script import Script

WINDOW = 1.5
"""Seconds in which others may put something back: as long as one may take to find Redis again, and some."""

# Seconds for which one node has the say; longer than the window, and not much.
_LEASE = 4.0
_LOOK = 0.05
_LEAD, _AGREE = Script("lead"), Script("agree")

PutBack = Callable[[], Awaitable[None]]


class Recovery:
    """Of one node; `window` is in seconds."""

    def __init__(self, connection: Connection, window: float = WINDOW) -> None:
        self._connection = connection
        self._window = window
        self._keepers: list[PutBack] = []
        self._has_agreed = False
        self._told = ""
        self._log = structlog.get_logger("gateway.fleet")

    def keep(self, put_back: PutBack) -> None:
        """Have `put_back` bring to Redis what it has lost, as far as this node knows it; it may be called again."""
        self._keepers.append(put_back)

    async def agreed(self) -> bool:
        """Whether the fleet goes by the server connected to. Raises Unreachable."""
        return bool(await self._connection.ask("GET", names.EPOCH) == self._connection.server.encode())

    async def agree(self) -> None:
        """Returns once the fleet goes by the server connected to. Raises Unreachable.

        What was known here is in Redis then, unless everybody had agreed before.
        """
        if not await self.agreed():
            await self._recover()
        self._has_agreed = True
        if self._told:
            self._log.info("store agreed on", server=self._connection.server)
            self._told = ""

    async def _recover(self) -> None:
        await self._tell()
        await self._put_back()
        while not await self.agreed():
            if await self._may_lead():
                await asyncio.sleep(self._window)
                await self._put_back()
                await self._lead()
            else:
                await asyncio.sleep(_LOOK)

    async def _tell(self) -> None:
        """Once, however often it is tried until all agree."""
        server = self._connection.server
        if server == self._told:
            return
        if self._has_agreed or await self._connection.ask("EXISTS", names.EPOCH):
            self._log.warning("store changed", server=server)
        else:
            self._log.info("store begun with", server=server)
        self._told = server

    async def _put_back(self) -> None:
        for put_back in self._keepers:
            await put_back()

    async def _may_lead(self) -> bool:
        keys, server = (names.RECOVERY, names.EPOCH), self._connection.server
        return bool(await self._connection.run(_LEAD, keys, [self._me, server, int(1000 * _LEASE)]))

    async def _lead(self) -> None:
        """Says which server it is, if nobody else was given the say meanwhile."""
        keys, server = (names.RECOVERY, names.EPOCH), self._connection.server
        await self._connection.run(_AGREE, keys, [self._me, server])

    @property
    def _me(self) -> str:
        return str(self._connection.incarnation)
