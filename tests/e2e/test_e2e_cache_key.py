"""What makes two requests one for the cache: target, query, named fields, the origin's Vary, and who shares."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.answers import status_of
from support.config import KEY, OTHER_KEY, config, key_field, route
from support.config import origin as own
from support.gateway import RunningGateway, StartGateway
from support.scripts import answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

LANGUAGE = "Accept-Language"


@pytest.fixture(scope="module")
def cached(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    minutes: dict[str, Any] = {"ttl": "15m"}
    routes = [
        route("/ttl/{id}", "ttl", cache=minutes | {"ttl_by_status": {404: "60s"}}),
        route("/ignore/{id}", "ignore", cache=minutes | {"vary_on": {"query_ignore": ["utm_source"]}}),
        route("/sort/{id}", "sort", cache=minutes | {"vary_on": {"query_sort": True}}),
        route("/language/{id}", "language", cache=minutes | {"vary_on": {"headers": [LANGUAGE]}}),
        route("/forward/{id}", "forward", cache=minutes, forward=["X-Api-Version"]),
        route("/organization/{id}", "organization", cache=minutes | {"share": "organization"}),
        route("/key/{id}", "key", cache=minutes | {"share": "key"}),
    ]
    keys = [
        {"id": "alpha", "key": KEY, "organization": "acme"},
        {"id": "bravo", "key": OTHER_KEY, "organization": "acme"},
        {"id": "charlie", "key": "rk_live_charlie"},
    ]
    whole = config(origin.url, *routes, keys=keys, organizations={"acme": {}})
    with RunningGateway(tmp_path_factory.mktemp("cached"), whole) as running:
        yield running


@pytest.fixture
def client(cached: RunningGateway) -> httpx.Client:
    return cached.client(key_field())


@pytest.fixture
def other(cached: RunningGateway) -> httpx.Client:
    return cached.client(key_field(OTHER_KEY))


@pytest.fixture
def stranger(cached: RunningGateway) -> httpx.Client:
    return cached.client(key_field("rk_live_charlie"))


def test_ignored_parameters_reach_neither_key_nor_upstream(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    client.get(f"/ignore/{item}?utm_source=mail&a=1")
    assert status_of(client.get(f"/ignore/{item}?a=1&utm_source=web")).hit
    assert status_of(client.get(f"/ignore/{item}?a=2")).fwd == "uri-miss"
    assert [request.target for request in origin.calls(f"/ignore/{item}")] == [
        f"/ignore/{item}?a=1",
        f"/ignore/{item}?a=2",
    ]


def test_sorted_queries_share_one_response(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    client.get(f"/sort/{item}?b=2&a=1")
    assert status_of(client.get(f"/sort/{item}?a=1&b=2")).hit
    assert [request.target for request in origin.calls(f"/sort/{item}")] == [f"/sort/{item}?a=1&b=2"]


def test_unsorted_queries_are_different_responses(client: httpx.Client, item: str) -> None:
    client.get(f"/ttl/{item}?b=2&a=1")
    assert status_of(client.get(f"/ttl/{item}?a=1&b=2")).fwd == "uri-miss"


def test_equivalent_spellings_are_one_target(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    client.get(f"/ttl/{item}?q=%7e%2f")
    hit = client.get(f"/ttl/%{ord(item[0]):x}{item[1:]}?q=~%2F")
    assert status_of(hit).hit
    assert [request.target for request in origin.calls(f"/ttl/{item}")] == [f"/ttl/{item}?q=~%2F"]


@pytest.mark.parametrize(("path", "field"), [("/language", LANGUAGE), ("/forward", "X-Api-Version")])
def test_named_request_fields_are_part_of_the_key(
    client: httpx.Client, origin: ScriptedUpstream, item: str, path: str, field: str
) -> None:
    for value in ("de", "fr"):
        first = client.get(f"{path}/{item}", headers={field: value})
        assert not status_of(first).hit
        assert status_of(client.get(f"{path}/{item}", headers={field: value})).hit
    assert [request.field(field) for request in origin.calls(f"{path}/{item}")] == ["de", "fr"]


def test_the_origins_vary_selects_among_variants(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path = f"/ttl/{item}"
    origin.script(path, lambda request: answer(request.field(LANGUAGE) or "", Vary=LANGUAGE))
    assert status_of(client.get(path, headers={LANGUAGE: "de"})).fwd == "uri-miss"
    assert status_of(client.get(path, headers={LANGUAGE: "fr"})).fwd == "vary-miss"
    for language in ("de", "fr"):
        hit = client.get(path, headers={LANGUAGE: language})
        assert (status_of(hit).hit, hit.text) == (True, language)


SHARES = {
    "everyone": ("/ttl", {"alpha": False, "bravo": True, "charlie": True}),
    "organization": ("/organization", {"alpha": False, "bravo": True, "charlie": False}),
    "key": ("/key", {"alpha": False, "bravo": False, "charlie": False}),
}


@pytest.mark.parametrize(("path", "hits"), SHARES.values(), ids=SHARES.keys())
def test_a_response_is_shared_within_its_scope_only(
    client: httpx.Client,
    other: httpx.Client,
    stranger: httpx.Client,
    item: str,
    path: str,
    hits: dict[str, bool],
) -> None:
    callers = {"alpha": client, "bravo": other, "charlie": stranger}
    assert {name: status_of(caller.get(f"{path}/{item}")).hit for name, caller in callers.items()} == hits
    assert all(status_of(caller.get(f"{path}/{item}")).hit for caller in callers.values())


def test_two_routes_to_one_upstream_target_share_a_response(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    """The cache key is made of upstream and target, never of the route's name."""
    routes = [
        route("/a/{id}", "a", cache={"ttl": "1h"}, rewrite={"strip_prefix": "/a"}),
        route("/b/{id}", "b", cache={"ttl": "1h"}, rewrite={"strip_prefix": "/b"}),
        route("/c/{id}", "c", cache={"ttl": "1h"}, rewrite={"strip_prefix": "/c"}, upstream="second"),
    ]
    for entry in routes[:2]:
        entry["upstream"] = "first"
    upstreams = {"first": own(upstream.url), "second": own(upstream.url)}
    client = gateway(config(upstream.url, *routes, upstreams=upstreams)).client(key_field())
    assert not status_of(client.get("/a/1")).hit
    assert status_of(client.get("/b/1")).hit
    assert not status_of(client.get("/c/1")).hit
