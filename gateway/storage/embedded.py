"""All that a gateway keeps by itself: in memory, in the journal and its book, and in the files beside them."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from gateway.answered import Booked
from gateway.cache import Cache
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.fastlane.cashier import AtOnce
from gateway.gauges import InRedis, OnDisk
from gateway.idempotency import Idempotency
from gateway.jobs.register import JobRegister
from gateway.journalled import Journalled
from gateway.keys.keyring import Keyring
from gateway.ledger.ledger import Ledger
from gateway.meter import Meter
from gateway.ports import Clock
from gateway.stores.disk.disk import Disk
from gateway.stores.memory import MemoryTier


class Embedded:
    """`storage.Storage` in a folder that nobody else may have; made by `open`."""

    def __init__(self, config: Config, clock: Clock, opened: AsyncExitStack) -> None:
        """What is opened is closed by `opened`, the last first. Raises BadStart."""
        store = config.store
        self.recorded = self.ledger = Ledger.open(store.path, store.durability, clock, keep=config.ledger.keep)
        self.doubts = ()
        self._opened = opened
        opened.push_async_callback(self.ledger.close)
        meter = Meter(self.ledger, clock)
        self.metering = Journalled(meter, self.ledger)
        self.cashier = AtOnce(meter, self.ledger)
        self.idempotency = Idempotency(Booked(self.ledger), clock)
        self.guard = None
        memory = MemoryTier(store.memory)
        self._disk = Disk.open(store.path, store.disk, clock, memory.holds)
        self.cache = _cache(memory, self._disk, clock)
        opened.push_async_callback(self._close_cache)
        self.keyring = Keyring.open(store.path, clock)
        opened.push_async_callback(self.keyring.close)
        self.jobs = JobRegister.open(store.path, store.durability)
        opened.push_async_callback(self.jobs.close)

    @classmethod
    async def open(cls, config: Config, clock: Clock) -> "Embedded":
        """Raises BadStart, with nothing left open."""
        opened = AsyncExitStack()
        try:
            return cls(config, clock, opened)
        except BadStart:
            await opened.aclose()
            raise

    @property
    def up(self) -> bool:
        """Whether charges can be written."""
        return self.ledger.healthy

    def listen(self, accepted: Callable[[], None], left: Callable[[], Awaitable[None]]) -> None:
        """There is no other node."""

    @property
    def ready(self) -> bool:
        """Whether requests are better off here than elsewhere."""
        return self.up

    def configure(self, config: Config) -> None:
        """Go by another config, of the same store."""
        self.cache.resize(config.store.memory)
        self.ledger.keep(config.ledger.keep)

    def on_disk(self) -> OnDisk | None:
        """What is stored on disk, None where nothing is."""
        if self._disk is None:
            return None
        tier = self._disk.tier
        return OnDisk(tier.count, tier.bytes, tier.evictions, tier.up)

    def in_redis(self) -> InRedis | None:
        """Nothing is."""
        return None

    async def close(self) -> None:
        """Write what is under way, and let the folder go."""
        await self._opened.aclose()

    async def _close_cache(self) -> None:
        await self.cache.close()
        if self._disk is not None:
            await self._disk.close(settled=self.cache.settled)


def _cache(memory: MemoryTier, disk: Disk | None, clock: Clock) -> Cache:
    if disk is None:
        return Cache(memory, None, clock)
    return Cache(memory, disk.tier, clock, disk.notes, disk.latest)
