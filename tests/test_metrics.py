import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector
from support.families import FAMILIES, IN_REDIS, ON_DISK

from gateway.counting import BUCKETS
from gateway.errors import Reason
from gateway.gauges import PERCENTS, Gauges, InRedis, OnDisk
from gateway.metrics import Metrics

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def unspent(percents: Sequence[int]) -> dict[int, int]:
    return {percent: 100 - percent for percent in percents}


async def drift() -> int:
    return 5


def gauges(**read: Callable[[], int]) -> Gauges:
    return Gauges(
        stored_responses=lambda: 3,
        stored_bytes=read.get("stored_bytes", lambda: 4096),
        evictions=lambda: 7,
        disk=lambda: OnDisk(5, 8192, 6, up=True),
        shared=lambda: InRedis(10, 16384, 11),
        fetches_in_flight=lambda: 2,
        tokens_charged=lambda: {("product", "lookup"): 12},
        tokens_released=lambda: {"product": 6},
        accounts_above=unspent,
        ledger_drift=drift,
        ledger_bytes=lambda: 65536,
        store_up=lambda: True,
        config_reload_ok=lambda: False,
        config_reload_time=lambda: 1_767_225_600.0,
        certificate_expires=read.get("certificate_expires", lambda: None),
        upstreams_up=lambda: {"retailer": True, "elsewhere": False},
        log_lines_dropped=lambda: 9,
    )


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(gauges(), "0.1.0")


def scraped(metrics: Metrics) -> Samples:
    _, content = asyncio.run(metrics.scrape(None))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(content.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return scraped(metrics)[name, frozenset(labels.items())]


def touch_all(metrics: Metrics) -> None:
    metrics.request("product", 200, "hit", 0.0004)
    metrics.upstream("retailer", "200", 0.3)
    metrics.retry("retailer")
    metrics.loop_delay(0.02)
    metrics.collapsed("product")
    metrics.saved("product", 6)
    metrics.not_stored("product", "no_store")
    metrics.refresh("product", "force", "delivered")
    metrics.refusal("", Reason.no_route)


def test_every_family_has_its_name_and_labels(metrics: Metrics) -> None:
    touch_all(metrics)
    found: dict[str, set[str]] = {}
    for name, labels in scraped(metrics):
        if name.startswith("gateway_"):
            base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            found.setdefault(base, set()).update({label for label, _ in labels} - {"le"})
    assert found == FAMILIES | ON_DISK | IN_REDIS


def test_types_are_declared_before_anything_happened(metrics: Metrics) -> None:
    _, content = metrics.exposition(None)
    types = dict(line.split()[2:4] for line in content.decode().splitlines() if line.startswith("# TYPE gateway_"))
    assert set(types) == set(FAMILIES | ON_DISK | IN_REDIS)
    for name, kind in types.items():
        assert (kind == "counter") == name.endswith("_total"), name
        assert (kind == "histogram") == name.endswith(("_duration_seconds", "_delay_seconds")), name


def test_unlabelled_ones_have_a_value_from_the_first_scrape(metrics: Metrics) -> None:
    names = {name.removesuffix("_count") for name, labels in scraped(metrics) if not labels}
    assert {name for name, labels in FAMILIES.items() if not labels} <= names


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("gateway_requests_total", {"route": "product", "code": "200", "cache": "hit"}, 2),
        ("gateway_request_duration_seconds_count", {"route": "product", "cache": "hit"}, 2),
        ("gateway_upstream_requests_total", {"upstream": "retailer", "code": "200"}, 2),
        ("gateway_upstream_duration_seconds_sum", {"upstream": "retailer"}, 0.6),
        ("gateway_upstream_retries_total", {"upstream": "retailer"}, 2),
        ("gateway_loop_delay_seconds_count", {}, 2),
        ("gateway_loop_delay_seconds_sum", {}, 0.04),
        ("gateway_collapsed_requests_total", {"route": "product"}, 2),
        ("gateway_upstream_calls_saved_total", {"route": "product"}, 2),
        ("gateway_tokens_saved_total", {"route": "product"}, 12),
        ("gateway_not_stored_total", {"route": "product", "reason": "no_store"}, 2),
        ("gateway_refreshes_total", {"route": "product", "kind": "force", "outcome": "delivered"}, 2),
        ("gateway_tokens_charged_total", {"route": "product", "reason": "lookup"}, 12),
        ("gateway_tokens_released_total", {"route": "product"}, 6),
        ("gateway_refusals_total", {"route": "", "reason": "no_route"}, 2),
        ("gateway_fetches_in_flight", {}, 2),
        ("gateway_stored_responses", {}, 3),
        ("gateway_stored_bytes", {}, 4096),
        ("gateway_evictions_total", {}, 7),
        ("gateway_stored_disk_responses", {}, 5),
        ("gateway_stored_disk_bytes", {}, 8192),
        ("gateway_disk_evictions_total", {}, 6),
        ("gateway_stored_disk_up", {}, 1),
        ("gateway_log_lines_dropped_total", {}, 9),
        ("gateway_upstream_up", {"upstream": "retailer"}, 1),
        ("gateway_upstream_up", {"upstream": "elsewhere"}, 0),
        ("gateway_accounts_above", {"percent": "80"}, 20),
        ("gateway_accounts_above", {"percent": "95"}, 5),
        ("gateway_accounts_above", {"percent": "100"}, 0),
        ("gateway_ledger_drift_tokens", {}, 5),
        ("gateway_ledger_bytes", {}, 65536),
        ("gateway_store_up", {}, 1),
        ("gateway_config_last_reload_successful", {}, 0),
        ("gateway_config_last_reload_success_timestamp_seconds", {}, 1_767_225_600),
    ],
    ids=str,
)
def test_values_after_known_calls(metrics: Metrics, name: str, labels: dict[str, str], expected: float) -> None:
    touch_all(metrics)
    touch_all(metrics)
    assert value(metrics, name, **labels) == pytest.approx(expected)


def test_the_build_is_named(metrics: Metrics) -> None:
    assert any(name == "gateway_build_info" and ("version", "0.1.0") in labels for name, labels in scraped(metrics))


def test_a_broken_exchange_is_counted_by_its_kind(metrics: Metrics) -> None:
    metrics.upstream("retailer", "connect_timeout", 3.0)
    assert value(metrics, "gateway_upstream_requests_total", upstream="retailer", code="connect_timeout") == 1


@pytest.mark.parametrize("bound", BUCKETS)
def test_an_observation_on_a_bound_counts_below_it(metrics: Metrics, bound: float) -> None:
    metrics.request("r", 200, "miss", bound)
    counts = {
        float(dict(labels)["le"]): count
        for (name, labels), count in scraped(metrics).items()
        if name == "gateway_request_duration_seconds_bucket"
    }
    assert counts == {le: float(le >= bound) for le in (*BUCKETS, float("inf"))}


def test_an_observation_beyond_every_bound_is_kept(metrics: Metrics) -> None:
    metrics.request("r", 200, "miss", 1000.0)
    assert value(metrics, "gateway_request_duration_seconds_bucket", route="r", cache="miss", le="60.0") == 0
    assert value(metrics, "gateway_request_duration_seconds_bucket", route="r", cache="miss", le="+Inf") == 1


CALLS: list[Callable[[Metrics, int], None]] = [
    lambda metrics, n: metrics.request("a", 200 + n % 3, "hit", n / 7),
    lambda metrics, n: metrics.upstream("u", "refused" if n % 2 else "503", n / 3),
    lambda metrics, n: metrics.retry("u"),
    lambda metrics, n: metrics.refusal("a", Reason.throttled),
]


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(CALLS), st.integers(0, 100)), max_size=12))
def test_nothing_counted_ever_decreases(calls: list[tuple[Callable[[Metrics, int], None], int]]) -> None:
    metrics = Metrics(gauges(), "0.1.0")
    before: Samples = {}
    for call, n in calls:
        call(metrics, n)
        after = {key: count for key, count in scraped(metrics).items() if key[0].startswith("gateway_")}
        assert all(after[key] >= count for key, count in before.items())
        before = after


def test_hits_of_one_price_are_counted_many_at_a_time(metrics: Metrics) -> None:
    assert metrics.hits("product", 200, 6) is metrics.hits("product", 200, 6)
    metrics.hits("product", 200, 6).count(3, 0.001)
    metrics.hits("product", 200, 1).count(2, 0.001)
    assert value(metrics, "gateway_requests_total", route="product", code="200", cache="hit") == 5
    assert value(metrics, "gateway_request_duration_seconds_count", route="product", cache="hit") == 5
    assert value(metrics, "gateway_upstream_calls_saved_total", route="product") == 5
    assert value(metrics, "gateway_tokens_saved_total", route="product") == 20


def test_gauges_are_read_at_each_scrape() -> None:
    sizes = iter([10, 5])
    metrics = Metrics(gauges(stored_bytes=lambda: next(sizes)), "0.1.0")
    assert value(metrics, "gateway_stored_bytes") == 10
    assert value(metrics, "gateway_stored_bytes") == 5


def test_two_instances_share_nothing(metrics: Metrics) -> None:
    metrics.retry("u")
    assert not any(name == "gateway_upstream_retries_total" for name, _ in scraped(Metrics(gauges(), "0.1.0")))


def test_the_process_and_platform_are_there(metrics: Metrics) -> None:
    names = {name for name, _ in scraped(metrics)}
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= names


TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param(None, TEXT, id="absent"),
        pytest.param("*/*", TEXT, id="curl"),
        pytest.param("application/openmetrics-text;version=x", OPENMETRICS, id="malformed-version"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OPENMETRICS,
            id="prometheus",
        ),
        pytest.param("text/plain, application/openmetrics-text;q=0.5", TEXT, id="text-preferred"),
        pytest.param("application/openmetrics-text;q=0", TEXT, id="refused"),
    ],
)
def test_the_format_follows_accept(metrics: Metrics, accept: str | None, content_type: str) -> None:
    touch_all(metrics)
    told, content = asyncio.run(metrics.scrape(accept))
    assert told.startswith(content_type)
    parse = parse_openmetrics if content_type == OPENMETRICS else parse_text
    families = {family.name: family for family in parse(content.decode())}
    assert {sample.value for sample in families["gateway_evictions"].samples} == {7}
    assert {sample.labels["percent"] for sample in families["gateway_accounts_above"].samples} == set(
        map(str, PERCENTS)
    )


@pytest.mark.parametrize("accept", [None, "application/openmetrics-text"], ids=["text", "openmetrics"])
def test_many_series_are_told_as_if_at_once(metrics: Metrics, accept: str | None) -> None:
    for number in range(500):
        metrics.request(f"route-{number}", 200, "hit", 0.01)
    _, content = asyncio.run(metrics.scrape(accept))
    encode, _ = choose_encoder(accept or "")
    assert sorted(_own(content)) == sorted(_own(encode(_AtOnce(metrics))))
    assert (accept is None) != content.endswith(b"# EOF\n")
    assert content.count(b"# EOF") == (accept is not None)


def test_others_get_their_turn_while_many_series_are_told(metrics: Metrics) -> None:
    async def turns() -> int:
        taken, scrape = 0, asyncio.create_task(metrics.scrape(None))
        while not scrape.done():
            await asyncio.sleep(0)
            taken += 1
        return taken

    few = asyncio.run(turns())
    for number in range(500):
        metrics.request(f"route-{number}", 200, "hit", 0.01)
    assert asyncio.run(turns()) >= few + 50


class _AtOnce(Collector):
    """The families whole, as the library would have them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        whole: dict[str, Metric] = {}
        for family in self._metrics.collect():
            known = whole.setdefault(family.name, family)
            if known is not family:
                known.samples += family.samples
        return list(whole.values())


def _own(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines() if b"gateway_" in line]


def test_a_certificates_end_is_told_where_there_is_one(metrics: Metrics) -> None:
    name = "gateway_tls_certificate_expiry_timestamp_seconds"
    assert value(Metrics(gauges(certificate_expires=lambda: 1_798_761_600), "0.1.0"), name) == 1_798_761_600
    assert not any(found == name for found, _ in scraped(metrics))
