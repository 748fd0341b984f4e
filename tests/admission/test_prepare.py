"""Preparing: refusals, intent, quote, the upstream's target and the cache key, from the seed's route outwards."""

from dataclasses import replace
from typing import Any

import pytest
from admission.snapshots import (
    ACCEPT,
    ACCOUNT,
    KEY,
    PRICE,
    REFRESH,
    TTL,
    make_request,
    make_route,
    make_snapshot,
    public_route,
    seed_route,
)
from multidict import CIMultiDict

from gateway.admission.patterns import Template
from gateway.admission.prepare import Intent, Prepared, Preparer
from gateway.admission.snapshot import CachePolicy, KeySource, Route, Share
from gateway.errors import Problem, Reason
from gateway.messages import Request

PRODUCT = "/v1/products/7"
CACHED = make_route("/{rest:.*}", cache=TTL)
BY_QUERY = (*ACCEPT, KeySource("query", "api_key"))


def prepare(route: Route, request: Request, **changes: Any) -> Prepared:
    return Preparer(make_snapshot(route, **changes)).prepare(request)


def refusal(route: Route, request: Request, **changes: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        prepare(route, request, **changes)
    return caught.value


def test_an_ordinary_lookup() -> None:
    request = make_request(f"{PRODUCT}?include_offers=true")
    route = seed_route()
    prepared = prepare(route, request)
    assert prepared.request is request
    assert (prepared.route, prepared.params, prepared.account) == (route, {"id": "7"}, ACCOUNT)
    assert prepared.intent is Intent.lookup
    assert prepared.quote is not None
    assert prepared.quote.total == 6
    assert prepared.target == f"{PRODUCT}?include_offers=true"
    assert prepared.key == f"api\n\n{PRODUCT}?include_offers=true"
    assert (prepared.groups, prepared.scope) == ((f"api\n\n{PRODUCT}",), "")


INTENTS = [
    ("GET", PRODUCT, Intent.lookup, 1),
    ("HEAD", f"{PRODUCT}?include_reviews", Intent.lookup, 6),
    ("GET", f"{PRODUCT}?force_refresh=0", Intent.lookup, 1),
    ("GET", f"{PRODUCT}?force_refresh", Intent.force_refresh, 4),
    ("HEAD", f"{PRODUCT}?include_force_refresh=true&force_refresh=no", Intent.force_refresh, 4),
    ("GET", f"{PRODUCT}?include_force_refresh=true&include_offers=1&include_reviews=1", Intent.force_refresh, 9),
    ("POST", f"{PRODUCT}/refresh", Intent.force_refresh, 9),
    ("POST", f"{PRODUCT}/refresh?force_refresh=no", Intent.force_refresh, 9),
    ("POST", f"{PRODUCT}/refresh?include_offers=0&include_reviews=0", Intent.force_refresh, 4),
    ("POST", f"{PRODUCT}?force_refresh=1&include_offers", Intent.pass_, 6),
]


@pytest.mark.parametrize(("method", "target", "intent", "total"), INTENTS)
def test_intent_and_quote(method: str, target: str, intent: Intent, total: int) -> None:
    prepared = prepare(seed_route(methods=None), make_request(target, method))
    assert prepared.intent is intent
    assert prepared.quote is not None
    assert prepared.quote.total == total
    assert prepared.quote.forced is (intent is Intent.force_refresh)


def test_without_a_cache_everything_passes() -> None:
    prepared = prepare(make_route(), make_request(PRODUCT, body=True))
    assert prepared.intent is Intent.pass_


def test_a_public_route_has_no_account_and_no_quote() -> None:
    prepared = prepare(public_route(cache=TTL), make_request("/public/a?api_key=x", key=None), accept=BY_QUERY)
    assert (prepared.account, prepared.quote, prepared.scope) == (None, None, "p:")
    assert prepared.target == "/public/a?api_key=x"


def test_what_is_fetched_without_credentials_is_kept_apart() -> None:
    """The public must not be served what the upstream's credentials, or a key, were for."""
    metered = prepare(make_route("/{rest:.*}", cache=TTL), make_request("/a"))
    public = prepare(public_route("/{rest:.*}", cache=TTL), make_request("/a", key=None))
    opened = prepare(public_route("/{rest:.*}", cache=TTL, send_credentials=True), make_request("/a", key=None))
    assert public.key != metered.key == opened.key
    assert set(public.groups).isdisjoint(metered.groups)


REFUSED = {
    "CONNECT": (make_request("h:443", "CONNECT"), Reason.not_implemented),
    "TRACE": (make_request("/", "TRACE"), Reason.not_implemented),
    "RFC 9112 §3.2.4": (make_request("*", "OPTIONS"), Reason.not_implemented),
    "RFC 9112 §3.2 another host": (make_request("http://other.example/v1/products/7"), Reason.malformed_request),
    "RFC 9112 §3.2 bad host": (make_request(PRODUCT, fields={"Host": "a b"}), Reason.malformed_request),
    "another port": (make_request("http://gw.example:81/v1/products/7"), Reason.malformed_request),
    "dot segment": (make_request("/v1/products/../7"), Reason.ambiguous_target),
    "no route": (make_request("/v2"), Reason.no_route),
    "method": (make_request(PRODUCT, "PUT"), Reason.method_not_allowed),
    "RFC 9110 §10.1.1": (make_request(PRODUCT, fields={"Expect": "100-continue, 200-ok"}), Reason.expectation_failed),
    "no key": (make_request(PRODUCT, key=None), Reason.missing_key),
    "price flag": (make_request(f"{PRODUCT}?include_offers=maybe"), Reason.bad_flag),
    "force flag": (make_request(f"{PRODUCT}?force_refresh=maybe"), Reason.bad_flag),
    "GET with content": (make_request(PRODUCT, body=True), Reason.unexpected_body),
    "forced GET with content": (make_request(f"{PRODUCT}?force_refresh", body=True), Reason.unexpected_body),
}


@pytest.mark.parametrize(("request_", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(request_: Request, reason: Reason) -> None:
    assert refusal(seed_route(), request_).reason is reason


def test_what_is_no_reason_to_refuse() -> None:
    assert prepare(seed_route(), make_request(f"{PRODUCT}/refresh", "POST", body=True)).target.startswith(PRODUCT)
    assert prepare(seed_route(), make_request(PRODUCT, fields={"Expect": "100-Continue"})).target == PRODUCT


def test_absolute_form_is_its_origin_form() -> None:
    prepared = prepare(seed_route(), make_request(f"HTTP://GW.example:80{PRODUCT}"))
    assert prepared.target == PRODUCT


@pytest.mark.parametrize("host", ["gw.example", "GW.example:8080"])
def test_hosts_with_and_without_port(host: str) -> None:
    assert prepare(CACHED, make_request("/", fields={"Host": host}), hosts=frozenset({"Gw.Example"})).target == "/"
    assert prepare(CACHED, make_request("/", fields={"Host": host}), hosts=frozenset({host})).target == "/"


def test_another_host_is_misdirected() -> None:
    hosts = frozenset({"gw.example:8080"})
    assert (
        refusal(CACHED, make_request("/", fields={"Host": "gw.example"}), hosts=hosts).reason
        is Reason.misdirected_request
    )


def test_a_bad_flag_is_none_without_refresh() -> None:
    prepared = prepare(seed_route(refresh=None), make_request(f"{PRODUCT}?force_refresh=maybe"))
    assert prepared.target == f"{PRODUCT}?force_refresh=maybe"


TARGETS = {
    "canonical": ("/%61?%62=%2f&&c", {}, "/a?b=%2F&c"),
    "ignored": ("/a?utm=1&x&UTM=2&utm", {"query_ignore": frozenset({"utm"})}, "/a?x&UTM=2"),
    "ignored, plain text in the config": ("/a?x[]=1", {"query_ignore": frozenset({"x[]"})}, "/a"),
    "unsorted": ("/a?b&a", {}, "/a?b&a"),
    "sorted, repeated ones in their order": ("/a?b=1&a=2&b=0", {"query_sort": True}, "/a?a=2&b=1&b=0"),
}


@pytest.mark.parametrize(("target", "cache", "expected"), TARGETS.values(), ids=TARGETS)
def test_target_and_key_are_one(target: str, cache: dict[str, Any], expected: str) -> None:
    prepared = prepare(make_route("/{rest:.*}", cache=replace(TTL, **cache)), make_request(target))
    assert prepared.target == expected
    assert prepared.key == f"api\n\n{expected}"


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
    assert get.groups == forced.groups == post.groups


def test_post_query_fills_in_what_is_left_out() -> None:
    refresh = replace(REFRESH, post_query=(("include_offers", "true"), ("q", "a b&c=d")))
    prepared = prepare(seed_route(refresh=refresh), make_request(f"{PRODUCT}/refresh?include_offers=no&x", "POST"))
    assert prepared.target == f"{PRODUCT}?include_offers=no&x&q=a%20b%26c%3Dd"


def test_what_a_forced_fetch_adds_is_not_in_the_key() -> None:
    route = seed_route(refresh=replace(REFRESH, upstream_query=(("nocache", "1"),)))
    forced = prepare(route, make_request(f"{PRODUCT}?nocache=0&force_refresh&a"))
    assert forced.target == f"{PRODUCT}?a&nocache=1"
    assert forced.key == f"api\n\n{PRODUCT}?nocache=0&a"
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
    assert prepared.groups == (f"api\n\n{expected}",)


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
    assert prepared.key == f"api\n{scope}\n/a"
    assert prepared.groups == (f"api\n{scope}\n/a",)


def test_tags_are_the_groups() -> None:
    tags = (Template.parse("product:{id}"), Template.parse("products"))
    prepared = prepare(make_route(cache=replace(TTL, tags=tags)), make_request(PRODUCT))
    assert prepared.groups == ("api\n\nproduct:7", "api\n\nproducts")


def test_the_group_of_a_pass_is_its_path() -> None:
    assert prepare(make_route(), make_request(PRODUCT, "PUT")).groups == (f"api\n\n{PRODUCT}",)


def keyed(*fields: tuple[str, str], forward: tuple[str, ...] = (), vary_on: tuple[str, ...] = ()) -> Prepared:
    request = make_request("/a")
    request.fields = CIMultiDict([*request.fields.items(), *fields])
    return prepare(make_route("/a", forward=forward, cache=replace(TTL, vary_on=vary_on)), request)


def test_keyed_fields() -> None:
    prepared = keyed(
        ("x-b", "2"), ("X-A", "1"), ("X-A", "3"), ("X-C", ""), forward=("X-B", "X-A"), vary_on=("x-a", "X-C", "X-D")
    )
    assert prepared.key == "api\n\n/a\nx-a:1, 3\nx-b:2\nx-c:"


def test_credentials_that_end_here_are_not_keyed() -> None:
    assert keyed(forward=("Authorization",)).key == "api\n\n/a"


@pytest.mark.parametrize("value", ["\udcff", "a\nb", "a\rb", "a\x00"])
def test_a_keyed_value_has_one_reading(value: str) -> None:
    with pytest.raises(Problem) as caught:
        keyed(("X-A", value), forward=("X-A",))
    assert caught.value.reason is Reason.malformed_request


def test_nominated_fields_are_gone_before_anything_is_keyed() -> None:
    prepared = keyed(("Connection", "close, X-A"), ("connection", "x-b"), ("X-A", "1"), ("X-B", "1"), forward=("X-A",))
    assert prepared.key == "api\n\n/a"
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
    assert prepared.key == "api\n\n/a?x"


def test_each_route_is_prepared_by_its_own_settings() -> None:
    routes = (seed_route(), make_route("/a", cache=CachePolicy(query_sort=True), price=replace(PRICE, base=2)))
    prepared = Preparer(make_snapshot(*routes)).prepare(make_request("/a?force_refresh&b&a"))
    assert prepared.target == "/a?a&b&force_refresh"
    assert prepared.quote is not None
    assert prepared.quote.total == 2


@pytest.mark.parametrize("target", ["http://gw.example/-/livez", "/%2D/livez", "/-/"])
def test_the_gateways_own_paths_never_go_on(target: str) -> None:
    with pytest.raises(Problem) as caught:
        Preparer(make_snapshot(make_route("/{rest:.*}"))).prepare(make_request(target))
    assert caught.value.reason is Reason.no_route
