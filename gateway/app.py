"""Composition: from a config to a running gateway, to another config while it runs, and to its orderly end."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from gateway import __version__
from gateway.admin import Admin
from gateway.admission.memo import Memo
from gateway.admission.snapshot import Account
from gateway.answering import Answering
from gateway.background.department import Background, within
from gateway.background.work import Parts
from gateway.cache import Cache
from gateway.clock import SystemClock
from gateway.collapse import Collapse
from gateway.config.load import Loaded
from gateway.config.schema import Config
from gateway.costs import Costs
from gateway.errors import BadStart
from gateway.explaining.live import Operating
from gateway.fastlane.heads import ROOM as HEADS
from gateway.fastlane.heads import Heads
from gateway.fastlane.lane import FastLane
from gateway.fastlane.planning import Planning, room_for
from gateway.fetch import Fetcher
from gateway.gauges import Gauges
from gateway.health import Health
from gateway.idempotency import Idempotency
from gateway.jobs.register import JobRegister
from gateway.keys.keyring import Keyring
from gateway.ledger.ledger import Ledger
from gateway.ledger.reports import Reports
from gateway.listener.server import Listener
from gateway.logs import Logs
from gateway.lookup import Live
from gateway.loop_delay import LoopDelay
from gateway.messages import Request
from gateway.meter import Meter
from gateway.metrics import Metrics
from gateway.once import Once
from gateway.operators import Operators
from gateway.own import Own
from gateway.pipeline import Pipeline
from gateway.provisioning import Provisioned, connected, emptied, provisioned
from gateway.reading import Buffers
from gateway.refreshes import Refreshes
from gateway.reload import Read, Reloader, ReloadStatus
from gateway.settlement import Settlement
from gateway.singles import Singles
from gateway.stores.memory import MemoryTier
from gateway.tasks import Tasks
from gateway.upstreams.client import HttpUpstream
from gateway.watch import Watch


class Gateway:
    """One running gateway. `start` opens its doors, `drain` closes them once every accepted request is answered.

    `read` reads its config again, None where there is no file. Raises BadStart where the ledger cannot be opened.
    """

    def __init__(self, loaded: Loaded, read: Read | None, logs: Logs) -> None:
        config = self._config = loaded.config
        self._clock = SystemClock()
        self._log = structlog.get_logger("gateway")
        self._logs = logs
        self._reloader = Reloader(read, self.adopt, loaded, self._clock)
        self._ledger = Ledger.open(config.store.path, config.store.durability, self._clock, keep=config.ledger.keep)
        self._meter = Meter(self._ledger, self._clock)
        self._settlement = Settlement(self._meter, self._ledger)
        self._cache = Cache(MemoryTier(config.store.memory), None, self._clock)
        self._buffers = Buffers(config.limits.buffered)
        collapse = Collapse(self._clock.steady)
        self._fetcher = Fetcher(self._cache, collapse, self._buffers, Costs(self._settlement), self._clock)
        self._metrics = Metrics(self._gauges(), __version__)
        self._watch = Watch(self._metrics, self._clock)
        self._watch.configure(config.log.sample)
        self._idempotency = Idempotency(self._ledger, self._clock)
        self._upstreams: dict[str, HttpUpstream] = {}
        self._health = Health({"ledger": lambda: self._ledger.healthy}, lambda: self._upstreams)
        self._tasks = Tasks()
        # What was opened last is closed first.
        self._opened = AsyncExitStack()
        self._opened.push_async_callback(self._ledger.close)
        self._opened.push_async_callback(self._cache.close)

    async def start(self) -> None:
        """Open the doors; raises BadStart, with nothing left half started."""
        try:
            await self._start()
        except BadStart:
            await self._opened.aclose()
            raise
        self._watching = asyncio.create_task(self._reloader.watch())
        self._health.serving = True
        self._log.info("serving", listen=str(self._config.listen), admin=str(self._config.admin.listen))

    async def reload(self) -> ReloadStatus:
        """Read the config again now, and go by it if all of it is right."""
        return await self._reloader.reload()

    async def drain(self) -> None:
        """Stop accepting, answer what was accepted, let every fetch end and settle, close the books."""
        self._health.serving = False
        self._log.info("draining")
        self._watching.cancel()
        await self._reloader.close()
        await self._listener.drain()
        await self._background.finish()
        await self._refreshes.finish()
        await self._pipeline.finish()
        # The collector does not look at what it holds, which refers to all of this.
        await emptied(self._lane)
        await self._opened.aclose()
        self._log.info("stopped")

    async def adopt(self, config: Config) -> None:
        """Swap a config in, at once and whole; requests under way go on by the one that they began with.

        Raises BadStart, and nothing has changed.
        """
        ready = await provisioned(config, self._keyring)
        upstreams = await connected(ready, self._upstreams, self._metrics, self._clock)
        if self._keyring.adopt(ready.keys):
            self._swap(ready, upstreams)
            return
        self._tasks.start(emptied(ready.remains()))
        del ready
        # Whoever makes keys all the time must not keep the config out.
        with self._keyring.held():
            ready = await provisioned(config, self._keyring)
            self._keyring.adopt(ready.keys)
            self._swap(ready, upstreams)

    async def _start(self) -> None:
        delay = LoopDelay(asyncio.get_running_loop(), self._metrics.loop_delay)
        self._opened.callback(delay.close)
        delay.start()
        self._keyring = Keyring.open(self._config.store.path, self._clock)
        self._opened.push_async_callback(self._keyring.close)
        self._opened.push_async_callback(self._disconnect)
        ready = await provisioned(self._config, self._keyring)
        self._upstreams = await connected(ready, self._upstreams, self._metrics, self._clock)
        self._keyring.adopt(ready.keys)
        self._keyring.listen(self._key_changed)
        self._jobs = JobRegister.open(self._config.store.path, self._config.store.durability)
        self._opened.push_async_callback(self._jobs.close)
        self._put_together(self._provide(ready))
        await self._refreshes.resume()
        await self._open_doors()

    def _put_together(self, live: Live) -> None:
        """The request's way, and what goes on without a request."""
        answering = self._answering = Answering(self._clock)
        once = Once(self._idempotency, self._settlement, answering, self._clock)
        self._background = Background(self._jobs, self._parts(), once, answering)
        self._singles = Singles(self._jobs, lambda: self._preparer, self._clock)
        self._refreshes = Refreshes(
            jobs=self._jobs,
            singles=self._singles,
            live=lambda: self._pipeline.live,
            preparer=lambda: self._preparer,
            account_of=self._keyring.account,
            fetcher=self._fetcher,
            settlement=self._settlement,
            watch=self._watch,
            clock=self._clock,
        )
        self._pipeline = Pipeline(
            live=live,
            cache=self._cache,
            fetcher=self._fetcher,
            settlement=self._settlement,
            once=once,
            background=self._background,
            singles=self._singles,
            answering=answering,
            watch=self._watch,
            clock=self._clock,
        )
        self._background.start()

    def _parts(self) -> Parts:
        return Parts(
            live=lambda: self._pipeline.live,
            preparer=lambda: self._preparer,
            account_of=within(self._keyring.account),
            cache=self._cache,
            fetcher=self._fetcher,
            settlement=self._settlement,
            watch=self._watch,
            clock=self._clock,
        )

    def _swap(self, ready: Provisioned, upstreams: dict[str, HttpUpstream]) -> None:
        """Nothing here waits: what begins after it begins under the new config."""
        former, self._upstreams = self._upstreams, upstreams
        for left in (self._memo, self._lane, self._ready.remains()):
            self._tasks.start(emptied(left))
        self._pipeline.live = self._provide(ready)
        self._background.worker.configure()
        config = self._config = ready.config
        self._listener.configure(config.limits, config.trusted_proxies)
        self._listener.lane = self._fast_lane(self._pipeline.live)
        self._admin.protect(config.admin.token)
        self._buffers.limit = config.limits.buffered
        self._cache.resize(config.store.memory)
        self._ledger.keep(config.ledger.keep)
        self._logs.configure(config.log)
        self._watch.configure(config.log.sample)
        for name, upstream in former.items():
            if upstreams.get(name) is not upstream:
                self._tasks.start(upstream.retire())

    def _provide(self, ready: Provisioned) -> Live:
        """The config in operation. Its memo hears of every key that is made or revoked, and goes with it."""
        self._ready, snapshot = ready, ready.preparer.snapshot
        self._meter.configure(ready.roster)
        self._preparer, self._memo = ready.preparer, Memo(ready.preparer, snapshot.trusted_proxies)
        return Live(snapshot, self._memo, self._upstreams)

    def _key_changed(self, account: Account) -> None:
        self._memo.forget(account.id)
        self._meter.enroll(account)

    async def _disconnect(self) -> None:
        await self._tasks.finish()
        for upstream in self._upstreams.values():
            await upstream.close()

    async def _open_doors(self) -> None:
        config = self._config
        self._admin = Admin(self._metrics, self._health, config.admin.token, self._operators().endpoints())
        self._opened.push_async_callback(self._admin.close)
        await self._admin.open(config.admin.listen.host, config.admin.listen.port)
        own = Own(self._account_of, self._meter, self._ledger, self._jobs, self._clock, self._watch.request_id)
        self._listener = Listener(self._pipeline, self._health, own, config.limits, config.trusted_proxies)
        self._listener.lane = self._fast_lane(self._pipeline.live)
        await self._listener.open(config.listen.host, config.listen.port)

    def _fast_lane(self, live: Live) -> FastLane | None:
        """For the config in operation; it goes with that, and with it all that it has learnt."""
        config = self._config
        heads = Heads(live.snapshot, self._meter.seat, HEADS, config.limits.fields)
        room = room_for(config.store.memory)
        planning = Planning(live, self._cache, self._answering, self._watch, room, config.limits.target)
        self._lane = FastLane(heads, planning, self._meter, self._ledger, self._watch, self._clock)
        return self._lane if config.fast_lane else None

    def _operators(self) -> Operators:
        return Operators(
            keyring=self._keyring,
            operating=self._operating(),
            cache=self._cache,
            preparer=lambda: self._preparer,
            refreshes=self._refreshes,
            ordering=self._background.accepting.order,
            reloader=self._reloader,
            logs=self._logs,
            reports=Reports(self._config.store.path, self._ledger.booked),
            health=self._health,
            clock=self._clock,
        )

    def _operating(self) -> Operating:
        return Operating(
            live=lambda: self._pipeline.live,
            preparer=lambda: self._preparer,
            cache=self._cache,
            collapse=self._fetcher.collapse,
            meter=self._meter,
            committed=self._ledger.committed,
            idempotency=self._idempotency,
            state=lambda name: self._upstreams[name].state() if name in self._upstreams else None,
            clock=self._clock,
        )

    def _account_of(self, request: Request) -> Account:
        return self._preparer.account_of(request)

    def _gauges(self) -> Gauges:
        return Gauges(
            stored_responses=lambda: self._cache.stored_responses,
            stored_bytes=lambda: self._cache.stored_bytes,
            evictions=lambda: self._cache.evictions,
            fetches_in_flight=lambda: self._fetcher.in_flight,
            tokens_charged=lambda: self._meter.tally.charged,
            tokens_released=lambda: self._meter.tally.released,
            accounts_above=self._meter.accounts_above,
            ledger_drift=self._ledger.drift,
            ledger_bytes=self._ledger.size,
            store_up=lambda: self._ledger.healthy,
            config_reload_ok=lambda: self._reloader.status.ok,
            config_reload_time=lambda: self._reloader.status.loaded_at,
            upstreams_up=lambda: {name: upstream.state().up for name, upstream in self._upstreams.items()},
            log_lines_dropped=lambda: self._logs.dropped,
        )
