"""Which node of the fleet does background refreshes: the one with a lease in Redis, whose token no other has."""

from collections.abc import Callable
from itertools import count
from typing import Any

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.script import Script
from gateway.ports import Clock

LEASE = 3.0
"""Seconds that a node leads without another word from it."""

BEAT = 0.5
"""Seconds between two tries to have or to keep the lead."""

_LEAD = Script("jobs_lead")


class Leading:
    """One node's; `node` is its own word, and `changed` is called where it begins to lead."""

    def __init__(self, connection: Connection, node: str, clock: Clock, changed: Callable[[], None]) -> None:
        self._connection = connection
        self._clock = clock
        self._changed = changed
        self._tokens = (f"{node}-{term}" for term in count(1))
        self._until = 0.0
        self._has_led = False
        self.token = next(self._tokens)
        """What commands that only a leader may ask for are marked with: another one each time it begins to lead."""

    @property
    def leads(self) -> bool:
        """Whether nobody else can be leading."""
        return self._clock.steady() < self._until

    async def keep(self) -> None:
        """Lead, if nobody else does, for a lease from now on. Raises Unreachable."""
        led = self.leads
        if self._has_led and not led:
            # Others may have led meanwhile: what was asked for under the old one comes too late.
            self.token, self._has_led = next(self._tokens), False
        # From before it is asked for: Redis counts from later on.
        until = self._clock.steady() + LEASE
        if not await self._ask(LEASE):
            self._until = 0.0
            return
        self._until, self._has_led = until, True
        if not led:
            self._changed()

    async def leave(self) -> None:
        """Let another lead at once. Raises Unreachable."""
        self._until = 0.0
        await self._ask(0.0)

    async def _ask(self, lease: float) -> Any:
        arguments = (self.token, round(lease * 1000))
        return await self._connection.run(_LEAD, (names.JOBS_HEAD, names.JOBS_LEADER), arguments)
