"""Preparing: refusals, intent, quote, the upstream's target and the cache key, from the seed's route outwards."""

from dataclasses import replace
from typing import Any

import pytest
from admission.snapshots import (
    ACCEPT,
    ACCOUNT,
    IDENTITY,
    PRICE,
    TTL,
    groups,
    make_request,
    make_route,
    make_snapshot,
    prepare,
    public_route,
    seed_route,
)

from gateway.admission.forwarding import forwarded
from gateway.admission.prepare import Preparer
from gateway.admission.provision import Intent
from gateway.admission.snapshot import CachePolicy, KeySource, Route, Share
from gateway.errors import Problem, Reason
from gateway.messages import Request
from gateway.rfc9111.stored import Policy

PRODUCT = "/v1/products/7"
CACHED = make_route("/{rest:.*}", cache=TTL)
PROXIES = ("10.0.0.0/8",)
BY_QUERY = (*ACCEPT, KeySource("query", "api_key"))


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
    assert prepared.key == f"{IDENTITY}\n\n{PRODUCT}?include_offers=true"
    assert (groups(prepared), prepared.scope) == ((f"api\n\n{PRODUCT}",), "")


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
    assert set(groups(public)).isdisjoint(groups(metered))


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


@pytest.mark.parametrize(
    ("request_", "asker"),
    [
        pytest.param(
            make_request(f"{PRODUCT}?force_refresh=maybe"), (ACCOUNT.id, ACCOUNT.organization), id="known key"
        ),
        pytest.param(make_request(PRODUCT, key=None), None, id="no key"),
        pytest.param(make_request(PRODUCT, key="rk_live_nobody"), None, id="unknown key"),
        pytest.param(make_request("/nowhere"), None, id="no route"),
    ],
)
def test_a_refusal_names_who_asked_once_the_key_was_recognised(
    request_: Request, asker: tuple[str, str] | None
) -> None:
    assert refusal(seed_route(), request_).asker == asker


def test_a_refusal_on_a_public_route_names_nobody() -> None:
    route = public_route("/v1/products/{id}", cache=TTL)
    problem = refusal(route, make_request(PRODUCT, body=True))
    assert (problem.reason, problem.asker) == (Reason.unexpected_body, None)


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


@pytest.mark.parametrize(
    ("policy", "trusted", "peer", "keyed"),
    [
        (Policy(), (), "10.0.0.1", ["Host"]),
        (Policy(), PROXIES, "10.0.0.1", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"]),
        (Policy(), PROXIES, "192.0.2.1", ["Host"]),
        (Policy(ttl=60.0), PROXIES, "10.0.0.1", []),
    ],
    ids=["pure", "a-believed-proxy", "past-the-proxies", "ttl"],
)
def test_the_uri_asked_for_is_keyed_where_the_upstream_is_told(
    policy: Policy, trusted: tuple[str, ...], peer: str, keyed: list[str]
) -> None:
    preparer = Preparer(make_snapshot(make_route(cache=CachePolicy(policy)), trusted_proxies=trusted))

    def key(**fields: str) -> str:
        return preparer.prepare(replace(make_request(PRODUCT, fields=fields), peer=peer)).key

    asked = ("Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "Forwarded")
    assert [name for name in asked if key(**{name: "other.example"}) != key()] == keyed


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/a", "GW.Example"),
        ("/a", "gw.example:80"),
        ("/a", "gw.example."),
        ("http://gw.example/a", "gw.example"),
        ("HTTP://GW.EXAMPLE:80/a", "Gw.example."),
    ],
)
def test_one_host_is_one_key_and_told_in_one_way(target: str, host: str) -> None:
    snapshot = make_snapshot(public_route("/a", cache=CachePolicy()))
    plain, other = make_request("/a"), make_request(target, fields={"Host": host})
    one, two = (Preparer(snapshot).prepare(request) for request in (plain, other))
    assert one.key == two.key
    assert forwarded(one, snapshot) == forwarded(two, snapshot)


LIKE: dict[str, tuple[str, str, bool]] = {
    "path": (PRODUCT, "/v1/products/8", True),
    "spelled": (PRODUCT, "/v1/products/%38", True),
    "query": (f"{PRODUCT}?b=1&a=2&a=1", "/v1/products/8?utm=3&c", True),
    "one-flag": (f"{PRODUCT}?include_offers", "/v1/products/8?x&include_offers=1", True),
    "no-flag": (PRODUCT, "/v1/products/8?include_offers=0", True),
    "another-flag": (f"{PRODUCT}?include_offers", "/v1/products/8?include_reviews", False),
    "forced": (PRODUCT, f"{PRODUCT}?force_refresh", False),
    "another-route": (PRODUCT, "/elsewhere", False),
}


@pytest.mark.parametrize("scope", ["everyone", "key"])
@pytest.mark.parametrize(("known", "target", "alike"), LIKE.values(), ids=LIKE)
def test_what_seeks_the_same_elsewhere_is_prepared_as_it_would_be(
    known: str, target: str, alike: bool, scope: str
) -> None:
    cache = replace(TTL, share=Share[scope], vary_on=("X-Api-Version",), query_ignore=frozenset({"utm"}))
    preparer = Preparer(make_snapshot(seed_route(cache=replace(cache, query_sort=True)), CACHED))
    one, other = [make_request(each, fields={"X-Api-Version": "2"}) for each in (known, target)]
    before, after = preparer.sought(one), preparer.sought(other)
    assert ((before.matched.place, before.on) == (after.matched.place, after.on)) is alike
    if alike:
        prepared, anew = preparer.prepare(one), preparer.prepare(other)
        assert preparer.like(prepared, other, anew.account, after) == anew
        assert preparer.like(replace(prepared, account=None), other, anew.account, after) == anew


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (f"{PRODUCT}?include_offers=maybe", Reason.bad_flag),
        ("/a//b", Reason.ambiguous_target),
        ("/%2D/livez", Reason.no_route),
    ],
)
def test_what_is_sought_is_refused_as_the_request_is(target: str, reason: Reason) -> None:
    with pytest.raises(Problem) as caught:
        Preparer(make_snapshot(seed_route())).sought(make_request(target))
    assert caught.value.reason is reason
