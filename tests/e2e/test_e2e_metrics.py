"""Prometheus from outside: after known traffic every number of the design is exactly right."""

import httpx
import pytest
from support.addresses import HOST, free_port
from support.config import KEY, OTHER_KEY, UPSTREAM_SECRET, Config, config, key_field, plan, product_route, route
from support.config import origin as own
from support.gateway import RunningGateway, Samples, StartGateway
from support.polling import eventually
from support.scripts import End, answer, head
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"

LABELS = {
    "gateway_requests_total": {"route", "code", "cache"},
    "gateway_request_duration_seconds_count": {"route", "cache"},
    "gateway_upstream_requests_total": {"upstream", "code"},
    "gateway_upstream_duration_seconds_count": {"upstream"},
    "gateway_upstream_retries_total": {"upstream"},
    "gateway_collapsed_requests_total": {"route"},
    "gateway_not_stored_total": {"route", "reason"},
    "gateway_refreshes_total": {"route", "kind", "outcome"},
    "gateway_tokens_charged_total": {"route", "reason"},
    "gateway_tokens_released_total": {"route"},
    "gateway_refusals_total": {"route", "reason"},
    "gateway_upstream_calls_saved_total": {"route"},
    "gateway_tokens_saved_total": {"route"},
    "gateway_accounts_above": {"percent"},
}
UNLABELLED = {
    "gateway_fetches_in_flight",
    "gateway_stored_responses",
    "gateway_stored_bytes",
    "gateway_evictions_total",
    "gateway_ledger_drift_tokens",
    "gateway_ledger_bytes",
    "gateway_store_up",
    "gateway_config_last_reload_successful",
    "gateway_config_last_reload_success_timestamp_seconds",
}


def measured(upstream: ScriptedUpstream) -> Config:
    routes = [
        product_route(upstream="api"),
        route("/short/{id}", "short", upstream="api", cache={"ttl": "250ms", "stale_while_revalidate": "1h"}),
        route("/pass/{id}", "pass", upstream="api"),
        route("/down/{id}", "down", upstream="down"),
    ]
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}, {"id": "bravo", "key": OTHER_KEY, "plan": "small"}]
    plans = {"pro": plan(1000), "small": plan(10, "never")}
    upstreams = {"api": own(upstream.url), "down": own(f"http://{HOST}:{free_port()}")}
    return config(upstream.url, *routes, keys=keys, plans=plans, upstreams=upstreams)


@pytest.fixture
def running(gateway: StartGateway, upstream: ScriptedUpstream) -> RunningGateway:
    return gateway(measured(upstream))


@pytest.fixture
def client(running: RunningGateway) -> httpx.Client:
    return running.client(key_field())


def after(running: RunningGateway, requests: int) -> Samples:
    """The scrape that has counted so many requests; an answer may arrive before it is counted."""

    def counted() -> Samples | None:
        samples = running.metrics()
        return samples if samples.total("gateway_requests_total") >= requests else None

    return eventually(counted)


def test_requests_are_counted_by_route_code_and_cache(
    running: RunningGateway, client: httpx.Client, upstream: ScriptedUpstream
) -> None:
    client.get(f"{PRODUCT}/1")
    for _ in range(3):
        client.get(f"{PRODUCT}/1")
    client.post(f"{PRODUCT}/1/refresh")
    client.get("/pass/1")
    client.delete("/pass/1")
    client.get("/down/1")
    samples = after(running, 8)
    assert samples.value("gateway_requests_total", route="product", code="200", cache="miss") == 1
    assert samples.value("gateway_requests_total", route="product", code="200", cache="hit") == 3
    assert samples.value("gateway_requests_total", route="product", code="200", cache="refresh") == 1
    assert samples.value("gateway_requests_total", route="pass", code="200", cache="pass") == 2
    assert samples.value("gateway_requests_total", route="down", code="502", cache="pass") == 1
    assert samples.total("gateway_requests_total") == 8
    assert samples.value("gateway_request_duration_seconds_count", route="product", cache="hit") == 3
    assert samples.value("gateway_upstream_requests_total", upstream="api", code="200") == 4
    assert samples.value("gateway_upstream_requests_total", upstream="down", code="refused") == 1
    assert samples.value("gateway_upstream_duration_seconds_count", upstream="api") == 4
    assert samples.value("gateway_stored_responses") == 2
    assert samples.value("gateway_stored_bytes") > 0
    assert samples.value("gateway_fetches_in_flight") == 0


def test_tokens_are_counted_exactly(running: RunningGateway, client: httpx.Client, upstream: ScriptedUpstream) -> None:
    upstream.script("/pass/2", answer("broken", 500))
    client.get(f"{PRODUCT}/1?include_offers=true")
    client.get(f"{PRODUCT}/1?include_offers=true&force_refresh=true")
    client.get("/pass/1")
    client.get("/pass/2")
    samples = after(running, 4)
    assert samples.total("gateway_tokens_charged_total", route="product") == 6 + 9
    assert samples.total("gateway_tokens_charged_total", route="pass") == 1
    assert samples.value("gateway_tokens_released_total", route="pass") == 1
    assert samples.value("gateway_ledger_drift_tokens") == 0
    assert samples.value("gateway_ledger_bytes") > 0
    assert samples.value("gateway_store_up") == 1
    assert samples.total("gateway_refreshes_total", route="product") == 1


def test_refusals_are_counted_by_route_and_reason(running: RunningGateway, client: httpx.Client) -> None:
    client.get("/nowhere")
    client.get(f"{PRODUCT}/1?force_refresh=maybe")
    running.client().get(f"{PRODUCT}/1")
    poor = running.client(key_field(OTHER_KEY))
    assert [poor.get(f"{PRODUCT}/1?include_offers=true").status_code for _ in range(2)] == [200, 402]
    samples = after(running, 5)
    assert samples.total("gateway_refusals_total") == 4
    assert samples.total("gateway_refusals_total", reason="no_route") == 1
    assert samples.total("gateway_refusals_total", reason="bad_flag") == 1
    assert samples.total("gateway_refusals_total", reason="missing_key") == 1
    assert samples.value("gateway_refusals_total", route="product", reason="quota_exhausted") == 1


def test_accounts_near_their_end_are_counted(running: RunningGateway) -> None:
    poor, spent = running.client(key_field(OTHER_KEY)), 0
    for until, above in ((7, (0, 0, 0)), (8, (1, 0, 0)), (10, (1, 1, 1))):
        for _ in range(until - spent):
            assert poor.get("/pass/1").status_code == 200
        spent = until
        samples = after(running, spent)
        percents = ("80", "95", "100")
        assert tuple(samples.value("gateway_accounts_above", percent=percent) for percent in percents) == above


def test_what_is_not_stored_is_counted_by_reason(
    running: RunningGateway, client: httpx.Client, upstream: ScriptedUpstream
) -> None:
    upstream.script(f"{PRODUCT}/1", answer("body", Cache_Control="no-store"))
    upstream.script(f"{PRODUCT}/2", answer("body", 404))
    for number in (1, 2, 2):
        client.get(f"{PRODUCT}/{number}")
    samples = after(running, 3)
    by_reason = {
        dict(labels)["reason"]: v for (name, labels), v in samples.items() if name == "gateway_not_stored_total"
    }
    assert sorted(by_reason.values()) == [1, 2]
    assert samples.value("gateway_stored_responses") == 0


def test_upstream_failures_are_counted_by_kind(
    running: RunningGateway, client: httpx.Client, upstream: ScriptedUpstream
) -> None:
    upstream.script("/pass/1", answer("no", 404))
    upstream.script("/pass/2", b"garbage\r\n\r\n", End.close)
    upstream.script(f"{PRODUCT}/1", head(200, "Content-Length: 9") + b"half", End.close)
    for target in ("/pass/1", "/pass/2", f"{PRODUCT}/1"):
        client.get(target)
    samples = after(running, 3)
    assert samples.value("gateway_upstream_requests_total", upstream="api", code="404") == 1
    assert samples.value("gateway_upstream_requests_total", upstream="api", code="invalid") == 1
    assert samples.value("gateway_upstream_requests_total", upstream="api", code="truncated") >= 1


def test_a_retry_is_counted(running: RunningGateway, client: httpx.Client, upstream: ScriptedUpstream) -> None:
    upstream.then("/pass/1", answer("first"))
    upstream.then("/pass/1", End.reset)
    for _ in range(2):
        assert client.get("/pass/1").status_code == 200
    assert after(running, 2).value("gateway_upstream_retries_total", upstream="api") == 1


def test_stale_answers_are_counted_as_such(running: RunningGateway, client: httpx.Client) -> None:
    client.get("/short/1")

    def stale() -> bool:
        client.get("/short/1")
        return running.metrics().value("gateway_requests_total", route="short", code="200", cache="stale") > 0

    eventually(stale)


def test_names_and_labels_are_the_designs(running: RunningGateway, client: httpx.Client) -> None:
    for target in (f"{PRODUCT}/1", f"{PRODUCT}/1?force_refresh=true", "/pass/1", "/nowhere", "/down/1"):
        client.get(target)
    samples = after(running, 5)
    assert samples.names >= UNLABELLED
    assert samples.value("gateway_config_last_reload_successful") == 1
    for name, labels in samples:
        if name in LABELS:
            assert {label for label, _ in labels} == LABELS[name], name
        assert name.startswith(("gateway_", "process_", "python_")), name
    build = next(dict(labels) for name, labels in samples if name == "gateway_build_info")
    assert build["version"]


def test_no_key_url_or_id_in_any_label(running: RunningGateway, client: httpx.Client) -> None:
    client.get(f"{PRODUCT}/1234567?include_offers=true")
    client.get("/secret-path")
    text = repr(after(running, 2))
    for word in (KEY, UPSTREAM_SECRET, "1234567", "secret-path", "alpha", "127.0.0.1"):
        assert word not in text


def test_the_admin_port_answers_without_a_token(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    whole = measured(upstream) | {"admin": {"listen": "${GATEWAY_ADMIN}", "token": "admin-token"}}
    running = gateway(whole)
    statuses = [running.readiness(running.admin_port, target) for target in ("/metrics", "/livez", "/readyz")]
    assert statuses == [200, 200, 200]


def test_probes_are_neither_counted_nor_logged(running: RunningGateway) -> None:
    before = len(running.log)
    for target in ("/-/livez", "/-/readyz"):
        assert running.readiness(running.port, target) == 200
    assert running.metrics().total("gateway_requests_total") == 0
    assert "livez" not in running.log[before:]
