"""Composition: from a config to a running gateway, and its orderly end."""

from contextlib import AsyncExitStack
from dataclasses import replace

import structlog

from gateway import __version__
from gateway.admin import Admin
from gateway.admin.keys import KeysApi
from gateway.admission.memo import Memo
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account, Snapshot
from gateway.answering import Answering
from gateway.cache import Cache
from gateway.clock import SystemClock
from gateway.collapse import Collapse
from gateway.config.compile import snapshot
from gateway.config.schema import Config
from gateway.costs import Costs
from gateway.errors import BadStart
from gateway.fetch import Fetcher
from gateway.health import Health
from gateway.idempotency import Idempotency
from gateway.keys.directory import Directory
from gateway.keys.keyring import Keyring
from gateway.ledger.ledger import Ledger
from gateway.listener.server import Listener
from gateway.lookup import Live
from gateway.meter import Meter
from gateway.metrics import Gauges, Metrics
from gateway.own import Own
from gateway.pipeline import Pipeline
from gateway.reading import Buffers
from gateway.settlement import Settlement
from gateway.stores.memory import MemoryTier
from gateway.upstreams.client import HttpUpstream
from gateway.watch import Watch


class Gateway:
    """One running gateway. `start` opens its doors, `drain` closes them once every accepted request is answered.

    Raises BadStart where the ledger cannot be opened.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = SystemClock()
        self._log = structlog.get_logger("gateway")
        self._ledger = Ledger.open(config.store.path, config.store.durability, self._clock, keep=config.ledger.keep)
        self._meter = Meter(self._ledger, self._clock)
        self._settlement = Settlement(self._meter, self._ledger)
        self._cache = Cache(MemoryTier(config.store.memory), None, self._clock)
        collapse, buffers = Collapse(self._clock.steady), Buffers(config.limits.buffered)
        self._fetcher = Fetcher(self._cache, collapse, buffers, Costs(self._settlement), self._clock)
        self._metrics = Metrics(self._gauges(), __version__)
        self._watch = Watch(self._metrics, self._clock)
        self._health = Health({"ledger": lambda: self._ledger.healthy})
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
        self._health.serving = True
        self._log.info("serving", listen=str(self._config.listen), admin=str(self._config.admin.listen))

    async def drain(self) -> None:
        """Stop accepting, answer what was accepted, let every fetch end and settle, close the books."""
        self._health.serving = False
        self._log.info("draining")
        await self._listener.drain()
        await self._pipeline.finish()
        await self._opened.aclose()
        self._log.info("stopped")

    async def _start(self) -> None:
        keyring = Keyring.open(self._config.store.path, self._clock)
        self._opened.push_async_callback(keyring.close)
        compiled = snapshot(self._config)
        keyring.configure(compiled.keys, Directory(self._config))
        preparer = Preparer(replace(compiled, keys=keyring))
        live = self._provision(preparer, keyring)
        self._pipeline = Pipeline(
            live=live,
            cache=self._cache,
            fetcher=self._fetcher,
            settlement=self._settlement,
            idempotency=Idempotency(self._ledger, self._clock),
            answering=Answering(self._clock),
            watch=self._watch,
            clock=self._clock,
        )
        await self._open_doors(preparer, keyring)

    def _provision(self, preparer: Preparer, keyring: Keyring) -> Live:
        """The config in operation, which hears of every key that is made or revoked."""
        provisioned = preparer.snapshot
        self._meter.configure(provisioned)
        memo = Memo(preparer, provisioned.trusted_proxies)

        def changed(account: Account) -> None:
            memo.forget(account.id)
            self._meter.enroll(account)

        keyring.listen(changed)
        return Live(provisioned, memo, self._upstreams(provisioned))

    def _upstreams(self, provisioned: Snapshot) -> dict[str, HttpUpstream]:
        upstreams = {
            name: HttpUpstream(policy, self._metrics, self._clock) for name, policy in provisioned.upstreams.items()
        }
        for upstream in upstreams.values():
            self._opened.push_async_callback(upstream.close)
        return upstreams

    async def _open_doors(self, preparer: Preparer, keyring: Keyring) -> None:
        config = self._config
        routes = KeysApi(keyring, self._meter, self._ledger.committed).routes()
        admin = Admin(self._metrics, self._health, config.admin.token, routes)
        self._opened.push_async_callback(admin.close)
        await admin.open(config.admin.listen.host, config.admin.listen.port)
        own = Own(preparer.account_of, self._meter, self._ledger, self._clock, self._watch.request_id)
        self._listener = Listener(self._pipeline, self._health, own, config.limits, config.trusted_proxies)
        await self._listener.open(config.listen.host, config.listen.port)

    def _gauges(self) -> Gauges:
        loaded = self._clock.wall()
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
            config_reload_ok=lambda: True,
            config_reload_time=lambda: loaded,
        )
