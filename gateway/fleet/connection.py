"""The door to Redis: one connection that is kept up, with a deadline for each call."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import redis.asyncio
import structlog
from redis.exceptions import ResponseError

from gateway.admission.background import RetryPolicy
from gateway.admission.backoff import pause
from gateway.errors import BadStart
from gateway.fleet import names
from gateway.fleet.enlisting import BEAT, Membership, Unfit
from gateway.fleet.failures import CLOSED, HOPELESS, STRANGE
from gateway.fleet.failures import Refused as Refused
from gateway.fleet.failures import Unreachable as Unreachable
from gateway.fleet.following import Followed, Followers
from gateway.fleet.script import Script
from gateway.fleet.settings import Settings
from gateway.fleet.wire import Part as Part
from gateway.fleet.wire import Told, Wire
from gateway.ports import Clock

_PAUSES = RetryPolicy(first=0.1, longest=1.0)

_LASTING = 1.0
"""Seconds after which a connection was a good one: only then the next pause is a short one again."""

_reviving: ContextVar[bool] = ContextVar("reviving", default=False)
"""Whether one of the hooks asks, who go before everyone else."""


class Connection:
    """Calls of a node on Redis, each ended within `Settings.timeout`; opened again for ever where it is lost.

    Replies are those of Redis's protocol 2: bytes, integers, None, and lists of these. While it is not `up`, calls fail
    at once.
    """

    def __init__(self, settings: Settings, clock: Clock, draw: Callable[[], float] = random.random) -> None:
        self.up = False
        self._settings = settings
        self._clock = clock
        self._draw = draw
        self._log = structlog.get_logger("gateway.store").bind(server=settings.place)
        self._membership = Membership(settings.stored)
        self._wire: Wire | None = None
        self._followers = Followers(settings)
        self._clients = list[redis.asyncio.Redis]()
        self._listeners = list[Callable[[bool], None]]()
        self._hooks = list[Callable[[], Awaitable[None]]]()
        self._lost = asyncio.Event()
        self._reached = asyncio.Event()
        self._since = clock.steady()
        self._failures = 0
        self._why = CLOSED
        # What comes back for less than a heartbeat has not come back: the log would have two lines for each time.
        self._missed = False
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, settings: Settings, clock: Clock, within: float = 5.0) -> "Connection":
        """Connected, enlisted, and kept so until `close`. Redis may take `within` seconds to come.

        Raises BadStart where it does not, or will not do: a wrong password, a cluster, too old, another layout version.
        """
        connection = cls(settings, clock)
        await connection._begin(within)
        return connection

    @property
    def incarnation(self) -> int:
        """This node's number in the fleet; another one after a failover that lost it, before `up`."""
        return self._membership.incarnation

    @property
    def server(self) -> str:
        """The run id of the Redis connected to last."""
        return self._membership.server

    @property
    def doubts(self) -> tuple[str, ...]:
        """What may go wrong with the Redis connected to last."""
        return self._membership.doubts

    def listen(self, listener: Callable[[bool], None]) -> None:
        """Have `listener` told of each change of `up`."""
        self._listeners.append(listener)

    def before_up(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Have `hook` run at every reconnect before anyone else may ask; where it raises Unreachable, all begins anew.

        Not at the first connection, which is up already.
        """
        self._hooks.append(hook)

    async def ask(self, *command: Part) -> Any:
        """The reply to one command. Raises Unreachable and Refused."""
        return await self._open_wire().ask(command, self._settings.timeout)

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Part], within: float | None = None
    ) -> Any:
        """What a script returns, which may take `within` seconds where it is a long one. Raises as `ask`."""
        return await self._open_wire().run(script, keys, arguments, within or self._settings.timeout)

    def start(self, script: Script, keys: Sequence[str], arguments: Sequence[Part], told: Told) -> None:
        """Have `told` called with what a script returns, or with the Unreachable or Refused that `run` would raise.

        Once, and never at once. Raises Unreachable where nothing was sent.
        """
        self._open_wire().start(script, keys, arguments, self._settings.timeout, told)

    async def pipeline(self, *commands: Sequence[Part]) -> list[Any]:
        """The replies to commands that are sent together, though not as one transaction. Raises as `ask`.

        Where one is refused, the others have been executed all the same.
        """
        replies = await self._open_wire().call(commands, self._settings.timeout)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise Refused(str(reply))
        return replies

    async def follow(self, streams: Mapping[str, str], most: int, block: float) -> Followed:
        """What is new in streams, each after the id given, or nothing after `block` seconds; at most `most` of each.

        May be called over and over: it raises Unreachable after a pause, while Redis is down one of `block` seconds.
        """
        if not self.up:
            await self._await_up(block)
        try:
            return await self._followers.read(streams, most, block)
        except Unreachable:
            # Whoever asks again at once finds nothing better.
            await asyncio.sleep(_PAUSES.first)
            raise

    def client(self) -> redis.asyncio.Redis:
        """A client of redis-py's with a small pool of its own for libraries that want one, under the same settings.

        Each of its steps has the timeout, not the whole of a call.
        """
        client = self._settings.client()
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close everything; the heartbeat ends, and calls fail from now on."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self.up:
            with suppress(Unreachable, Refused):
                await self.ask(b"DEL", names.node(self.incarnation))
        self.up = False
        if self._wire is not None:
            await self._wire.close()
        await self._followers.close()
        for client in self._clients:
            await client.aclose()

    async def _begin(self, within: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while not self.up:
            try:
                left = max(deadline - loop.time(), self._settings.timeout)
                await self._attempt(left, left)
            except (Unreachable, Refused, Unfit) as error:
                self._failures += 1
                wait = self._pause()
                if isinstance(error, Unfit) or str(error) in HOPELESS or loop.time() + wait > deadline:
                    told = f"store.url: Redis at {self._settings.place} cannot be used: {_reason(error)}"
                    raise BadStart(told) from None
                await asyncio.sleep(wait)
        self._failures = 0
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await self._beat_until_lost()
            await self._return()

    async def _beat_until_lost(self) -> None:
        """A heartbeat finds out as well whether a connection that nobody uses still leads anywhere."""
        while (wire := self._wire) is not None:
            try:
                async with asyncio.timeout(BEAT):
                    await self._lost.wait()
            except TimeoutError:
                await self._beat(wire)

    async def _beat(self, wire: Wire) -> None:
        before = self.incarnation
        try:
            await self._membership.beat(wire, self._settings.timeout)
        except (Unreachable, Refused, Unfit) as error:
            wire.end(_reason(error))
            return
        if self.incarnation != before:
            wire.end("another node has this one's number")
        elif self._missed:
            self._missed = False
            self._log.info("store reached again")

    async def _return(self) -> None:
        """Try for ever: at once, and then after pauses by which many nodes do not all come at one moment."""
        while not self.up:
            if self._failures:
                await asyncio.sleep(self._pause())
            try:
                await self._attempt(self._settings.attempt, self._settings.timeout)
            except (Unreachable, Refused, Unfit):
                self._failures += 1
            except Exception as error:  # noqa: BLE001 - a bug of ours: nobody else would connect again
                self._failures += 1
                self._log.error("store not reached, tried again", exc_info=error)

    def _pause(self) -> float:
        return pause(_PAUSES, self._failures, self._draw())

    async def _attempt(self, within: float, answer: float) -> None:
        """Connect in `within` seconds; a Redis that then takes longer than `answer` for each answer will not do."""
        wire = self._wire = await Wire.open(self._settings, within, self._down)
        try:
            await self._membership.begin(wire, answer)
            await self._run_hooks()
        except (Unreachable, Refused, Unfit) as error:
            wire.end(_reason(error))
            raise
        except Exception:
            wire.end(STRANGE)
            raise
        if not wire.is_open:
            raise Unreachable(self._why)
        self._change(up=True)

    async def _run_hooks(self) -> None:
        token = _reviving.set(True)
        try:
            for hook in self._hooks:
                await hook()
        finally:
            _reviving.reset(token)

    def _down(self, reason: str) -> None:
        self._wire = None
        self._why = reason
        self._lost.set()
        self._followers.drop(reason)
        if self.up:
            self._failures = 0 if self._clock.steady() - self._since > _LASTING else self._failures + 1
            if not self._missed:
                self._missed = True
                self._log.warning("store unreachable", reason=reason)
            self._change(up=False)

    def _change(self, *, up: bool) -> None:
        self.up = up
        if up:
            self._lost.clear()
            self._reached.set()
            self._since = self._clock.steady()
        else:
            self._reached.clear()
        for listener in self._listeners:
            listener(up)

    def _open_wire(self) -> Wire:
        if self._wire is None or not (self.up or _reviving.get()):
            raise Unreachable(self._why)
        return self._wire

    async def _await_up(self, block: float) -> None:
        try:
            async with asyncio.timeout(block):
                await self._reached.wait()
        except TimeoutError:
            raise Unreachable(self._why) from None


def _reason(error: Unreachable | Refused | Unfit) -> str:
    """What may be shown of it: a refusal is in Redis's own words."""
    return "it refuses what the gateway needs" if isinstance(error, Refused) else str(error)
