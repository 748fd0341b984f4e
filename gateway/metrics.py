"""The gateway's metrics: counted as plain integers on a request's way, made into Prometheus families at a scrape."""

import asyncio
import platform
from collections.abc import Iterator, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.counting import Counts, Durations, Histogram
from gateway.errors import Reason
from gateway.exposition import SAMPLES, Exposition
from gateway.gauges import PERCENTS, Gauges, families

CacheLabel = Literal["hit", "stale", "validated", "miss", "refresh", "collapsed", "pass"]


class Answered:
    """Hits by one route that ended alike and cost the same, to be counted many at a time."""

    __slots__ = ("_calls_saved", "_labels", "_requests", "_route", "_seconds", "_tokens", "_tokens_saved")

    def __init__(self, metrics: "Metrics", route: str, code: int, tokens: int) -> None:
        self._requests, self._labels = metrics.requests, (route, code, "hit")
        self._seconds = metrics.request_seconds[route, "hit"]
        self._calls_saved, self._tokens_saved, self._route = metrics.calls_saved, metrics.tokens_saved, (route,)
        self._tokens = tokens

    def count(self, times: int, seconds: float) -> None:
        """So many more, each answered after `seconds`."""
        self._requests[self._labels] += times
        self._seconds.observe(seconds, times)
        self._calls_saved[self._route] += times
        self._tokens_saved[self._route] += times * self._tokens


class Metrics(Collector):
    """Counts on the hot path and is itself the collector of a registry of its own.

    Label values must come from fixed sets: `route` and `name` are names from the config, `route` "" where none
    matched; nothing a client sends is ever a label. Seconds and tokens are not negative. `process` collects what the
    operating system tells, of this process unless told otherwise.
    """

    def __init__(self, gauges: Gauges, version: str, process: Collector | None = None) -> None:
        self.gauges = gauges
        self._version = version
        self.requests = Counts("gateway_requests", "Requests answered.", "route", "code", "cache")
        self.request_seconds = Durations(
            "gateway_request_duration_seconds", "Time from a request's head to its answer's.", "route", "cache"
        )
        self._hits: dict[tuple[str, int, int], Answered] = {}
        self.exchanges = Counts("gateway_upstream_requests", "Requests sent upstream.", "upstream", "code")
        self.exchange_seconds = Durations(
            "gateway_upstream_duration_seconds", "Time until an upstream's response head or failure.", "upstream"
        )
        self._loop_delay = Durations("gateway_loop_delay_seconds", "How late the event loop came to what was due.")
        self._loop_delay[()] = Histogram()
        self.retries = Counts("gateway_upstream_retries", "Requests sent upstream a second time.", "upstream")
        self.joined = Counts("gateway_collapsed_requests", "Requests that joined another's fetch.", "route")
        self.unstored = Counts("gateway_not_stored", "Responses not stored, by reason.", "route", "reason")
        self.refreshes = Counts("gateway_refreshes", "Refreshes by kind and outcome.", "route", "kind", "outcome")
        self.refusals = Counts("gateway_refusals", "Requests refused by the gateway itself.", "route", "reason")
        self.calls_saved = Counts(
            "gateway_upstream_calls_saved", "Requests answered without an upstream call of their own.", "route"
        )
        self.tokens_saved = Counts("gateway_tokens_saved", "Tokens charged for requests that saved a call.", "route")
        self._above: Mapping[int, int] = dict.fromkeys(PERCENTS, 0)
        self._drift = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._registry.register(process or ProcessCollector(registry=None))
        PlatformCollector(registry=self._registry)

    def request(self, route: str, code: int, cache: CacheLabel, seconds: float) -> None:
        """One request answered with status `code` after `seconds`."""
        self.requests[route, code, cache] += 1
        self.request_seconds[route, cache].observe(seconds)

    def hits(self, route: str, code: int, tokens: int) -> Answered:
        """Where hits that cost `tokens` each are counted many at a time; the same object each time."""
        known = self._hits.get((route, code, tokens))
        if known is None:
            known = self._hits[route, code, tokens] = Answered(self, route, code, tokens)
        return known

    def saved(self, route: str, tokens: int) -> None:
        """One request was answered without an upstream call of its own, and charged `tokens`."""
        self.calls_saved[route,] += 1
        self.tokens_saved[route,] += tokens

    def upstream(self, name: str, code: str, seconds: float) -> None:
        """One exchange with upstream `name`: its status in digits or how it broke, and the time until either."""
        self.exchanges[name, code] += 1
        self.exchange_seconds[name,].observe(seconds)

    def loop_delay(self, seconds: float) -> None:
        """The event loop came to a timer `seconds` after it was due."""
        self._loop_delay[()].observe(seconds)

    def retry(self, name: str) -> None:
        """One exchange with upstream `name` was tried again."""
        self.retries[name,] += 1

    def collapsed(self, route: str) -> None:
        """One request waited for a fetch that another had begun."""
        self.joined[route,] += 1

    def not_stored(self, route: str, reason: str) -> None:
        """One response was not stored; `reason` is a name of `rfc9111.storing.Unstorable` or `collapse.Unkept`."""
        self.unstored[route, reason] += 1

    def refresh(self, route: str, kind: str, outcome: str) -> None:
        """One refresh ended; `kind` says who asked for it, both are words of closed sets."""
        self.refreshes[route, kind, outcome] += 1

    def refusal(self, route: str, reason: Reason) -> None:
        """One request was refused."""
        self.refusals[route, reason.name] += 1

    async def scrape(self, accept: str | None) -> tuple[str, bytes]:
        """What `exposition` gives, in slices: requests get their turn however many routes and accounts there are."""
        self._above = await self.gauges.accounts_above(PERCENTS)
        self._drift = await self.gauges.ledger_drift()
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

    def counted(self) -> tuple[Counts | Durations, ...]:
        """All that is counted on a request's way."""
        return (
            self.requests,
            self.request_seconds,
            self.exchanges,
            self.exchange_seconds,
            self._loop_delay,
            self.retries,
            self.joined,
            self.unstored,
            self.refreshes,
            self.refusals,
            self.calls_saved,
            self.tokens_saved,
        )

    def collect(self) -> Iterator[Metric]:
        """Every family of the gateway's own; called by the registry at a scrape."""
        for counted in self.counted():
            yield from counted.families()
        yield from families(self.gauges, self._above, self._drift)
        yield InfoMetricFamily(
            "gateway_build",
            "The running version.",
            value={"version": self._version, "python": platform.python_version()},
        )
