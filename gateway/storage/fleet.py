"""What the gateways of a fleet keep together in Redis, as one of them: beside it only memory, and a book of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import assert_never

import structlog

from gateway.cache import Cache
from gateway.claims import Claims
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.fastlane.asking import Asking
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.leases import Leases
from gateway.fleet.link import Link
from gateway.fleet.log import Log
from gateway.fleet.nodes import Nodes
from gateway.fleet.recovery import Recovery
from gateway.fleet.settings import Settings
from gateway.gauges import InRedis, OnDisk
from gateway.idempotency import Idempotency
from gateway.jobs.replicated import ReplicatedRegister
from gateway.keys.keyring import Keyring
from gateway.keys.shared import SharedKeys
from gateway.ledger.follower import Follower
from gateway.ports import Clock
from gateway.stores import TierUnavailable
from gateway.stores.memory import MemoryTier
from gateway.stores.redis_tier import RedisTier, backend
from gateway.stores.shared import Shared
from gateway.tasks import forever
from gateway.till.catching_up import CatchingUp
from gateway.till.deferring import Deferring
from gateway.till.meanwhile import Meanwhile
from gateway.till.meter import RedisMeter

# Seconds that leaving may take.
_CLOSING = 10.0

# Seconds between two looks at who has died, and at what is stored in all.
_LOOK = 1.0

# Seconds for which a start is tried again.
_PATIENCE = 5.0


class Fleet:
    """`storage.Storage` of one node; made by `open`."""

    def __init__(self, config: Config, connection: Connection, clock: Clock) -> None:
        self._config = config
        self._connection = connection
        self._clock = clock
        self._opened = AsyncExitStack()
        self._log = Log(connection)
        self._nodes = Nodes(connection, clock)
        self._link = Link(connection, self._log, clock, config.store.timeout)
        self._meter = RedisMeter(self._link, connection, clock)
        self._deferring = Deferring(config.store.path, connection, CatchingUp(connection, clock))
        till = self.metering = self._till(config)
        self.cashier = Asking(till)
        self.guard = Leases(connection, self._log)
        self._tier = RedisTier(backend(connection.client(), config.store.timeout), clock, config.store.shared)
        self._stored = (0, 0)
        self._told: tuple[str, ...] = ()
        shared = Shared(self._tier, self._link, self._log)
        self.cache = Cache(MemoryTier(config.store.memory), None, clock, shared=shared)

    @classmethod
    async def open(cls, config: Config, clock: Clock) -> "Fleet":
        """Begins anew for some seconds where Redis is late once. Raises BadStart, with nothing left open."""
        deadline = clock.steady() + _PATIENCE
        while True:
            connection = await Connection.open(Settings.of(config.store), clock)
            fleet = cls(config, connection, clock)
            fleet._opened.push_async_callback(connection.close)
            try:
                await fleet._begin()
            except (BadStart, Unreachable) as error:
                await fleet.close()
                is_late = isinstance(error, Unreachable) or isinstance(error.__cause__, Unreachable)
                if is_late and clock.steady() < deadline:
                    continue
                if isinstance(error, Unreachable):
                    raise BadStart(f"store.url: Redis does not answer: {error}") from error
                raise
            return fleet

    @property
    def up(self) -> bool:
        """Whether charges can be written."""
        return self._connection.up

    def listen(self, accepted: Callable[[], None], left: Callable[[], Awaitable[None]]) -> None:
        """Have `accepted` called where others have jobs for this node, `left` awaited where a dead one left some."""
        self.jobs.listen(accepted, left)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What may go wrong with this Redis."""
        return self._connection.doubts

    @property
    def ready(self) -> bool:
        """Whether it can do what others of the fleet can: while Redis does not answer, none can do more."""
        return not self._connection.up or self.recorded.healthy

    def configure(self, config: Config) -> None:
        """Go by another config, of the same store."""
        self.cache.resize(config.store.memory)
        self._tier.room = config.store.shared
        self.recorded.keep(config.ledger.keep)

    def on_disk(self) -> OnDisk | None:
        """Nothing is."""
        return None

    def in_redis(self) -> InRedis | None:
        """What all nodes have stored, as of a second ago."""
        return InRedis(*self._stored, self._tier.evictions)

    async def close(self) -> None:
        """Write what is under way, and leave the fleet; what Redis does not take in time stays with the others."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self._opened.aclose()

    async def _begin(self) -> None:
        """In this order: who closes first still needs what was opened before."""
        config, opened, connection = self._config, self._opened, self._connection
        recovery = Recovery(connection)
        self._doubt(up=True)
        connection.listen(lambda up: self._doubt(up=up))
        folder = config.store.path
        self.recorded = await Follower.open(folder, connection, recovery, self._clock, keep=config.ledger.keep)
        opened.push_async_callback(self.recorded.close)
        connection.before_up(self._log.rejoin)
        await self._log.rejoin()
        made = await SharedKeys.open(connection, self._log)
        recovery.keep(made.put_back)
        self.keyring = Keyring(made, self._clock)
        opened.push_async_callback(self.keyring.close)
        await self._deferring.open()
        opened.push_async_callback(self._deferring.close)
        self._link.open()
        opened.push_async_callback(self._link.close)
        self._run("log", self._log.follow)
        opened.push_async_callback(self.cache.close)
        self.guard.start()
        opened.push_async_callback(self.guard.close)
        self.jobs = await ReplicatedRegister.open(connection, self._nodes, self._clock)
        recovery.keep(self.jobs.put_back)
        opened.push_async_callback(self.jobs.close)
        claims = Claims(connection, self._clock)
        opened.push_async_callback(claims.close)
        self._run("claims", claims.renew)
        self.idempotency = Idempotency(claims, self._clock)
        self._run("dead nodes", self._bury)
        self._run("shared responses", self._count_stored)

    def _doubt(self, *, up: bool) -> None:
        """Log what is doubtful of the Redis connected to, and was not before."""
        told, self._told = self._told, self._connection.doubts if up else self._told
        for reason in self._told:
            if reason not in told:
                structlog.get_logger("gateway.store").warning("store at risk", reason=reason)

    def _till(self, config: Config) -> RedisMeter | Meanwhile:
        match config.store.on_failure:
            case "deny":
                return self._meter
            case "serve_stored":
                return Meanwhile(self._meter, self._deferring, self._connection, self._clock)
            case _:
                assert_never(config.store.on_failure)

    def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._opened.push_async_callback(_ended, asyncio.create_task(forever(name, work)))

    async def _bury(self) -> None:
        """Give back what dead nodes had reserved, and forget those that have left nothing."""
        abandoned = self._meter.abandoned(self._nodes.dead)
        while True:
            await asyncio.sleep(_LOOK)
            with suppress(Unreachable):
                for incarnation in await abandoned.release():
                    await self._nodes.forget(incarnation)

    async def _count_stored(self) -> None:
        while True:
            with suppress(TierUnavailable):
                self._stored = await self._tier.account()
            await asyncio.sleep(_LOOK)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
