"""What the metrics say, summed up by route, by upstream and in all."""

import asyncio
from dataclasses import replace

import pytest
from support.in_process import no_gauges

from gateway.errors import Reason
from gateway.metrics import Metrics
from gateway.readings import CACHE, RouteReading, Traffic, by_route, by_upstream, in_all, is_failure


@pytest.fixture
def metrics() -> Metrics:
    """Two routes with traffic, and requests that no route matched."""
    charged = {("product", "lookup"): 12, ("product", "options"): 5, ("pass", "lookup"): 2}
    gauges = replace(no_gauges(), tokens_charged=lambda: charged, tokens_released=lambda: {"pass": 3})
    metrics = Metrics(gauges, "0")
    for cache in CACHE:
        metrics.request("product", 200, cache, 0.3)
    metrics.request("product", 404, "hit", 0.0001)
    metrics.request("pass", 200, "pass", 2.0)
    metrics.request("", 404, "pass", 0.001)
    metrics.hits("product", 200, 6).count(2, 0.0001)
    metrics.saved("product", 3)
    metrics.collapsed("product")
    metrics.not_stored("product", "no_store")
    metrics.refusal("", Reason.no_route)
    metrics.refusal("product", Reason.throttled)
    metrics.refusal("product", Reason.quota_exceeded)
    for code in ("200", "304", "404", "503", "read_timeout"):
        metrics.upstream("api", code, 0.2)
    metrics.upstream("gone", "200", 0.5)
    metrics.retry("api")
    return metrics


NONE: dict[str, int] = dict.fromkeys(CACHE, 0)
ONE_EACH: dict[str, int] = dict.fromkeys(CACHE, 1)
PRODUCT = Traffic(
    cache=ONE_EACH | {"hit": 4},
    refused=2,
    collapsed=1,
    tokens_charged=17,
    saved_calls=3,
    saved_tokens=15,
)
PASS = Traffic(cache=NONE | {"pass": 1}, tokens_charged=2, tokens_released=3)


async def test_by_route(metrics: Metrics) -> None:
    found = await by_route(metrics, ["product", "idle"])
    assert found.keys() == {"product", "idle", "pass", ""}
    assert (found["product"].traffic, found["pass"].traffic) == (PRODUCT, PASS)
    assert (found["idle"].traffic, found["idle"].seconds.counts) == (Traffic(), RouteReading().seconds.counts)
    assert (found[""].traffic.requests, found[""].traffic.refused) == (1, 1)
    assert found["product"].not_stored == {"no_store": 1}
    assert sum(found["product"].seconds.counts) == PRODUCT.requests
    assert found["product"].seconds.total == pytest.approx(7 * 0.3 + 3 * 0.0001)


async def test_in_all_is_what_the_routes_have_together(metrics: Metrics) -> None:
    together = Traffic()
    for reading in (await by_route(metrics, [])).values():
        together.add(reading.traffic)
    assert in_all(metrics) == together


def test_by_upstream(metrics: Metrics) -> None:
    found = by_upstream(metrics, ["idle", "api"])
    assert list(found) == ["idle", "api", "gone"]
    assert (found["api"].calls, found["api"].failed, found["api"].retries) == (5, 2, 1)
    assert found["api"].codes == dict.fromkeys(["200", "304", "404", "503", "read_timeout"], 1)
    assert found["api"].seconds.total == pytest.approx(1.0)
    assert (found["idle"].calls, found["idle"].seconds.total) == (0, 0.0)


@pytest.mark.parametrize(
    ("cache", "ratio"),
    [({}, None), ({"pass": 3}, None), ({"miss": 1}, 0.0), ({"hit": 2, "stale": 1, "miss": 1, "pass": 9}, 0.75)],
)
def test_the_hit_ratio(cache: dict[str, int], ratio: float | None) -> None:
    assert Traffic(cache=NONE | cache).hit_ratio == ratio


@pytest.mark.parametrize(
    ("code", "failure"), [("200", False), ("404", False), ("500", True), ("599", True), ("refused", True)]
)
def test_what_is_a_failure(code: str, failure: bool) -> None:
    assert is_failure(code) is failure


async def test_others_get_their_turn_while_many_series_are_read_and_may_count(metrics: Metrics) -> None:
    for number in range(1000):
        metrics.request(f"route-{number}", 200, "hit", 0.01)
    reading, turns = asyncio.create_task(by_route(metrics, [])), 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
        metrics.request(f"new-{turns}", 200, "hit", 0.01)
    assert turns > 5
    assert len(reading.result()) > 1000


async def test_others_get_their_turn_while_many_routes_are_there_without_traffic(metrics: Metrics) -> None:
    reading, turns = asyncio.create_task(by_route(metrics, [f"idle-{number}" for number in range(2000)])), 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 12
    assert reading.result()["idle-1999"].traffic == Traffic()
