"""Charges while Redis does not answer: in this process's journal before anything is answered, in Redis after."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from gateway.errors import Problem
from gateway.fleet.call import unavailable
from gateway.fleet.connection import Connection, Refused, Unreachable
from gateway.ledger import encoding
from gateway.ledger.records import LedgerCorrupt
from gateway.till.catching_up import CatchingUp
from gateway.till.deferred import Deferred, begun, left
from gateway.till.tab import Tab

Written = Callable[[Problem | None], None]
"""Told once that a charge is in the journal; with the Problem where it is not."""


class Deferring:
    """The journals in the folder `store`. What a turn of the event loop charges is written by its end, as one group."""

    def __init__(self, store: Path, connection: Connection, catching_up: CatchingUp) -> None:
        self._store = store
        self._connection = connection
        self._catching_up = catching_up
        self._journal: Deferred | None = None
        self._applied = 0
        self._gathered: list[tuple[Tab, int, Written]] = []
        self._refusing = False
        self._applying = asyncio.Lock()
        self._rest: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("gateway.fleet")

    async def open(self) -> None:
        """Applies what was left here, now and whenever Redis is back, before anything else is asked of it.

        Raises BadStart and Unreachable.
        """
        for journal in left(self._store):
            try:
                await self._apply(journal, 0)
            except (LedgerCorrupt, Refused) as error:
                self._log.error("deferred charges stay", why=str(error), journal=journal.id)
                journal.let_go()
        self._connection.before_up(self._catch_up)
        self._connection.listen(self._changed)

    async def close(self) -> None:
        """What Redis does not have by now is applied at the next start here."""
        if self._rest is not None:
            self._rest.cancel()
            await asyncio.wait((self._rest,))
        self._write()
        if self._journal is not None:
            self._journal.let_go()

    def charge(self, tab: Tab, times: int, written: Written) -> None:
        """So many charges of `tab`; `written` is called by the end of this turn, never at once."""
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._write)
        self._gathered.append((tab, times, written))

    def _write(self) -> None:
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        problem = self._append(encoding.payload([tab.entry(times) for tab, times, _ in gathered]))
        for _, _, written in gathered:
            written(problem)

    def _append(self, payload: bytes) -> Problem | None:
        try:
            if self._journal is None:
                self._journal, self._applied = begun(self._store), 0
            self._journal.append(payload)
        except OSError as error:
            if not self._refusing:
                self._refusing = True
                self._log.error("deferred charges cannot be written", why=str(error))
            return unavailable()
        self._refusing = False
        return None

    async def _catch_up(self) -> None:
        """Applies all there is. Raises Unreachable."""
        async with self._applying:
            journal = self._journal
            if journal is None:
                return
            try:
                while self._applied < journal.sequence:
                    self._applied = await self._catching_up.apply(journal, self._applied)
            except (LedgerCorrupt, Refused) as error:
                # Everybody else must not wait for what a look by somebody has to mend.
                self._log.error("deferred charges stay", why=str(error), journal=journal.id)
                journal.let_go()
                self._journal = None
                return
            self._journal = None
            await self._remove(journal)

    async def _apply(self, journal: Deferred, after: int) -> None:
        """One that another process left. Raises Unreachable, Refused and LedgerCorrupt."""
        await self._catching_up.apply(journal, after)
        await self._remove(journal)

    async def _remove(self, journal: Deferred) -> None:
        try:
            journal.remove()
        except OSError as error:
            # At the next start Redis says that it has all of it.
            self._log.warning("applied charges cannot be removed", why=str(error), journal=journal.id)
            return
        with suppress(Unreachable, Refused):
            await self._catching_up.forget(journal)

    def _changed(self, up: bool) -> None:
        """What came while the last of it was applied."""
        if up and self._journal is not None and (self._rest is None or self._rest.done()):
            self._rest = asyncio.create_task(self._catch_up_later())

    async def _catch_up_later(self) -> None:
        with suppress(Unreachable):
            await self._catch_up()
