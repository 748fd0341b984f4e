"""The gateway's metrics: counted as plain integers on a request's way, made into Prometheus families at a scrape."""

import asyncio
import platform
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway.errors import Reason
from gateway.exposition import SAMPLES, Exposition
from gateway.gauges import PERCENTS, Gauges, families

CacheLabel = Literal["hit", "stale", "validated", "miss", "refresh", "collapsed", "pass"]

# Upper bounds in seconds: a hit takes well below a millisecond, an upstream may take its whole 60 s.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BOUNDS = [*map(floatToGoString, BUCKETS), "+Inf"]

# Each has a sample for every bucket, and its sum and count.
_HISTOGRAMS = SAMPLES // 20


class _Counts(dict[tuple[str | int, ...], int]):
    """A counter family: its label values, in the order of `labels`, and what was counted under them."""

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        super().__init__()
        self._name = name
        self._documentation = documentation
        self._labels = labels

    def __missing__(self, key: tuple[str | int, ...]) -> int:
        return 0

    def families(self) -> Iterator[CounterMetricFamily]:
        """The family in parts, each of a few of its series."""
        keys = list(self)
        for start in range(0, len(keys) or 1, SAMPLES):
            family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
            for key in keys[start : start + SAMPLES]:
                family.add_metric([str(value) for value in key], self[key])
            yield family


class _Series:
    """One histogram: observations per bucket, not cumulated, and their sum in seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * len(_BOUNDS)
        self.total = 0.0

    def observe(self, seconds: float, times: int = 1) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += times
        self.total += seconds * times

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

    def families(self) -> Iterator[HistogramMetricFamily]:
        """The family in parts, each of a few of its series."""
        keys = list(self)
        for start in range(0, len(keys) or 1, _HISTOGRAMS):
            family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
            for key in keys[start : start + _HISTOGRAMS]:
                family.add_metric(list(key), self[key].buckets(), self[key].total)
            yield family


class Answered:
    """Requests of one route that ended alike, to be counted many at a time."""

    __slots__ = ("_counts", "_labels", "_series")

    def __init__(self, counts: _Counts, durations: _Durations, route: str, code: int, cache: CacheLabel) -> None:
        self._counts = counts
        self._labels = route, code, cache
        self._series = durations[route, cache]

    def count(self, times: int, seconds: float) -> None:
        """So many more, each answered after `seconds`."""
        self._counts[self._labels] += times
        self._series.observe(seconds, times)


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
            "gateway_request_duration_seconds", "Time from a request's head to its answer's.", "route", "cache"
        )
        self._answered: dict[tuple[str, int, str], Answered] = {}
        self._upstream = _Counts("gateway_upstream_requests", "Requests sent upstream.", "upstream", "code")
        self._upstream_seconds = _Durations(
            "gateway_upstream_duration_seconds", "Time until an upstream's response head or failure.", "upstream"
        )
        self._loop_delay = _Durations("gateway_loop_delay_seconds", "How late the event loop came to what was due.")
        self._loop_delay[()] = _Series()
        self._retries = _Counts("gateway_upstream_retries", "Requests sent upstream a second time.", "upstream")
        self._collapsed = _Counts("gateway_collapsed_requests", "Requests that joined another's fetch.", "route")
        self._not_stored = _Counts("gateway_not_stored", "Responses not stored, by reason.", "route", "reason")
        self._refreshes = _Counts("gateway_refreshes", "Refreshes by kind and outcome.", "route", "kind", "outcome")
        self._refusals = _Counts("gateway_refusals", "Requests refused by the gateway itself.", "route", "reason")
        self._above: Mapping[int, int] = dict.fromkeys(PERCENTS, 0)
        self._drift = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def request(self, route: str, code: int, cache: CacheLabel, seconds: float) -> None:
        """One request answered with status `code` after `seconds`."""
        self._requests[route, code, cache] += 1
        self._request_seconds[route, cache].observe(seconds)

    def answered(self, route: str, code: int, cache: CacheLabel) -> Answered:
        """Where such requests are counted many at a time; the same object each time."""
        known = self._answered.get((route, code, cache))
        if known is None:
            known = Answered(self._requests, self._request_seconds, route, code, cache)
            self._answered[route, code, cache] = known
        return known

    def upstream(self, name: str, code: str, seconds: float) -> None:
        """One exchange with upstream `name`: its status in digits or how it broke, and the time until either."""
        self._upstream[name, code] += 1
        self._upstream_seconds[name,].observe(seconds)

    def loop_delay(self, seconds: float) -> None:
        """The event loop came to a timer `seconds` after it was due."""
        self._loop_delay[()].observe(seconds)

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

    async def scrape(self, accept: str | None) -> tuple[str, bytes]:
        """What `exposition` gives, in slices: requests get their turn however many routes and accounts there are."""
        self._above = await self._gauges.accounts_above(PERCENTS)
        self._drift = await self._gauges.ledger_drift()
        exposition = Exposition(accept)
        for family, start in self._slices():
            exposition.add(family, start)
            await asyncio.sleep(0)
        return exposition.content_type, exposition.content()

    def exposition(self, accept: str | None) -> tuple[str, bytes]:
        """Content-Type and content for a scrape: OpenMetrics where `accept` prefers it, else the text format.

        Of the accounts and of the ledger's drift it says what the last `scrape` has found.
        """
        exposition = Exposition(accept)
        for family, start in self._slices():
            exposition.add(family, start)
        return exposition.content_type, exposition.content()

    def _slices(self) -> Iterator[tuple[Metric, int]]:
        """Families, and where in their samples to begin."""
        for family in self._registry.collect():
            for start in range(0, len(family.samples) or 1, SAMPLES):
                yield family, start

    def collect(self) -> Iterator[Metric]:
        """Every family of the gateway's own; called by the registry at a scrape."""
        for counted in (
            self._requests,
            self._request_seconds,
            self._upstream,
            self._upstream_seconds,
            self._loop_delay,
            self._retries,
            self._collapsed,
            self._not_stored,
            self._refreshes,
            self._refusals,
        ):
            yield from counted.families()
        yield from families(self._gauges, self._above, self._drift)
        yield InfoMetricFamily(
            "gateway_build",
            "The running version.",
            value={"version": self._version, "python": platform.python_version()},
        )
