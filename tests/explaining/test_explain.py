"""What would become of a request: the gateway's own answers to each question of its way, and no secret among them."""

from collections.abc import Mapping
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
    make_request,
    make_route,
    make_snapshot,
    public_route,
    seed_route,
)

from gateway.admission.cors import Cors
from gateway.admission.patterns import PathPattern
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import CachePolicy, ClientDirectives, KeySource, Route, Share, UpstreamPolicy
from gateway.admission.tagging import Tag
from gateway.explaining.explain import explain
from gateway.explaining.explanation import Caching, Caller, Explanation, PassedOver, Quoted, Sent
from gateway.messages import Request

PRODUCT = "/v1/products/7"
PURE = CachePolicy()
PRICED = replace(TTL, client_directives=ClientDirectives.price)


def told(*routes: Route, request: Request | None = None, **changes: Any) -> Explanation:
    return explain(Preparer(make_snapshot(*routes, **changes)), request or make_request(PRODUCT))


def of(fields: Mapping[str, str], *routes: Route, method: str = "GET", **changes: Any) -> Explanation:
    return told(*routes, request=make_request(PRODUCT, method, fields), **changes)


def test_the_route_and_why_not_an_earlier_one() -> None:
    others = [make_route("/a", name="one"), make_route(PRODUCT, name="two", host="x.example")]
    explained = told(*others, make_route(PRODUCT, name="three", methods=frozenset({"PUT"})), seed_route())
    assert explained.route == "product"
    assert explained.passed_over == (
        PassedOver("one", "another path"),
        PassedOver("two", "another host"),
        PassedOver("three", "another method"),
    )


def test_a_lookup() -> None:
    route = seed_route(cache=replace(TTL, share=Share.organization, tags=(Tag.parse("p:{id}"),)))
    explained = told(route, request=make_request(f"{PRODUCT}?include_offers"))
    assert (explained.host, explained.target, explained.intent) == ("gw.example", f"{PRODUCT}?include_offers", "lookup")
    assert explained.caller == Caller("ci", "acme", "pro", "ci")
    key = (IDENTITY, "o:acme", f"{PRODUCT}?include_offers")
    assert explained.caching == Caching("organization", key, ("p:7",), "fetch")
    assert explained.quote == Quoted((("base", 1), ("offers_reviews", 5)), 6)
    assert explained.directives is None


def test_a_force_refresh() -> None:
    refresh = replace(REFRESH, upstream_query=(("token", "s3cret"),), upstream_headers=(("X-Fresh", "s3cret"),))
    explained = told(seed_route(refresh=refresh), request=make_request(f"{PRODUCT}/refresh", "POST"))
    assert explained.intent == "force_refresh"
    assert explained.caching is not None
    assert explained.caching.outdates == (PRODUCT,)
    assert explained.quote == Quoted((("base", 1), ("offers_reviews", 5), ("force_refresh", 3)), 9)
    assert explained.onward is not None
    query = "include_offers=true&include_reviews=true&token=..."
    assert (explained.onward.method, explained.onward.url) == ("GET", f"http://up.example{PRODUCT}?{query}")
    assert Sent("X-Fresh", None, "refresh.upstream") in explained.onward.fields
    assert "s3cret" not in str(explained.model_dump())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://up.example", f"https://up.example{PRODUCT}"),
        ("https://up.example/", f"https://up.example{PRODUCT}"),
        ("https://up.example:8443/v2/s3cret/", f"https://up.example:8443/...{PRODUCT}"),
    ],
    ids=["none", "a slash", "a path"],
)
def test_the_path_of_the_upstreams_own_url_is_not_shown(url: str, shown: str) -> None:
    explained = told(seed_route(), upstreams={"api": UpstreamPolicy("api", (url,))})
    assert explained.onward is not None
    assert explained.onward.url == shown
    assert "s3cret" not in str(explained.model_dump())


REFUSED = {
    "no route": (make_request("/none"), "no_route", ("another path",), None),
    "method": (make_request(PRODUCT, "PUT"), "method_not_allowed", ("another method",), None),
    "no key": (make_request(PRODUCT, key=None), "missing_key", (), "product"),
    "target": (make_request("/v1//x"), "ambiguous_target", (), None),
    "a refresh of no path": (make_request("/v1/products/./refresh", "POST"), "ambiguous_target", (), None),
    "flag": (make_request(f"{PRODUCT}?force_refresh=maybe"), "bad_flag", (), "product"),
    "what cannot be sent on": (make_request(PRODUCT, fields={"Accept": "\udcff"}), "malformed_request", (), "product"),
}


@pytest.mark.parametrize(("request_", "reason", "passed_over", "route"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_explained(
    request_: Request, reason: str, passed_over: tuple[str, ...], route: str | None
) -> None:
    explained = told(seed_route(), request=request_)
    assert explained.refusal is not None
    assert explained.refusal.reason == reason
    assert tuple([passed.why for passed in explained.passed_over]) == passed_over
    assert explained.route == route
    assert explained.onward is None


def test_a_refusal_comes_with_its_fields() -> None:
    explained = told(seed_route(), request=make_request(PRODUCT, "PUT"))
    assert explained.refusal is not None
    assert (explained.refusal.status, explained.refusal.fields) == (405, (("Allow", "GET, HEAD"),))


def test_a_refresh_that_could_stand_for_no_get_names_no_route() -> None:
    refresh = replace(REFRESH, post=PathPattern.parse("/renew-{id}"))
    routes = (make_route("/a", name="first"), make_route("/{id}", cache=TTL, refresh=refresh))
    explained = told(*routes, request=make_request("/renew-..", "POST"))
    assert (explained.refusal is not None, explained.passed_over, explained.route) == (True, (), None)


def test_an_account_that_is_given_needs_no_key() -> None:
    explained = explain(Preparer(make_snapshot(seed_route())), make_request(PRODUCT, key=None), ACCOUNT)
    assert explained.caller is not None
    assert explained.caller.account == ACCOUNT.id


@pytest.mark.parametrize("target", ["/-/readyz", "/-/balance"])
def test_below_its_own_prefix_no_route_is_asked(target: str) -> None:
    explained = told(seed_route(), request=make_request(target))
    assert (explained.intent, explained.refusal, explained.passed_over) == ("own", None, ())


def test_a_test_key_that_finds_nothing_is_refused_for_that() -> None:
    account = replace(ACCOUNT, test=True)
    explained = explain(Preparer(make_snapshot(seed_route(cache=TTL))), make_request(PRODUCT, key=None), account)
    assert explained.caching is not None
    assert explained.caching.missing == "not_stored"


def test_what_the_gateway_answers_itself() -> None:
    fields = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    routes = (make_route("/a", name="first"), seed_route(cors=Cors(frozenset({"https://a.example"}))))
    explained = of(fields, *routes, method="OPTIONS")
    assert (explained.intent, explained.passed_over) == ("own", (PassedOver("first", "another path"),))
    assert explained.own is not None
    assert ("Access-Control-Allow-Origin", "https://a.example") in explained.own
    assert (explained.onward, explained.quote) == (None, None)


def test_a_page_that_may_not_call_is_refused() -> None:
    fields = {"Origin": "https://b.example", "Access-Control-Request-Method": "GET"}
    explained = of(fields, seed_route(cors=Cors(frozenset({"https://a.example"}))), method="OPTIONS")
    assert explained.refusal is not None
    assert explained.refusal.reason == "origin_not_allowed"


def test_what_passes_asks_no_cache() -> None:
    explained = of({"Cache-Control": "no-cache", "If-Match": "*"}, make_route(cache=TTL), method="PUT")
    assert (explained.intent, explained.caching, explained.answered_here) == ("pass", None, ())
    assert explained.directives is not None
    assert explained.directives.route == "pass"
    assert explained.onward is not None
    assert explained.onward.method == "PUT"


def test_on_a_public_route_nobody_is_charged() -> None:
    explained = told(public_route("/v1/{rest:.*}", cache=PURE), request=make_request(PRODUCT, key=None))
    assert (explained.caller, explained.quote) == (None, None)
    assert explained.caching is not None
    assert (explained.caching.share, explained.caching.key[1]) == ("public", "p:")


DEMANDS = {
    "max-age": ("max-age=1", ClientDirectives.price, (("max-age", 1.0),), "fetch", 4),
    "no-store": ("no-store", ClientDirectives.price, (("no-store", None),), "forced fetch", 4),
    "no-store for nothing": ("no-store", ClientDirectives.honour, (("no-store", None),), "fetch", None),
    "any staleness": ("max-stale", ClientDirectives.honour, (("max-stale", None),), "fetch", None),
    "zero": ("max-age=0", ClientDirectives.ignore, (("max-age", 0.0),), "fetch", None),
    "only what is stored": (
        "only-if-cached",
        ClientDirectives.honour,
        (("only-if-cached", None),),
        "only_if_cached",
        None,
    ),
}


@pytest.mark.parametrize(("value", "heeded", "demands", "missing", "forced"), DEMANDS.values(), ids=DEMANDS)
def test_what_its_directives_demand(
    value: str, heeded: ClientDirectives, demands: object, missing: str, forced: int | None
) -> None:
    explained = of({"Cache-Control": value}, seed_route(cache=replace(TTL, client_directives=heeded)))
    assert explained.directives is not None
    assert (explained.directives.demands, explained.directives.route) == (demands, heeded.value)
    assert explained.caching is not None
    assert explained.caching.missing == missing
    assert explained.quote is not None
    assert (explained.quote.total, explained.quote.forced) == (1, forced)


def test_what_is_forced_already_is_forced_no_more() -> None:
    request = make_request(f"{PRODUCT}?force_refresh", fields={"Cache-Control": "no-cache"})
    explained = told(seed_route(cache=PRICED), request=request)
    assert explained.quote is not None
    assert (explained.quote.total, explained.quote.forced) == (4, None)


CONDITIONS = {"If-None-Match": '"a"', "Range": "bytes=0-1", "If-Range": '"a"'}
ANSWERED = {
    "all": (make_route(cache=TTL), tuple(CONDITIONS)),
    "tokens in the body": (make_route(cache=TTL, tokens_in_body=True), ("If-None-Match",)),
    "uncached": (make_route(), ()),
}


@pytest.mark.parametrize(("route", "names"), ANSWERED.values(), ids=ANSWERED)
def test_what_is_answered_by_what_is_stored(route: Route, names: tuple[str, ...]) -> None:
    assert of(CONDITIONS, route).answered_here == names


METHODS = {
    "HEAD by ttl": (seed_route(), "HEAD", "GET"),
    "HEAD on a pure route": (make_route(cache=PURE), "HEAD", "HEAD"),
    "pass": (make_route(), "HEAD", "HEAD"),
}


@pytest.mark.parametrize(("route", "method", "sent"), METHODS.values(), ids=METHODS)
def test_the_method_that_the_upstream_gets(route: Route, method: str, sent: str) -> None:
    onward = of({}, route, method=method).onward
    assert onward is not None
    assert onward.method == sent


def test_a_range_goes_on_where_the_origin_alone_decides() -> None:
    onward = of({"Range": "bytes=0-1"}, make_route(cache=PURE)).onward
    assert onward is not None
    assert Sent("Range", "bytes=0-1", "client") in onward.fields


MANY = {
    "Accept": "text/html",
    "Cookie": "session=s3cret",
    "Connection": "X-Once",
    "X-Once": "1",
    "If-None-Match": '"a"',
    "Via": "1.1 before",
    "X-Request-Id": "mine",
}


def test_fields_by_ttl() -> None:
    onward = of(MANY, seed_route(tokens_in_body=True)).onward
    assert onward is not None
    assert onward.fields == (
        Sent("Accept", "text/html", "client"),
        Sent("Accept-Encoding", None, "gateway"),
        Sent("Authorization", None, "upstream"),
        Sent("X-Request-Id", "mine", "client"),
        Sent("Via", None, "gateway"),
    )
    assert [name for name, _ in onward.left_out] == [
        "Host",
        "Authorization",
        "Cookie",
        "Connection",
        "X-Once",
        "If-None-Match",
        "Via",
    ]


def test_fields_where_all_go_on() -> None:
    onward = of(MANY, public_route("/v1/{rest:.*}")).onward
    assert onward is not None
    shown = {field.name: field.value for field in onward.fields if field.source == "client"}
    assert shown == {
        "Authorization": None,
        "Accept": "text/html",
        "Cookie": None,
        "If-None-Match": '"a"',
        "Via": "1.1 before, 1.1 gateway",
        "X-Request-Id": "mine",
    }
    assert [name for name, _ in onward.left_out] == ["Host", "Connection", "X-Once"]


SECRETS = {
    "query": make_request(f"{PRODUCT}?api_key={KEY}&a=1&api_key", key=None),
    "query spelled otherwise": make_request(f"{PRODUCT}?%61pi_key={KEY}", key=None),
    "field": make_request(PRODUCT, fields={"X-Api-Key": KEY}),
    "refused": make_request(f"/v2?api_key={KEY}"),
}
ROUTES = {
    "gateway's credentials": (seed_route(cache=PURE), "gateway"),
    "client's credentials": (make_route(cache=TTL, forward=("x-api-key",), send_credentials=False), "client"),
    "uncached": (make_route(send_credentials=False), "client"),
    "public": (public_route("/v1/{rest:.*}", cache=TTL, forward=("X-Api-Key",)), "gateway"),
}


@pytest.mark.parametrize("request_", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(("route", "credentials"), ROUTES.values(), ids=ROUTES)
def test_no_secret_is_shown(request_: Request, route: Route, credentials: str) -> None:
    accept = (*ACCEPT, KeySource("query", "api_key"))
    explained = told(route, request=request_, accept=accept, credentials=credentials)
    assert KEY not in str(explained.model_dump())
    assert "Bearer upstream" not in str(explained.model_dump())


@pytest.mark.parametrize(("value", "goes_on"), [("no-store", True), ("no-cache", False)])
def test_directives_go_on_where_they_force_the_fetch(value: str, goes_on: bool) -> None:
    onward = of({"Cache-Control": value}, seed_route(cache=PRICED)).onward
    assert onward is not None
    assert (Sent("Cache-Control", value, "client") in onward.fields) is goes_on
