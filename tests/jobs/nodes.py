"""Nodes of a fleet, as far as their registers of refreshes go: each with its own connection to a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from support.clock import FakeClock
from support.polling import PATIENCE

from gateway.admission.jobs import Job, Sending
from gateway.clock import SystemClock
from gateway.fleet import names
from gateway.fleet.connection import Connection, Part, Unreachable
from gateway.fleet.enlisting import HEARTBEAT
from gateway.fleet.nodes import Nodes
from gateway.fleet.recovery import Recovery
from gateway.fleet.script import Script
from gateway.fleet.settings import Settings
from gateway.jobs.replicated import ReplicatedRegister
from gateway.ports import Clock


@dataclass
class Node:
    """One of the fleet's."""

    connection: Connection
    register: ReplicatedRegister
    recovery: Recovery

    def hang(self) -> None:
        """From now on it does nothing by itself, though its lease lasts by its own clock."""
        for task in self.register._tasks:
            task.cancel()

    def trust(self) -> None:
        """Whatever it has heard of has been charged meanwhile."""
        self.register._withheld.clear()

    async def end_lease(self) -> None:
        """As time would, whoever leads."""
        await self.connection.ask("DEL", names.JOBS_LEADER)


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds, which another task makes so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - registers tell nobody of such things
            await asyncio.sleep(0.005)


class Losing:
    """Loses one answer to a call of a node's that asks for something, and with it the call unless that `arrives`."""

    def __init__(self, node: Node, *, arrives: bool) -> None:
        self._run, self._arrives = node.connection.run, arrives
        self.lost: list[tuple[Script, Sequence[str], Sequence[Part]]] = []
        self._connection = node.connection

    def __enter__(self) -> "Losing":
        setattr(self._connection, "run", self._losing)  # noqa: B010  # a method
        return self

    def __exit__(self, *_: object) -> None:
        delattr(self._connection, "run")

    async def _losing(self, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Any:
        if self.lost or script.name != "jobs_round" or not arguments[3]:
            return await self._run(script, keys, arguments)
        self.lost.append((script, keys, arguments))
        if self._arrives:
            await self._run(script, keys, arguments)
        raise Unreachable("silent")

    async def arrive(self) -> Any:
        """The call that was lost is executed after all."""
        return await self._run(*self.lost[0])


class Alone(Nodes):
    """As a node sees it that all others have died for."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        super().__init__(connection, clock)
        self._me = connection.incarnation

    async def alive(self) -> set[int]:
        return {self._me}


class Heir(ReplicatedRegister):
    """Of all others; its clock is moved."""

    async def unfinished(self) -> tuple[tuple[Job, Sending], ...]:
        """Once they have been missed for long enough."""
        assert await super().unfinished() == ()
        assert isinstance(self._clock, FakeClock)
        self._clock.advance(HEARTBEAT)
        return await super().unfinished()


@asynccontextmanager
async def node_on(
    url: str,
    clock: Clock | None = None,
    nodes: type[Nodes] = Nodes,
    kind: type[ReplicatedRegister] = ReplicatedRegister,
    timeout: float = 2.0,
) -> AsyncIterator[Node]:
    """A node that lives meanwhile, as the composition makes it."""
    clock = clock or SystemClock()
    connection = await Connection.open(Settings(url, timeout=timeout), clock)
    recovery = Recovery(connection, window=0.0)
    connection.before_up(recovery.agree)
    await recovery.agree()
    register = await kind.open(connection, nodes(connection, clock), clock)
    recovery.keep(register.put_back)
    try:
        yield Node(connection, register, recovery)
    finally:
        await register.close()
        await connection.close()
