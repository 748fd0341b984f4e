"""Composition: from a config to a running gateway, and its orderly end."""

import structlog

from gateway import __version__
from gateway.admin import Admin
from gateway.admission.memo import Memo
from gateway.admission.prepare import Preparer
from gateway.answering import Answering
from gateway.cache import Cache
from gateway.clock import SystemClock
from gateway.collapse import Collapse
from gateway.config.compile import snapshot
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.fetch import Fetcher
from gateway.health import Health
from gateway.ledger.ledger import Ledger
from gateway.listener.server import Listener
from gateway.lookup import Live
from gateway.meter import Meter
from gateway.metrics import Gauges, Metrics
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
        self._ledger = Ledger.open(config.store.path, config.store.durability, self._clock)
        self._meter = Meter(self._ledger, self._clock)
        self._cache = Cache(MemoryTier(config.store.memory), None, self._clock)
        collapse = Collapse(self._clock.steady)
        self._fetcher = Fetcher(self._cache, collapse, Buffers(config.limits.buffered), self._clock)
        self._metrics = Metrics(self._gauges(), __version__)
        self._health = Health({"ledger": lambda: self._ledger.healthy})
        self._admin = Admin(self._metrics, self._health)

    async def start(self) -> None:
        """Open the doors; raises BadStart, with nothing left half started."""
        self._live = self._provision()
        self._pipeline = Pipeline(
            live=self._live,
            cache=self._cache,
            fetcher=self._fetcher,
            settlement=Settlement(self._meter, self._ledger),
            answering=Answering(self._clock),
            watch=Watch(self._metrics, self._clock),
            clock=self._clock,
        )
        self._listener = Listener(self._pipeline, self._health, self._config.limits, self._config.trusted_proxies)
        try:
            await self._admin.open(self._config.admin.listen.host, self._config.admin.listen.port)
            await self._listener.open(self._config.listen.host, self._config.listen.port)
        except BadStart:
            await self._close()
            raise
        self._health.serving = True
        self._log.info("serving", listen=str(self._config.listen), admin=str(self._config.admin.listen))

    async def drain(self) -> None:
        """Stop accepting, answer what was accepted, let every fetch end and settle, close the books."""
        self._health.serving = False
        self._log.info("draining")
        await self._listener.drain()
        await self._pipeline.finish()
        await self._close()
        self._log.info("stopped")

    async def _close(self) -> None:
        await self._cache.close()
        for upstream in self._live.upstreams.values():
            await upstream.close()
        await self._admin.close()
        await self._ledger.close()

    def _provision(self) -> Live:
        compiled = snapshot(self._config)
        self._meter.configure(compiled)
        upstreams = {
            name: HttpUpstream(policy, self._metrics, self._clock) for name, policy in compiled.upstreams.items()
        }
        return Live(compiled, Memo(Preparer(compiled), compiled.trusted_proxies), upstreams)

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
