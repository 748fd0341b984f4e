"""Known traffic through a real gateway: the overview says what `/metrics` says, and both what the ledger has."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.addresses import HOST, free_port
from support.answers import cache_status
from support.config import KEY, OTHER_KEY, Config, config, key_field, plan, product_route, route
from support.config import origin as own
from support.gateway import RunningGateway, Samples
from support.load import answers, connections, read_by_now
from support.polling import eventually
from support.scripts import Gate, Received, answer, head
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"
DEAR = f"{PRODUCT}/1?include_offers=true"
TEST_KEY = f"rk_test_{'alpha' * 6}"
REFUSED = {"bad_flag", "missing_key", "quota_exhausted", "not_stored", "no_route", "upstream_error", "upstream_refused"}
SAVING = {"hit", "stale", "collapsed", "cooldown", "test"}
"""Of the outcomes that the ledger knows."""


def overseen(upstream: ScriptedUpstream) -> Config:
    seed = product_route(upstream="api", cache={"ttl": "15m"})
    seed["refresh"] = seed["refresh"] | {"cooldown": "1h"}
    lenient = {"ttl": "250ms", "stale_while_revalidate": "1h", "stale_if_error": "1h"}
    routes = [
        seed,
        route("/short/{id}", "short", upstream="api", cache=lenient, refresh=True),
        route("/open/{id}", "open", upstream="api", access="public", cache={}),
        route("/pass/{id}", "pass", upstream="api"),
        route("/down/{id}", "down", upstream="down"),
        route("/idle/{id}", "idle", upstream="api"),
    ]
    keys = [
        {"id": "alpha", "organization": "acme", "key": [KEY, TEST_KEY]},
        {"id": "bravo", "key": OTHER_KEY, "plan": "small"},
    ]
    upstreams = {"api": own(upstream.url), "down": own(f"http://{HOST}:{free_port()}")}
    plans = {"pro": plan(10_000), "small": plan(10, "never")}
    organizations = {"acme": {"plan": "pro"}}
    return config(upstream.url, *routes, keys=keys, organizations=organizations, plans=plans, upstreams=upstreams)


class Seen:
    """Asks, and adds up what the answers say of themselves."""

    def __init__(self, running: RunningGateway, upstream: ScriptedUpstream) -> None:
        self.requests = self.saved_calls = self.tokens = self.saved_tokens = 0
        self._running = running
        self._upstream = upstream
        self._clients: dict[str | None, httpx.Client] = {}

    def all(self) -> None:
        """One of everything, hits by the hundred."""
        for target in (f"{PRODUCT}/1", DEAR, "/short/1", "/pass/1", "/short/2"):
            assert self._get(target).status_code == 200
        for _ in range(100):
            self._get(f"{PRODUCT}/1")
            self._get(DEAR)
        self._get(f"{PRODUCT}/1", method="HEAD")
        self._get(f"{PRODUCT}/1", key=TEST_KEY)
        for _ in range(2):
            self._get(f"{PRODUCT}/1/refresh", method="POST")
        asyncio.run(self._join(f"{PRODUCT}/joined"))
        asyncio.run(self._join(f"{PRODUCT}/fresh?force_refresh=1"))
        self._public()
        self._stale()
        self._refused()

    def _public(self) -> None:
        self._upstream.script("/open/1", _validated)
        for fields in ({}, {}, {"If-None-Match": '"one"'}, {"Cache-Control": "no-cache"}):
            self._get("/open/1", key=None, **fields)

    def _stale(self) -> None:
        self._upstream.script("/short/2", answer("broken", 500))
        assert self._get("/short/2?force_refresh=1").status_code == 200
        eventually(lambda: cache_status(self._get("/short/1").headers["Cache-Status"]).parameters["ttl"][0] == "-")

    def _refused(self) -> None:
        self._upstream.script("/pass/500", answer("broken", 500))
        for target in (f"{PRODUCT}/1?force_refresh=maybe", "/pass/500", "/down/1", "/nowhere"):
            assert self._get(target).status_code >= 400
        assert self._get(f"{PRODUCT}/2", key=TEST_KEY).status_code == 404
        assert self._get(f"{PRODUCT}/2", key=None).status_code == 401
        assert [self._get(f"{PRODUCT}/3?include_offers=1", key=OTHER_KEY).status_code for _ in range(2)] == [200, 402]

    def _get(self, target: str, method: str = "GET", key: str | None = KEY, **fields: str) -> httpx.Response:
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = self._running.client(key_field(key) if key else {})
        got = client.request(method, target, headers=fields)
        self._add(got.headers.get("Cache-Status"), got.headers.get("X-Tokens-Consumed"))
        return got

    async def _join(self, target: str) -> None:
        """Four callers, one call."""
        gate = Gate()
        self._upstream.script(target.partition("?")[0], gate, answer(b"{}"))
        async with connections(self._running.address, 4) as callers:
            for caller in callers:
                caller.request("GET", target, f"Authorization: Bearer {KEY}")
            await self._upstream.arrived(target.partition("?")[0])
            await read_by_now(self._running.address)
            gate.open()
            for got in await answers(callers):
                self._add(got.field("Cache-Status"), got.field("X-Tokens-Consumed"))

    def _add(self, status: str | None, consumed: str | None) -> None:
        cache, tokens = cache_status(status), int(consumed or 0)
        saved = cache.hit or cache.collapsed
        self.requests += 1
        self.tokens += tokens
        self.saved_calls += saved
        self.saved_tokens += tokens * saved


def _validated(request: Received) -> bytes:
    if request.field("If-None-Match") == '"one"':
        return head(304, 'ETag: "one"', "Cache-Control: public, max-age=60")
    return answer("body", ETag='"one"', Cache_Control="public, max-age=60")


class Told:
    """What a gateway that stands still again says in all places."""

    def __init__(self, running: RunningGateway, seen: Seen) -> None:
        self._client = httpx.Client(base_url=running.admin_url, trust_env=False)
        eventually(lambda: running.metrics().total("gateway_requests_total") == seen.requests)
        eventually(lambda: running.metrics().total("gateway_refreshes_total", kind="background") > 0)
        eventually(lambda: self._get("/-/overview")["in_flight"] == 0)
        self.seen = seen
        self.metrics: Samples = running.metrics()
        self.overview = self._get("/-/overview")
        self.refusals = self._get("/-/refusals")["refusals"]
        self.history = self._get("/-/history")
        self.by_outcome = self._usage("outcome")
        self.by_key = self._usage("key")
        self._client.close()

    def _usage(self, by: str) -> dict[str, Any]:
        return {row[by]: row for row in self._get(f"/-/usage?by={by}")["rows"]}

    def _get(self, path: str) -> Any:
        got = self._client.get(path)
        assert got.status_code == 200, got.text
        return got.json()

    def total(self, name: str, **labels: str) -> float:
        return self.metrics.total(name, **labels)


@pytest.fixture(scope="module")
def told(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with RunningGateway(tmp_path_factory.mktemp("overseen"), overseen(origin)) as running:
        seen = Seen(running, origin)
        seen.all()
        yield Told(running, seen)


def test_every_kind_of_request_is_in_the_traffic(told: Told) -> None:
    cache = told.overview["totals"]["cache"]
    assert {label for label, count in cache.items() if count} == cache.keys()
    assert told.overview["refusals"].keys() == REFUSED
    assert told.by_outcome.keys() >= {*SAVING - {"test"}, "stale_if_error", "refreshed", "miss", "passed"}


def test_what_was_saved_is_what_the_answers_say(told: Told) -> None:
    saved = {"upstream_calls": told.seen.saved_calls, "tokens": told.seen.saved_tokens}
    assert told.overview["saved"] == saved
    assert told.total("gateway_upstream_calls_saved_total") == saved["upstream_calls"] > 200
    assert told.total("gateway_tokens_saved_total") == saved["tokens"] > 700


def test_what_was_saved_is_what_the_ledger_has(told: Told) -> None:
    """But for followers of a force refresh, which it knows as refreshed: here three, of four tokens each."""
    assert (
        sum(told.by_outcome[outcome]["tokens"] for outcome in SAVING if outcome in told.by_outcome) + 3 * 4
        == (told.overview["saved"]["tokens"])
    )


def test_requests_and_tokens_are_those_of_the_answers_and_of_the_ledger(told: Told) -> None:
    totals = told.overview["totals"]
    clients = sum(row["tokens"] for key, row in told.by_key.items() if key != "gateway:house")
    assert totals["requests"] == told.seen.requests
    assert totals["tokens_charged"] == told.seen.tokens == clients


def test_every_figure_of_a_route_is_that_of_the_metrics(told: Told) -> None:
    routes = told.overview["routes"]
    assert {one["route"] for one in routes} == {"product", "short", "open", "pass", "down", "idle", ""}
    for one in routes:
        route, counted = one["route"], one["counted"]
        assert counted["requests"] == told.total("gateway_requests_total", route=route)
        for label, count in counted["cache"].items():
            assert count == told.total("gateway_requests_total", route=route, cache=label)
        assert counted["refused"] == told.total("gateway_refusals_total", route=route)
        assert counted["collapsed"] == told.total("gateway_collapsed_requests_total", route=route)
        assert counted["tokens_charged"] == told.total("gateway_tokens_charged_total", route=route)
        assert counted["tokens_released"] == told.total("gateway_tokens_released_total", route=route)
        assert one["saved"]["upstream_calls"] == told.total("gateway_upstream_calls_saved_total", route=route)
        assert one["saved"]["tokens"] == told.total("gateway_tokens_saved_total", route=route)
        assert sum(one["not_stored"].values()) == told.total("gateway_not_stored_total", route=route)
        seconds = told.total("gateway_request_duration_seconds_sum", route=route)
        assert (one["seconds"]["mean"] or 0.0) * counted["requests"] == pytest.approx(seconds)
    assert [one["counted"]["requests"] for one in routes] == sorted(
        [one["counted"]["requests"] for one in routes], reverse=True
    )


def test_the_totals_are_those_of_the_routes(told: Told) -> None:
    summed = Counter[str]()
    for one in told.overview["routes"]:
        summed.update({name: value for name, value in one["counted"].items() if name != "cache"})
    totals = told.overview["totals"]
    assert {name: value for name, value in totals.items() if name != "cache"} == summed
    cache = totals["cache"]
    assert told.overview["hit_ratio"] == (cache["hit"] + cache["stale"]) / (totals["requests"] - cache["pass"])


def test_every_figure_of_an_upstream_is_that_of_the_metrics(told: Told) -> None:
    upstreams = {one["upstream"]: one for one in told.overview["upstreams"]}
    assert upstreams.keys() == {"api", "down"}
    for name, one in upstreams.items():
        assert one["calls"] == told.total("gateway_upstream_requests_total", upstream=name)
        assert one["retries"] == told.total("gateway_upstream_retries_total", upstream=name)
        for code, count in one["codes"].items():
            assert count == told.metrics.value("gateway_upstream_requests_total", upstream=name, code=code)
        seconds = told.total("gateway_upstream_duration_seconds_sum", upstream=name)
        assert one["seconds"]["mean"] * one["calls"] == pytest.approx(seconds)
    broken = told.metrics.value("gateway_upstream_requests_total", upstream="api", code="500")
    assert (upstreams["api"]["failed"], upstreams["down"]["failed"]) == (broken, 1)


def test_how_it_stands_is_what_the_metrics_say(told: Told) -> None:
    overview = told.overview
    assert overview["stored"]["responses"] == told.metrics.value("gateway_stored_responses")
    assert overview["stored"]["bytes"] == told.metrics.value("gateway_stored_bytes")
    assert (overview["ready"], overview["failing"], overview["store_up"], overview["drift"]) == (True, [], True, 0)
    assert (overview["config"]["ok"], overview["config"]["mistakes"]) == (True, 0)
    for reason, count in overview["refusals"].items():
        assert count == told.total("gateway_refusals_total", reason=reason)
    for one in overview["refreshes"]:
        assert one.pop("count") == told.metrics.value("gateway_refreshes_total", **one)


def test_refusals_name_the_account_where_its_key_was_known(told: Told) -> None:
    assert len(told.refusals) == sum(told.overview["refusals"].values())
    by_reason = {one["reason"]: one for one in told.refusals}
    assert by_reason.keys() == REFUSED
    spent = by_reason["quota_exhausted"]
    assert (spent["account"], spent["organization"], spent["status"]) == ("bravo", "bravo", 402)
    accounts = {reason: one["account"] for reason, one in by_reason.items()}
    assert accounts == dict.fromkeys(REFUSED, "alpha") | {
        "quota_exhausted": "bravo",
        "no_route": None,
        "missing_key": None,
    }
    assert told.refusals[0]["reason"] == "quota_exhausted"
    assert not [word for word in (KEY, OTHER_KEY, TEST_KEY, "nowhere", "maybe") if word in json.dumps(told.refusals)]


def test_the_history_begins_with_the_process(told: Told) -> None:
    first = told.history["points"][0]
    assert (first["requests"], first["saved_calls"], first["upstreams"]) == (0, 0, {})
    assert told.history["next"] == told.history["points"][-1]["n"]
