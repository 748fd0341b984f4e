"""The gateway's metrics: counted as plain integers on a request's way, made into Prometheus families at a scrape."""

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway.answers.negotiation import weights
from gateway.errors import Reason

CacheLabel = Literal["hit", "stale", "validated", "miss", "refresh", "collapsed", "pass"]

# Upper bounds in seconds: a hit takes well below a millisecond, an upstream may take its whole 60 s.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BOUNDS = [*map(floatToGoString, BUCKETS), "+Inf"]

PERCENTS = (80, 95, 100)


@dataclass(slots=True, frozen=True)
class Gauges:
    """What is read at a scrape instead of counted here; none may raise.

    `tokens_charged` counts by route and by the ledger's closed set of reasons, `tokens_released` by route, both and
    `evictions` since the start. `accounts_above` takes a percentage: the accounts that have used that much of
    their grant. `config_reload_time` is in seconds since the epoch, bytes and tokens are whole numbers.
    """

    stored_responses: Callable[[], int]
    stored_bytes: Callable[[], int]
    evictions: Callable[[], int]
    fetches_in_flight: Callable[[], int]
    tokens_charged: Callable[[], Mapping[tuple[str, str], int]]
    tokens_released: Callable[[], Mapping[str, int]]
    accounts_above: Callable[[int], int]
    ledger_drift: Callable[[], int]
    ledger_bytes: Callable[[], int]
    store_up: Callable[[], bool]
    config_reload_ok: Callable[[], bool]
    config_reload_time: Callable[[], float]


class _Counts(dict[tuple[str | int, ...], int]):
    """A counter family: its label values, in the order of `labels`, and what was counted under them."""

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        super().__init__()
        self._name = name
        self._documentation = documentation
        self._labels = labels

    def __missing__(self, key: tuple[str | int, ...]) -> int:
        return 0

    def family(self) -> CounterMetricFamily:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for key, count in list(self.items()):
            family.add_metric([str(value) for value in key], count)
        return family


class _Series:
    """One histogram: observations per bucket, not cumulated, and their sum in seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * len(_BOUNDS)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound and the number of observations up to it, as the exposition wants it."""
        reached = 0
        cumulated: list[tuple[str, float]] = []
        for bound, count in zip(_BOUNDS, self.counts, strict=True):
            reached += count
            cumulated.append((bound, reached))
        return cumulated


class _Durations(dict[tuple[str, ...], _Series]):
    """A histogram family over `BUCKETS`: its label values, in the order of `labels`, and their series."""

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        super().__init__()
        self._name = name
        self._documentation = documentation
        self._labels = labels

    def __missing__(self, key: tuple[str, ...]) -> _Series:
        series = self[key] = _Series()
        return series

    def family(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for key, series in list(self.items()):
            family.add_metric(list(key), series.buckets(), series.total)
        return family


class Metrics(Collector):
    """Counts on the hot path and is itself the collector of a registry of its own.

    Label values must come from fixed sets: `route` and `name` are names from the config, `route` "" where none
    matched; nothing a client sends is ever a label. Seconds and tokens are not negative.
    """

    def __init__(self, gauges: Gauges, version: str) -> None:
        self._gauges = gauges
        self._version = version
        self._requests = _Counts("gateway_requests", "Requests answered.", "route", "code", "cache")
        self._request_seconds = _Durations(
            "gateway_request_duration_seconds", "Time from a request's head to its answer's end.", "route", "cache"
        )
        self._upstream = _Counts("gateway_upstream_requests", "Requests sent upstream.", "upstream", "code")
        self._upstream_seconds = _Durations(
            "gateway_upstream_duration_seconds", "Time until an upstream's response head or failure.", "upstream"
        )
        self._retries = _Counts("gateway_upstream_retries", "Requests sent upstream a second time.", "upstream")
        self._collapsed = _Counts("gateway_collapsed_requests", "Requests that joined another's fetch.", "route")
        self._not_stored = _Counts("gateway_not_stored", "Responses not stored, by reason.", "route", "reason")
        self._refreshes = _Counts("gateway_refreshes", "Refreshes by kind and outcome.", "route", "kind", "outcome")
        self._refusals = _Counts("gateway_refusals", "Requests refused by the gateway itself.", "route", "reason")
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def request(self, route: str, code: int, cache: CacheLabel, seconds: float) -> None:
        """One request answered with status `code` after `seconds`."""
        self._requests[route, code, cache] += 1
        self._request_seconds[route, cache].observe(seconds)

    def upstream(self, name: str, code: str, seconds: float) -> None:
        """One exchange with upstream `name`: its status in digits or how it broke, and the time until either."""
        self._upstream[name, code] += 1
        self._upstream_seconds[name,].observe(seconds)

    def retry(self, name: str) -> None:
        """One exchange with upstream `name` was tried again."""
        self._retries[name,] += 1

    def collapsed(self, route: str) -> None:
        """One request waited for a fetch that another had begun."""
        self._collapsed[route,] += 1

    def not_stored(self, route: str, reason: str) -> None:
        """One response was not stored; `reason` is a name of `rfc9111.storing.Unstorable` or `collapse.Unkept`."""
        self._not_stored[route, reason] += 1

    def refresh(self, route: str, kind: str, outcome: str) -> None:
        """One refresh ended; `kind` says who asked for it, both are words of closed sets."""
        self._refreshes[route, kind, outcome] += 1

    def refusal(self, route: str, reason: Reason) -> None:
        """One request was refused."""
        self._refusals[route, reason.name] += 1

    def exposition(self, accept: str | None) -> tuple[str, bytes]:
        """Content-Type and content for a scrape: OpenMetrics where `accept` prefers it, else the text format."""
        named = weights(accept or "")
        openmetrics = named.get("application/openmetrics-text", 0.0)
        preferred = openmetrics > 0 and openmetrics >= named.get("text/plain", 0.0)
        # Not the client's own value: the library raises on a version that is not a number.
        encode, content_type = choose_encoder("application/openmetrics-text; version=1.0.0" if preferred else "")
        return content_type, encode(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Every family of the gateway's own; called by the registry at a scrape."""
        for counted in (
            self._requests,
            self._request_seconds,
            self._upstream,
            self._upstream_seconds,
            self._retries,
            self._collapsed,
            self._not_stored,
            self._refreshes,
            self._refusals,
        ):
            yield counted.family()
        yield from _read(self._gauges)
        yield InfoMetricFamily(
            "gateway_build",
            "The running version.",
            value={"version": self._version, "python": platform.python_version()},
        )


def _read(gauges: Gauges) -> Iterator[Metric]:
    gauge = GaugeMetricFamily
    yield gauge("gateway_fetches_in_flight", "Fetches under way.", gauges.fetches_in_flight())
    yield gauge("gateway_stored_responses", "Responses in the memory tier.", gauges.stored_responses())
    yield gauge("gateway_stored_bytes", "Bytes that the memory tier holds.", gauges.stored_bytes())
    yield CounterMetricFamily("gateway_evictions", "Stored responses that made room.", gauges.evictions())
    charged = CounterMetricFamily("gateway_tokens_charged", "Tokens charged.", labels=["route", "reason"])
    for labels, tokens in list(gauges.tokens_charged().items()):
        charged.add_metric(list(labels), tokens)
    yield charged
    released = CounterMetricFamily("gateway_tokens_released", "Tokens reserved and given back.", labels=["route"])
    for route, tokens in list(gauges.tokens_released().items()):
        released.add_metric([route], tokens)
    yield released
    above = gauge("gateway_accounts_above", "Accounts that used this much of their grant.", labels=["percent"])
    for percent in PERCENTS:
        above.add_metric([str(percent)], gauges.accounts_above(percent))
    yield above
    yield gauge("gateway_ledger_drift_tokens", "Tokens the ledger cannot account for.", gauges.ledger_drift())
    yield gauge("gateway_ledger_bytes", "Bytes of the ledger on disk.", gauges.ledger_bytes())
    yield gauge("gateway_store_up", "Whether the store can be reached.", gauges.store_up())
    yield gauge(
        "gateway_config_last_reload_successful", "Whether the last config load worked.", gauges.config_reload_ok()
    )
    yield gauge(
        "gateway_config_last_reload_success_timestamp_seconds",
        "When a config was last loaded.",
        gauges.config_reload_time(),
    )
