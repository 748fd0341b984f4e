"""Preparing: to which groups a response belongs by its tags, those that its content tells included."""

from dataclasses import replace
from typing import Any

import pytest
from admission.snapshots import ACCEPT, ACCOUNT, KEY, TTL, groups, make_request, make_route, prepare, seed_route

from gateway.admission.prepared import Prepared, group, is_of_tag
from gateway.admission.snapshot import KeySource, RefreshPolicy, Route, Share
from gateway.admission.tagging import Tag

ORDERS = "/orders?storeId=1&storeId=2"


def tagged(*tags: str, path: str = "/{rest:.*}", share: Share = Share.everyone, **changes: Any) -> Route:
    cache = replace(TTL, tags=tuple(map(Tag.parse, tags)), share=share, **changes.pop("cache", {}))
    return make_route(path, cache=cache, **changes)


def orders(*tags: str, target: str = ORDERS, **changes: Any) -> Prepared:
    return prepare(tagged(*tags, **changes), make_request(target))


def test_a_list_for_two_belongs_to_both() -> None:
    prepared = orders("store:{query.storeId}", "orders")
    assert prepared.tags == ("store:1", "store:2", "orders")
    assert groups(prepared) == ("api\n\nstore:1", "api\n\nstore:2", "api\n\norders")


def test_without_a_value_it_goes_by_path() -> None:
    prepared = orders("store:{query.storeId}", target="/orders")
    assert (prepared.tags, groups(prepared)) == ((), ("api\n\n/orders",))
    assert prepared.memberships() == ("api\n\n/orders", "api\n*\n/orders")


@pytest.mark.parametrize("prefix", ["", "/refresh"], ids=["get", "post"])
def test_a_refresh_has_the_tags_of_its_get(prefix: str) -> None:
    route = seed_route(cache=replace(TTL, tags=(Tag.parse("{query.include_offers:-none}:{id}"),)))
    method = "POST" if prefix else "GET"
    query = "" if prefix else "?force_refresh=1&include_offers=true"
    assert prepare(route, make_request(f"/v1/products/7{prefix}{query}", method)).tags == ("true:7",)


@pytest.mark.parametrize("name", ["api_key", "force_refresh", "utm"])
def test_what_tells_no_stored_responses_apart_is_in_no_tag(name: str) -> None:
    """Whoever is served the same stored response would else give it other tags; and a key is nobody's to read."""
    route = tagged(f"t:{{query.{name}}}", refresh=RefreshPolicy(("force_refresh",)), cache={"query_ignore": {"utm"}})
    value = {"api_key": KEY, "force_refresh": "1", "utm": "x"}[name]
    accept = (*ACCEPT, KeySource("query", "api_key"))
    assert prepare(route, make_request(f"/a?{name}={value}"), accept=accept).tags == ()


def test_content_tells_more_tags_within_the_scope_and_in_all() -> None:
    prepared = orders("s:{body.orders.storeId}", target="/orders", share=Share.key)
    assert prepared.reads_content
    assert prepared.memberships() == ("api\nk:ci\n/orders", "api\n*\n/orders")
    told = prepared.told_by(b'{"orders":[{"storeId":1},{"storeId":2}]}')
    assert told == ("s:1", "s:2")
    found = prepared.memberships(("named",), told)
    assert prepared.outdated(found) == ("api\nk:ci\ns:1", "api\nk:ci\ns:2")
    assert found[2:] == ("api\n*\n/orders", "api\n*\ns:1", "api\n*\ns:2", "api\n*\nnamed")


@pytest.mark.parametrize("content", [b'{"id":1}', b"{}"], ids=["told", "untold"])
@pytest.mark.parametrize("tags", [("p:{rest}", "b:{body.id}"), ("b:{body.id}",)], ids=["both", "content alone"])
def test_what_the_content_told_before_is_told_without_it(tags: tuple[str, ...], content: bytes) -> None:
    prepared = orders(*tags, target="/a", share=Share.organization)
    first = prepared.memberships(("former",), prepared.told_by(content))
    again = prepared.memberships(("later",), prepared.told_before(first))
    assert again == tuple([group.replace("former", "later") for group in first])


@pytest.mark.parametrize(
    ("route", "reads"),
    [
        (make_route("/a"), False),
        (tagged("a", "{query.b}", path="/a"), False),
        (tagged("a", "{body.b}", path="/a"), True),
        (make_route("/a", tokens_in_body=True), False),
    ],
    ids=["uncached", "head", "content", "tokens"],
)
def test_a_route_that_reads_content_asks_for_no_coding(route: Route, reads: bool) -> None:
    prepared = prepare(route, make_request("/a"))
    assert (prepared.reads_content, prepared.route.asks_identity) == (reads, reads or route.tokens_in_body)
    assert (prepared.told_by(b'{"b":1}') != ()) is reads


def test_a_preflight_has_no_query_and_no_tags() -> None:
    prepared = replace(orders("s:{query.storeId}"), key="", account=ACCOUNT)
    assert prepared.tags == ()


@pytest.mark.parametrize(
    ("of", "tells"),
    [
        (group("api", "product-1"), True),
        (group("api", "product-1", "k:alpha"), False),
        (group("api", "/v1/products/1"), False),
        (group("api", "two\nlines"), True),
        ("api", False),
    ],
)
def test_the_groups_of_tags_that_hold_in_all_scopes_are_told_from_the_others(of: str, *, tells: bool) -> None:
    assert is_of_tag(of) is tells
