"""Composition: from a config to a running gateway, to another config while it runs, and to its orderly end."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from gateway import __version__
from gateway.admin import Admin
from gateway.admin.summary import Stocks
from gateway.admission.memo import Memo
from gateway.admission.snapshot import Account
from gateway.candidate import Candidate
from gateway.clock import SystemClock
from gateway.collapse import Collapse
from gateway.config.load import Loaded
from gateway.config.schema import Config
from gateway.costs import Costs
from gateway.crew import Crew, Question
from gateway.errors import BadStart, Problem, Reason
from gateway.explaining.live import Operating
from gateway.fastlane.heads import ROOM as HEADS
from gateway.fastlane.heads import Heads
from gateway.fastlane.lane import FastLane
from gateway.fastlane.planning import Planning, room_for
from gateway.fetch import Fetcher
from gateway.gauges import Gauges
from gateway.health import Health
from gateway.history import History
from gateway.ledger.reports import Reports
from gateway.listener.server import Listener
from gateway.listener.tls import Encryption, encryption
from gateway.logs import Logs
from gateway.lookup import Live
from gateway.loop_delay import LoopDelay
from gateway.messages import Request
from gateway.metrics import Metrics
from gateway.operators import Operators
from gateway.own import Own
from gateway.ports import Clock
from gateway.provisioning import Provisioned, connected, emptied, provisioned
from gateway.reading import Buffers
from gateway.reload import Read, Reloader, ReloadStatus
from gateway.settlement import Settlement
from gateway.storage import Storage, opened
from gateway.tasks import Tasks
from gateway.upstreams.client import HttpUpstream
from gateway.watch import Watch
from gateway.way import Way
from gateway.whole import Whole


class Gateway:
    """One running gateway. `start` opens its doors, `drain` closes them once every accepted request is answered.

    `read` reads its config again, None where there is no file, or where another of its `crew` does, the workers that it
    is one of. Made by `open`.
    """

    def __init__(
        self, loaded: Loaded, storage: Storage, clock: Clock, read: Read | None, logs: Logs, crew: Crew | None
    ) -> None:
        self._config = loaded.config
        self._clock = clock
        self._crew = crew
        self._log = structlog.get_logger("gateway").bind(**({} if crew is None else {"worker": crew.number}))
        self._logs = logs
        self._reloader = Reloader(read, self.adopt if crew is None else crew.adopt, loaded, self._clock)
        self._storage = storage
        self._cache = storage.cache
        self._settlement = Settlement(storage.metering, None if storage.guard is None else self._refuse_revoked)
        self._buffers = Buffers(loaded.config.limits.buffered)
        collapse, costs = Collapse(self._clock.steady), Costs(self._settlement)
        self._fetcher = Fetcher(self._cache, collapse, self._buffers, costs, self._clock, storage.guard)
        self._metrics = Metrics(self._gauges(), __version__)
        self._history = History(self._metrics, self._clock)
        self._watch = Watch(self._metrics, self._clock, asyncio.get_running_loop().call_soon)
        self._watch.configure(loaded.config.log.sample)
        self._upstreams: dict[str, HttpUpstream] = {}
        self._shown: Encryption | None = None
        self._health = Health({"ledger": lambda: storage.ready}, lambda: self._upstreams, self._store_told)
        self._tasks = Tasks()
        self._whole = self._seen_whole()
        self._admin: Admin | None = None
        # What was opened last is closed first.
        self._opened = AsyncExitStack()
        self._opened.push_async_callback(storage.close)

    @classmethod
    async def open(cls, loaded: Loaded, read: Read | None, logs: Logs, crew: Crew | None = None) -> "Gateway":
        """With its storage opened. Raises BadStart, with nothing left open."""
        clock = SystemClock()
        return cls(loaded, await opened(loaded.config, clock), clock, read, logs, crew)

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
        await self._way.finish()
        # The collector does not look at what it holds, which refers to all of this.
        await emptied(self._lane)
        await self._opened.aclose()
        self._log.info("stopped")

    async def adopt(self, loaded: Loaded) -> None:
        """Swap a config in, at once and whole; requests under way go on by the one that they began with.

        Raises BadStart, and nothing has changed.
        """
        await self.swap(await self.prepare(loaded.config))

    async def prepare(self, config: Config) -> Candidate:
        """What a config comes to here, which changes nothing yet. Raises BadStart."""
        shown = await encryption(config.tls)
        ready = await provisioned(config, self._keyring)
        return Candidate(ready, await connected(ready, self._upstreams, self._metrics, self._clock), shown)

    async def abandon(self, candidate: Candidate) -> None:
        """Let go of what was prepared."""
        await candidate.close(self._upstreams)
        self._tasks.start(emptied(candidate.ready.remains()))

    async def swap(self, candidate: Candidate) -> None:
        """Have what was prepared in operation. Raises BadStart where keys have changed since and cannot be read."""
        ready, upstreams, shown = candidate.ready, candidate.upstreams, candidate.shown
        config = ready.config
        if self._keyring.adopt(ready.keys):
            self._swap(ready, upstreams, shown)
            return
        self._tasks.start(emptied(ready.remains()))
        del ready, candidate
        # Whoever makes keys all the time must not keep the config out.
        with self._keyring.held():
            ready = await provisioned(config, self._keyring)
            self._keyring.adopt(ready.keys)
            self._swap(ready, upstreams, shown)

    async def tell(self, question: Question, argument: object) -> object:
        """What the first of its crew asks this one."""
        return await self._whole.tell(question, argument)

    async def _start(self) -> None:
        delay = LoopDelay(asyncio.get_running_loop(), self._metrics.loop_delay)
        self._opened.callback(delay.close)
        delay.start()
        self._keyring = self._storage.keyring
        self._opened.push_async_callback(self._disconnect)
        # Other nodes change keys meanwhile.
        with self._keyring.held():
            ready = await provisioned(self._config, self._keyring)
            self._upstreams = await connected(ready, self._upstreams, self._metrics, self._clock)
            self._keyring.adopt(ready.keys)
            self._keyring.listen(self._key_changed)
            live, preparer = self._provide(ready), lambda: self._preparer
            self._way = Way(self._storage, self._fetcher, self._settlement, self._watch, self._clock, live, preparer)
            self._way.background.start()
        await self._way.refreshes.resume()
        self._storage.listen(self._way.background.worker.wake_all, self._way.refreshes.resume)
        self._begin_history()
        await self._open_doors()

    def _begin_history(self) -> None:
        if self._crew is None:
            self._opened.callback(self._history.close)
            self._history.start(asyncio.get_running_loop())
        elif self._crew.number == 0:
            following = asyncio.create_task(self._whole.follow(self._history))
            self._opened.callback(following.cancel)

    def _swap(self, ready: Provisioned, upstreams: dict[str, HttpUpstream], shown: Encryption | None) -> None:
        """Nothing here waits: what begins after it begins under the new config."""
        former, self._upstreams = self._upstreams, upstreams
        for left in (self._memo, self._lane, self._ready.remains()):
            self._tasks.start(emptied(left))
        self._way.change(self._provide(ready))
        config = self._config = ready.config
        self._shown = shown
        self._listener.configure(config.limits, config.trusted_proxies, shown)
        self._listener.lane = self._fast_lane(self._way.live)
        if self._admin is not None:
            self._admin.protect(config.admin.token)
        self._buffers.limit = config.limits.buffered
        self._storage.configure(config)
        self._logs.configure(config.log)
        self._watch.configure(config.log.sample)
        for name, upstream in former.items():
            if upstreams.get(name) is not upstream:
                self._tasks.start(upstream.retire())

    def _provide(self, ready: Provisioned) -> Live:
        """The config in operation. Its memo hears of every key that is made or revoked, and goes with it."""
        self._ready, snapshot = ready, ready.preparer.snapshot
        self._storage.metering.configure(ready.roster)
        self._preparer, self._memo = ready.preparer, Memo(ready.preparer, snapshot.trusted_proxies)
        return Live(snapshot, self._memo, self._upstreams)

    def _key_changed(self, account: Account) -> None:
        self._memo.forget(account.id)
        self._storage.metering.enroll(account)

    async def _disconnect(self) -> None:
        await self._tasks.finish()
        for upstream in self._upstreams.values():
            await upstream.close()

    async def _open_doors(self) -> None:
        config, storage = self._config, self._storage
        if self._crew is None or self._crew.number == 0:
            self._admin = Admin(self._whole, self._whole, config.admin.token, self._operators().endpoints())
            self._opened.push_async_callback(self._admin.close)
            await self._admin.open(config.admin.listen.host, config.admin.listen.port)
        own = Own(
            self._account_of, storage.metering, storage.recorded, storage.jobs, self._clock, self._watch.request_id
        )
        shown = self._shown = await encryption(config.tls)
        self._listener = Listener(self._way.pipeline, self._health, own, config.limits, config.trusted_proxies, shown)
        self._listener.lane = self._fast_lane(self._way.live)
        if self._crew is None:
            await self._listener.open(config.listen.host, config.listen.port)
        else:
            await self._listener.open_on(self._crew.listening)

    def _fast_lane(self, live: Live) -> FastLane | None:
        """For the config in operation; it goes with that, and with it all that it has learnt."""
        config = self._config
        heads = Heads(live.snapshot, self._storage.cashier.seat, HEADS, config.limits.fields)
        room = room_for(config.store.memory)
        planning = Planning(
            live, self._preparer, self._cache, self._way.answering, self._watch, room, config.limits.target
        )
        self._lane = FastLane(
            heads, planning, self._storage.cashier, self._way.pipeline.go_on, self._watch, self._clock
        )
        return self._lane if config.fast_lane else None

    def _operators(self) -> Operators:
        return Operators(
            keyring=self._keyring,
            operating=self._operating(),
            cache=self._cache,
            preparer=lambda: self._preparer,
            refreshes=self._way.refreshes,
            ordering=self._way.background.accepting.order,
            reloader=self._reloader,
            reports=Reports(self._config.store.path, self._storage.recorded.booked),
            health=self._health,
            whole=self._whole,
            history=self._history,
            memory=lambda: self._config.store.memory * (1 if self._crew is None else self._crew.size),
            started=self._history.started if self._crew is None else self._crew.started,
            clock=self._clock,
        )

    def _operating(self) -> Operating:
        return Operating(
            live=lambda: self._way.live,
            preparer=lambda: self._preparer,
            cache=self._cache,
            collapse=self._fetcher.collapse,
            meter=self._storage.metering,
            idempotency=self._storage.idempotency,
            state=lambda name: self._upstreams[name].state() if name in self._upstreams else None,
            clock=self._clock,
        )

    def _seen_whole(self) -> Whole:
        stocks = Stocks(self._cache, lambda: self._preparer, self._tasks, self._health, self._clock)
        return Whole(
            metrics=self._metrics,
            watch=self._watch,
            health=self._health,
            logs=self._logs,
            stored=stocks.told,
            upstreams=lambda: self._upstreams,
            crew=self._crew,
        )

    def _store_told(self) -> tuple[str, ...]:
        """What there is to say of a store that others share."""
        storage = self._storage
        return tuple(storage.doubts) if storage.up or not storage.ready else ("unreachable",)

    def _account_of(self, request: Request) -> Account:
        return self._preparer.account_of(request)

    def _refuse_revoked(self, request: Request) -> None:
        """Raises Problem where its key stands for nobody any more. What an operator has asked for carries none."""
        try:
            self._account_of(request)
        except Problem as problem:
            if problem.reason is Reason.unknown_key:
                raise

    def _gauges(self) -> Gauges:
        storage = self._storage
        return Gauges(
            stored_responses=lambda: self._cache.stored_responses,
            stored_bytes=lambda: self._cache.stored_bytes,
            evictions=lambda: self._cache.evictions,
            disk=storage.on_disk,
            shared=storage.in_redis,
            fetches_in_flight=lambda: self._fetcher.in_flight,
            tokens_charged=lambda: storage.metering.tally.charged,
            tokens_released=lambda: storage.metering.tally.released,
            accounts_above=storage.metering.accounts_above,
            ledger_drift=storage.recorded.drift,
            ledger_bytes=storage.recorded.size,
            store_up=lambda: storage.up,
            config_reload_ok=lambda: self._reloader.status.ok,
            config_reload_time=lambda: self._reloader.status.loaded_at,
            certificate_expires=lambda: None if self._shown is None else self._shown.valid.ends,
            upstreams_up=lambda: {name: upstream.state().up for name, upstream in self._upstreams.items()},
            log_lines_dropped=lambda: self._logs.dropped,
        )
