"""What the overview says of routes and upstreams, as the admin API tells it."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import orjson

from gateway.counting import BUCKETS, Histogram
from gateway.metrics import Metrics
from gateway.quantiles import quantile
from gateway.readings import RouteReading, Traffic, UpstreamReading
from gateway.upstreams.circuit import UpstreamState

Json = dict[str, object]

# Routes that are written down before others' work goes on: half a millisecond.
_SLICE = 50


async def routes(readings: Mapping[str, RouteReading]) -> list[orjson.Fragment]:
    """Those with most requests first; in their final form, as all at once would take the loop too long."""
    told: list[orjson.Fragment] = []
    ranked = sorted(readings.items(), key=lambda item: (-item[1].traffic.requests, item[0]))
    for number, (name, reading) in enumerate(ranked, 1):
        told.append(orjson.Fragment(orjson.dumps(_route(name, reading))))
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return told


def _route(name: str, reading: RouteReading) -> Json:
    seconds, not_stored = _seconds(reading.seconds), reading.not_stored
    return {
        "route": name,
        "counted": counted(reading.traffic),
        **summed(reading.traffic),
        "seconds": seconds,
        "not_stored": not_stored,
    }


def counted(traffic: Traffic) -> Json:
    """What `overview.Counted` describes."""
    return {
        "requests": traffic.requests,
        "cache": traffic.cache,
        "refused": traffic.refused,
        "collapsed": traffic.collapsed,
        "tokens_charged": traffic.tokens_charged,
        "tokens_released": traffic.tokens_released,
    }


def summed(traffic: Traffic) -> Json:
    """The hit ratio, and what was saved."""
    saved = {"upstream_calls": traffic.saved_calls, "tokens": traffic.saved_tokens}
    return {"hit_ratio": traffic.hit_ratio, "saved": saved}


def _seconds(histogram: Histogram) -> dict[str, float | None]:
    observed = sum(histogram.counts)
    return {
        "mean": histogram.total / observed if observed else None,
        "p50": quantile(0.5, BUCKETS, histogram.counts),
        "p99": quantile(0.99, BUCKETS, histogram.counts),
    }


def upstream(name: str, reading: UpstreamReading, state: UpstreamState | None) -> Json:
    """What `overview.UpstreamTold` describes; `state` is None for one that the config no longer names."""
    return {
        "upstream": name,
        "up": None if state is None else state.up,
        "state": None if state is None else state.state.name,
        "calls": reading.calls,
        "failed": reading.failed,
        "codes": reading.codes,
        "retries": reading.retries,
        "seconds": _seconds(reading.seconds),
    }


def refreshes(metrics: Metrics) -> list[Json]:
    """How many ended how, by route and kind."""
    found = metrics.refreshes.items()
    return [
        {"route": route, "kind": kind, "outcome": outcome, "count": count} for (route, kind, outcome), count in found
    ]


def refusals(metrics: Metrics) -> Counter[object]:
    """How many by reason, over all routes."""
    by_reason = Counter[object]()
    for (_, reason), count in metrics.refusals.items():
        by_reason[reason] += count
    return by_reason
