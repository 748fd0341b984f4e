"""The operators' API for how it goes: what `/metrics` says since the start, summed up and put together for a page."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol

from aiohttp import web
from pydantic import Field

from gateway import __version__
from gateway.admin.config import Reloads
from gateway.admin.content import answer
from gateway.admin.endpoints import Endpoint
from gateway.admin.overview_document import counted, refreshes, refusals, routes, summed, upstream
from gateway.admission.snapshot import Snapshot
from gateway.config.section import Section
from gateway.gauges import PERCENTS
from gateway.keys.listing import instant
from gateway.metrics import Metrics
from gateway.ports import Clock
from gateway.readings import Traffic, by_route, by_upstream
from gateway.upstreams.circuit import UpstreamState

# Seconds that the accounts and the ledger are not looked through again, however many pages are open.
_SELDOM = 5.0


class CacheCounts(Section):
    """Requests by what the cache did for them: the label `cache` of `gateway_requests_total`."""

    hit: int
    stale: int
    validated: int
    miss: int
    refresh: int
    collapsed: int
    pass_: int = Field(alias="pass")


class Counted(Section):
    """Since the start."""

    requests: int
    cache: CacheCounts
    refused: int
    collapsed: int
    """Requests that waited for a fetch that another had begun."""
    tokens_charged: int
    tokens_released: int


class Saved(Section):
    """What the cache saved."""

    upstream_calls: int
    """Requests answered without an upstream call of their own."""
    tokens: int
    """What these were charged: the route's price of as many calls."""


class Seconds(Section):
    """How long it took, from the buckets of the histogram; null where there is nothing to tell of."""

    mean: float | None
    p50: float | None
    p99: float | None


class RouteTold(Section):
    """One route; `route` is empty for requests that none matched."""

    route: str
    counted: Counted
    hit_ratio: float | None
    saved: Saved
    seconds: Seconds
    not_stored: dict[str, int]
    """Responses that were not stored, by reason."""


class UpstreamTold(Section):
    """One upstream; `up` and `state` are null once the config no longer names it."""

    upstream: str
    up: bool | None
    """Whether requests are sent there, and not all in vain."""
    state: Literal["closed", "failing", "half_open", "open"] | None
    calls: int
    failed: int
    """Those that brought a 5xx or broke."""
    codes: dict[str, int]
    """Calls by their status, or how they broke."""
    retries: int
    seconds: Seconds
    """Until the response's head, or the failure."""


class RefreshCount(Section):
    """Refreshes of one route that somebody of that kind wanted, and that ended so."""

    route: str
    kind: str
    outcome: str
    count: int


class Stored(Section):
    """The memory tier."""

    responses: int
    bytes: int
    limit: int
    """Bytes."""
    evictions: int


class ConfigTold(Section):
    """How the last load of the config ended; `/-/config` tells it in full."""

    ok: bool
    loaded_at: str
    attempted_at: str
    mistakes: int
    warnings: int


class Overview(Section):
    """How it goes. Times are ISO 8601 in UTC, counts since the start, and the same as `/metrics` has them."""

    at: str
    started_at: str
    version: str
    ready: bool
    failing: tuple[str, ...]
    """The checks of `/readyz` that fail, and workers that are not ready: it is where any is."""
    store_up: bool
    drift: int
    """Tokens that the ledger cannot account for; looked at every five seconds."""
    config: ConfigTold
    in_flight: int
    """Fetches under way."""
    log_lines_dropped: int
    stored: Stored
    totals: Counted
    hit_ratio: float | None
    """Hits and stale answers, of all that the cache was asked for; null where it was not asked."""
    saved: Saved
    routes: tuple[RouteTold, ...]
    """Each that is configured, and each other that had requests; those with most requests first."""
    upstreams: tuple[UpstreamTold, ...]
    refreshes: tuple[RefreshCount, ...]
    refusals: dict[str, int]
    """By reason."""
    accounts_above: dict[str, int]
    """Accounts that used so many percent of their present grant, or more; looked at every five seconds."""


class Prepares(Protocol):
    """`prepare.Preparer`."""

    snapshot: Snapshot


class Doors(Protocol):
    """`whole.Whole`."""

    @property
    def ready(self) -> bool:
        """Whether requests are served."""

    def failing(self) -> list[str]:
        """The checks that do not hold, by name."""


class OverviewApi:
    """`metrics` finds those of all workers; `started` is in wall-clock seconds, `limit` in bytes of memory.

    `state` is None for what is no upstream of ours.
    """

    def __init__(
        self,
        metrics: Callable[[], Awaitable[Metrics]],
        doors: Doors,
        reloads: Reloads,
        preparer: Callable[[], Prepares],
        state: Callable[[str], UpstreamState | None],
        limit: Callable[[], int],
        started: float,
        clock: Clock,
    ) -> None:
        self._metrics = metrics
        self._doors = doors
        self._reloads = reloads
        self._preparer = preparer
        self._state = state
        self._limit = limit
        self._started = started
        self._clock = clock
        self._books = _Books(clock)

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [Endpoint("GET", "/-/overview", self._tell, "How it goes: the metrics, summed up.", Overview)]

    async def _tell(self, _: web.Request) -> web.Response:
        metrics = await self._metrics()
        above, drift = await self._books.read(metrics)
        snapshot = self._preparer().snapshot
        readings = await by_route(metrics, [route.name for route in snapshot.routes])
        totals = Traffic()
        for reading in readings.values():
            totals.add(reading.traffic)
        told = self._standing(metrics) | summed(totals) | {"totals": counted(totals), "drift": drift}
        told["routes"] = await routes(readings)
        called = by_upstream(metrics, snapshot.upstreams)
        told["upstreams"] = [upstream(name, reading, self._state(name)) for name, reading in called.items()]
        told["refreshes"], told["refusals"] = refreshes(metrics), refusals(metrics)
        told["accounts_above"] = {str(percent): above[percent] for percent in PERCENTS}
        return answer(200, told)

    def _standing(self, metrics: Metrics) -> dict[str, object]:
        """How it is now."""
        gauges = metrics.gauges
        return {
            "at": instant(self._clock.wall()),
            "started_at": instant(self._started),
            "version": __version__,
            "ready": self._doors.ready,
            "failing": self._doors.failing(),
            "store_up": gauges.store_up(),
            "config": self._config(),
            "in_flight": gauges.fetches_in_flight(),
            "log_lines_dropped": gauges.log_lines_dropped(),
            "stored": {
                "responses": gauges.stored_responses(),
                "bytes": gauges.stored_bytes(),
                "limit": self._limit(),
                "evictions": gauges.evictions(),
            },
        }

    def _config(self) -> dict[str, object]:
        status = self._reloads.status
        return {
            "ok": status.ok,
            "loaded_at": instant(status.loaded_at),
            "attempted_at": instant(status.attempted_at),
            "mistakes": len(status.errors),
            "warnings": len(status.warnings),
        }


class _Books:
    """What takes a look through every account and into the book: how accounts stand, and the ledger's drift."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()
        self._read_at = float("-inf")
        self._read: tuple[Mapping[int, int], int] = {}, 0

    async def read(self, metrics: Metrics) -> tuple[Mapping[int, int], int]:
        """Accounts above each of `PERCENTS`, and the drift in tokens, at most five seconds old."""
        async with self._turn:
            if self._clock.steady() - self._read_at >= _SELDOM:
                gauges = metrics.gauges
                self._read = await gauges.accounts_above(PERCENTS), await gauges.ledger_drift()
                self._read_at = self._clock.steady()
            return self._read
