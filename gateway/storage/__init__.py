"""What a gateway keeps, balances and records, stored responses, keys, jobs: by itself, or with others in Redis."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, assert_never

from gateway.cache import Cache
from gateway.config.schema import Config
from gateway.fastlane.cashier import Cashier
from gateway.gauges import InRedis, OnDisk
from gateway.idempotency import Idempotency
from gateway.keys.keyring import Keyring
from gateway.ledger.recorded import Recorded
from gateway.metering import Metering
from gateway.ports import Clock, Guard, Jobs
from gateway.storage.embedded import Embedded
from gateway.storage.fleet import Fleet


class Storage(Protocol):
    """Opened and closed as one."""

    @property
    def metering(self) -> Metering:
        """Who admits and charges."""

    @property
    def cashier(self) -> Cashier:
        """The same for the fast lane."""

    @property
    def recorded(self) -> Recorded:
        """What was charged, to be read."""

    @property
    def cache(self) -> Cache:
        """Stored responses."""

    @property
    def idempotency(self) -> Idempotency:
        """What was answered to an Idempotency-Key."""

    @property
    def keyring(self) -> Keyring:
        """API keys."""

    @property
    def jobs(self) -> Jobs:
        """Refreshes under way and those that were."""

    @property
    def guard(self) -> Guard | None:
        """Who of a fleet fetches what; None where nobody else fetches the same."""

    @property
    def up(self) -> bool:
        """Whether charges can be written."""

    def listen(self, accepted: Callable[[], None], left: Callable[[], Awaitable[None]]) -> None:
        """Have `accepted` called where others have jobs for this node, `left` awaited where a dead one left some."""

    @property
    def doubts(self) -> Sequence[str]:
        """What may go wrong with where it is kept."""

    @property
    def ready(self) -> bool:
        """Whether requests should come here, as far as what is kept goes."""

    def on_disk(self) -> OnDisk | None:
        """What is stored on disk, None where nothing is."""

    def in_redis(self) -> InRedis | None:
        """What is stored in Redis, None where nothing is."""

    def configure(self, config: Config) -> None:
        """Go by another config, of the same store."""

    async def close(self) -> None:
        """Write what is under way, and let go."""


async def opened(config: Config, clock: Clock) -> Storage:
    """By the config's `store.kind`. Raises BadStart, with nothing left open."""
    match config.store.kind:
        case "embedded":
            return await Embedded.open(config, clock)
        case "redis":
            return await Fleet.open(config, clock)
        case _:
            assert_never(config.store.kind)
