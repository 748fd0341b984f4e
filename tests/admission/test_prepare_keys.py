"""Preparing: the upstream's target, the cache key and the groups, one canonical form for all three."""

from dataclasses import replace
from typing import Any

import pytest
from admission.snapshots import (
    ACCEPT,
    ACCOUNT,
    IDENTITY,
    KEY,
    REFRESH,
    TTL,
    groups,
    make_request,
    make_route,
    make_snapshot,
    prepare,
    seed_route,
)
from multidict import CIMultiDict

from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import KeySource, Share, UpstreamPolicy
from gateway.admission.tagging import Tag
from gateway.errors import Problem, Reason

PRODUCT = "/v1/products/7"
CACHED = make_route("/{rest:.*}", cache=TTL)
BY_QUERY = (*ACCEPT, KeySource("query", "api_key"))


TARGETS = {
    "canonical": ("/%61?%62=%2f&&c", {}, "/a?b=%2F&&c"),
    "ignored": ("/a?utm=1&x&UTM=2&utm", {"query_ignore": frozenset({"utm"})}, "/a?x&UTM=2"),
    "ignored, plain text in the config": ("/a?x[]=1", {"query_ignore": frozenset({"x[]"})}, "/a"),
    "unsorted": ("/a?b&a", {}, "/a?b&a"),
    "sorted, repeated ones in their order": ("/a?b=1&a=2&b=0", {"query_sort": True}, "/a?a=2&b=1&b=0"),
}


@pytest.mark.parametrize(("target", "cache", "expected"), TARGETS.values(), ids=TARGETS)
def test_target_and_key_are_one(target: str, cache: dict[str, Any], expected: str) -> None:
    prepared = prepare(make_route("/{rest:.*}", cache=replace(TTL, **cache)), make_request(target))
    assert prepared.target == expected
    assert prepared.key == f"{IDENTITY}\n\n{expected}"


def test_a_pass_keeps_its_query() -> None:
    cache = replace(TTL, query_ignore=frozenset({"utm"}), query_sort=True)
    prepared = prepare(make_route("/a", cache=cache, refresh=REFRESH_ALL), make_request("/a?b&utm&force&a", "PUT"))
    assert prepared.target == "/a?b&utm&force&a"


REFRESH_ALL = replace(REFRESH, query=("force",), post=None)


def test_a_refresh_is_keyed_as_its_get() -> None:
    route = seed_route()
    get = prepare(route, make_request(f"{PRODUCT}?include_offers=true&include_reviews=true"))
    forced = prepare(route, make_request(f"{PRODUCT}?include_offers=true&force_refresh=1&include_reviews=true"))
    post = prepare(route, make_request(f"{PRODUCT}/refresh", "POST"))
    assert get.key == forced.key == post.key
    assert get.target == forced.target == post.target
    assert get.memberships() == forced.memberships() == post.memberships()


def test_post_query_fills_in_what_is_left_out() -> None:
    refresh = replace(REFRESH, post_query=(("include_offers", "true"), ("q", "a b&c=d")))
    prepared = prepare(seed_route(refresh=refresh), make_request(f"{PRODUCT}/refresh?include_offers=no&x", "POST"))
    assert prepared.target == f"{PRODUCT}?include_offers=no&x&q=a%20b%26c%3Dd"


def test_what_a_forced_fetch_adds_is_not_in_the_key() -> None:
    route = seed_route(refresh=replace(REFRESH, upstream_query=(("nocache", "1"),)))
    forced = prepare(route, make_request(f"{PRODUCT}?nocache=0&force_refresh&a"))
    assert forced.target == f"{PRODUCT}?a&nocache=1"
    assert forced.key == f"{IDENTITY}\n\n{PRODUCT}?nocache=0&a"
    lookup = prepare(route, make_request(f"{PRODUCT}?nocache=0"))
    assert lookup.target == f"{PRODUCT}?nocache=0"


@pytest.mark.parametrize(
    ("prefix", "path", "expected"),
    [
        ("/api", "/api/v1", "/v1"),
        ("/api/", "/api/v1", "/v1"),
        ("/%61pi", "/api/v1", "/v1"),
        ("/api", "/api", "/"),
        ("/api", "/apis/v1", "/apis/v1"),
        ("/", "/v1", "/v1"),
        ("", "/v1", "/v1"),
    ],
)
def test_strip_prefix(prefix: str, path: str, expected: str) -> None:
    prepared = prepare(make_route("/{rest:.*}", strip_prefix=prefix, cache=TTL), make_request(path))
    assert (prepared.target, prepared.path) == (expected, expected)
    assert groups(prepared) == (f"api\n\n{expected}",)


def test_strip_prefix_is_a_path() -> None:
    with pytest.raises(ValueError, match="begins with /"):
        Preparer(make_snapshot(make_route(strip_prefix="api")))


def test_the_routes_name_is_no_part_of_the_key() -> None:
    assert prepare(replace(CACHED, name="x"), make_request("/a")).key == prepare(CACHED, make_request("/a")).key


@pytest.mark.parametrize(
    ("share", "scope"), [(Share.everyone, ""), (Share.organization, "o:acme"), (Share.key, "k:ci")], ids=str
)
def test_share_scope(share: Share, scope: str) -> None:
    prepared = prepare(make_route("/a", cache=replace(TTL, share=share)), make_request("/a"))
    assert prepared.scope == scope
    assert prepared.key == f"{IDENTITY}\n{scope}\n/a"
    assert groups(prepared) == (f"api\n{scope}\n/a",)


def test_tags_are_the_groups() -> None:
    tags = (Tag.parse("product:{id}"), Tag.parse("products"))
    prepared = prepare(make_route(cache=replace(TTL, tags=tags)), make_request(PRODUCT))
    assert groups(prepared) == ("api\n\nproduct:7", "api\n\nproducts")


def test_the_group_of_a_pass_is_its_path() -> None:
    assert groups(prepare(make_route(), make_request(PRODUCT, "PUT"))) == (f"api\n\n{PRODUCT}",)


def keyed(*fields: tuple[str, str], forward: tuple[str, ...] = (), vary_on: tuple[str, ...] = ()) -> Prepared:
    request = make_request("/a")
    request.fields = CIMultiDict([*request.fields.items(), *fields])
    return prepare(make_route("/a", forward=forward, cache=replace(TTL, vary_on=vary_on)), request)


def test_keyed_fields() -> None:
    prepared = keyed(
        ("x-b", "2"), ("X-A", "1"), ("X-A", "3"), ("X-C", ""), forward=("X-B", "X-A"), vary_on=("x-a", "X-C", "X-D")
    )
    assert prepared.key == f"{IDENTITY}\n\n/a\nx-a:1, 3\nx-b:2\nx-c:"


def test_credentials_that_end_here_are_not_keyed() -> None:
    assert keyed(forward=("Authorization",)).key == f"{IDENTITY}\n\n/a"


@pytest.mark.parametrize("value", ["\udcff", "a\nb", "a\rb", "a\x00"])
def test_a_keyed_value_has_one_reading(value: str) -> None:
    with pytest.raises(Problem) as caught:
        keyed(("X-A", value), forward=("X-A",))
    assert caught.value.reason is Reason.malformed_request


def test_nominated_fields_are_gone_before_anything_is_keyed() -> None:
    prepared = keyed(("Connection", "close, X-A"), ("connection", "x-b"), ("X-A", "1"), ("X-B", "1"), forward=("X-A",))
    assert prepared.key == f"{IDENTITY}\n\n/a"
    assert "X-A" not in prepared.request.fields
    assert "X-B" not in prepared.request.fields
    assert prepared.account is ACCOUNT


def test_a_nominated_key_still_counts() -> None:
    assert keyed(("Connection", "authorization")).account is ACCOUNT


def test_persistence_alone_changes_nothing() -> None:
    request = make_request("/a", fields={"Connection": "keep-alive"})
    assert prepare(CACHED, request).request is request


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(("credentials", "sent"), [("gateway", "/a?x"), ("client", f"/a?api_key={KEY}&x")])
def test_a_key_in_the_query(method: str, credentials: str, sent: str) -> None:
    """It goes where the client's credentials go, and never into a cache key."""
    request = make_request(f"/a?api_key={KEY}&x", method, key=None)
    prepared = prepare(CACHED, request, accept=BY_QUERY, credentials=credentials)
    assert prepared.account is ACCOUNT
    assert prepared.target == sent
    assert prepared.key == f"{IDENTITY}\n\n/a?x"


def test_host_cannot_be_nominated() -> None:
    request = make_request("/a", "PUT", {"Connection": "Host, X-Once", "X-Once": "1"})
    assert set(prepare(make_route("/a"), request).request.fields) == {"Host", "Authorization", "Connection"}


@pytest.mark.parametrize("key", [None, "unknown", KEY])
def test_an_account_that_is_given_is_whose_request_it_is(key: str | None) -> None:
    given = replace(ACCOUNT, id="given")
    shared = make_route("/a", cache=replace(TTL, share=Share.key))
    prepared = Preparer(make_snapshot(shared)).prepare(make_request("/a", key=key), given)
    assert (prepared.account, prepared.scope) == (given, "k:given")


def test_a_public_route_has_no_account_even_where_one_is_given() -> None:
    prepared = Preparer(make_snapshot(make_route("/a", public=True, price=None))).prepare(make_request("/a"), ACCOUNT)
    assert prepared.account is None


def test_another_url_of_the_upstream_is_another_api() -> None:
    """After a change of the config, what the former one answered must not be served."""
    former, other = (
        Preparer(make_snapshot(make_route("/a", cache=TTL), upstreams={"api": UpstreamPolicy("api", (url,))}))
        for url in ("http://one.test", "http://two.test")
    )
    assert former.prepare(make_request("/a")).key != other.prepare(make_request("/a")).key
