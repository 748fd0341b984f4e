"""What the metrics say, summed up by route and by upstream: read some series at a time, while requests go on."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar, get_args

from gateway.counting import Histogram
from gateway.gauges import Gauges
from gateway.metrics import CacheLabel, Metrics

K = TypeVar("K")
T = TypeVar("T")

CACHE: tuple[CacheLabel, ...] = get_args(CacheLabel)

# Series that are read before others' work goes on, and histograms: a quarter of a millisecond.
_SLICE = 1000
_HISTOGRAMS = 200


@dataclass(slots=True)
class Traffic:
    """Of one route, or in all, since the start: requests by `cache`, those that were refused or joined a fetch.

    `saved_calls` are the requests that needed no upstream call of their own, `saved_tokens` what these were charged.
    """

    cache: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CACHE, 0))
    refused: int = 0
    collapsed: int = 0
    tokens_charged: int = 0
    tokens_released: int = 0
    saved_calls: int = 0
    saved_tokens: int = 0

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.cache.values())

    @property
    def hit_ratio(self) -> float | None:
        """Of what the cache was asked for, the share that it had; None where it was not asked."""
        asked = self.requests - self.cache["pass"]
        return (self.cache["hit"] + self.cache["stale"]) / asked if asked else None

    def add(self, other: "Traffic") -> None:
        """Take in another's."""
        for label, count in other.cache.items():
            self.cache[label] += count
        self.refused += other.refused
        self.collapsed += other.collapsed
        self.tokens_charged += other.tokens_charged
        self.tokens_released += other.tokens_released
        self.saved_calls += other.saved_calls
        self.saved_tokens += other.saved_tokens


@dataclass(slots=True)
class RouteReading:
    """One route's, with how long its requests took, and why its responses were not stored."""

    traffic: Traffic = field(default_factory=Traffic)
    seconds: Histogram = field(default_factory=Histogram)
    not_stored: dict[str, int] = field(default_factory=dict)


_Routes = defaultdict[str, RouteReading]


@dataclass(slots=True)
class UpstreamReading:
    """One upstream's exchanges: by code, a status in digits or how they broke, and the time until either."""

    codes: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    seconds: Histogram = field(default_factory=Histogram)

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(self.codes.values())

    @property
    def failed(self) -> int:
        """Those that brought a 5xx or broke."""
        return sum([count for code, count in self.codes.items() if is_failure(code)])


def is_failure(code: str) -> bool:
    """Whether an exchange that is counted under `code` failed: a 5xx, or a word for how it broke."""
    return not code.isdigit() or code.startswith("5")


async def by_route(metrics: Metrics, names: Iterable[str]) -> dict[str, RouteReading]:
    """Of each route in `names`, and of every other with traffic; "" where none matched."""
    routes = defaultdict[str, RouteReading](RouteReading)
    steps = _named(names, routes), _answered(metrics, routes), _turned_away(metrics, routes), _spared(metrics, routes)
    for _ in chain(*steps, _paid(metrics.gauges, routes)):
        await asyncio.sleep(0)
    return dict(routes)


def in_all(metrics: Metrics) -> Traffic:
    """Of all routes together, in one go: a millisecond for 10,000 series."""
    traffic = Traffic()
    for (_, _, label), count in metrics.requests.items():
        traffic.cache[str(label)] += count
    traffic.refused = sum(metrics.refusals.values())
    traffic.collapsed = sum(metrics.joined.values())
    traffic.tokens_charged = sum(metrics.gauges.tokens_charged().values())
    traffic.tokens_released = sum(metrics.gauges.tokens_released().values())
    traffic.saved_calls = sum(metrics.calls_saved.values())
    traffic.saved_tokens = sum(metrics.tokens_saved.values())
    return traffic


def by_upstream(metrics: Metrics, names: Iterable[str] = ()) -> dict[str, UpstreamReading]:
    """Of each upstream in `names`, and of every other that was called."""
    upstreams = defaultdict(UpstreamReading, {name: UpstreamReading() for name in names})
    for (name, code), count in metrics.exchanges.items():
        upstreams[str(name)].codes[str(code)] = count
    for (name,), count in metrics.retries.items():
        upstreams[str(name)].retries = count
    for (name,), series in metrics.exchange_seconds.items():
        upstreams[name].seconds = series
    return dict(upstreams)


def _named(names: Iterable[str], routes: _Routes) -> Iterator[None]:
    for some in _slices(dict.fromkeys(names), _HISTOGRAMS):
        for name, _ in some:
            routes[name] = RouteReading()
        yield


def _answered(metrics: Metrics, routes: _Routes) -> Iterator[None]:
    for some in _slices(metrics.requests):
        for (route, _, cache), count in some:
            routes[str(route)].traffic.cache[str(cache)] += count
        yield
    for slow in _slices(metrics.request_seconds, _HISTOGRAMS):
        for (name, _), series in slow:
            routes[name].seconds.add(series)
        yield


def _turned_away(metrics: Metrics, routes: _Routes) -> Iterator[None]:
    """What was refused, and what was not stored."""
    for some in _slices(metrics.refusals):
        for (route, _), count in some:
            routes[str(route)].traffic.refused += count
        yield
    for some in _slices(metrics.unstored):
        for (route, reason), count in some:
            routes[str(route)].not_stored[str(reason)] = count
        yield


def _spared(metrics: Metrics, routes: _Routes) -> Iterator[None]:
    for some in _slices(metrics.joined):
        for (route,), count in some:
            routes[str(route)].traffic.collapsed = count
        yield
    for some in _slices(metrics.calls_saved):
        for (route,), count in some:
            traffic = routes[str(route)].traffic
            traffic.saved_calls, traffic.saved_tokens = count, metrics.tokens_saved[route,]
        yield


def _paid(gauges: Gauges, routes: _Routes) -> Iterator[None]:
    for some in _slices(gauges.tokens_charged()):
        for (route, _), tokens in some:
            routes[route].traffic.tokens_charged += tokens
        yield
    for few in _slices(gauges.tokens_released()):
        for name, tokens in few:
            routes[name].traffic.tokens_released = tokens
        yield


def _slices(counted: Mapping[K, T], most: int = _SLICE) -> Iterator[list[tuple[K, T]]]:
    """What is in it now, so many at a time: it may grow meanwhile."""
    rows = list(counted.items())
    return (rows[start : start + most] for start in range(0, len(rows), most))
