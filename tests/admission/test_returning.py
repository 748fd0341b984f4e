"""Returning: a stored response's request is made again, whatever the routes, for exactly its key or not at all."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from admission.snapshots import (
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
from hypothesis import assume, given
from hypothesis import strategies as st
from stores.samples import sample

from gateway.admission.forwarding import forwarded
from gateway.admission.jobs import Sending, Target
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.returning import Returning, prepared
from gateway.admission.snapshot import Account, CachePolicy, RefreshPolicy, Route, Scope, Share, Snapshot
from gateway.errors import Problem
from gateway.messages import Request
from gateway.rfc9111.selecting import matches, selecting
from gateway.rfc9111.stored import StoredResponse

PURE = CachePolicy()
ITEM = "/v1/products/1"


def stored_for(made: Prepared, snapshot: Snapshot, vary: str = "") -> StoredResponse:
    return sample(made.key, selecting=selecting([vary], forwarded(made, snapshot)))


def returned(request: Request, *routes: Route, vary: str = "", **changes: Any) -> Target | None:
    """What is made of the stored response that the request got."""
    snapshot = make_snapshot(*routes, **changes)
    preparer = Preparer(snapshot)
    return Returning(preparer).target_of(stored_for(preparer.prepare(request), snapshot, vary))


def anybody(scope: str) -> Account | None:
    return {"k:ci": ACCOUNT, "o:acme": ACCOUNT}.get(scope)


def rest(path: str = "/{rest:.*}", **changes: Any) -> Route:
    return make_route(path, **{"cache": TTL} | changes)


@pytest.mark.parametrize(
    ("route", "asked", "target"),
    [
        (seed_route(), ITEM, ITEM),
        (seed_route(), f"{ITEM}?b&a=%2f&force_refresh=1", f"{ITEM}?b&a=%2F"),
        (seed_route(), f"{ITEM}?", f"{ITEM}?"),
        (rest("/shop/{rest:.*}", strip_prefix="/shop"), "/shop/a?b", "/shop/a?b"),
        (rest(strip_prefix="/shop"), "/shop", "/shop/"),
        (rest("/shop", strip_prefix="/shop"), "/shop", "/shop"),
        (rest(strip_prefix="/shop"), "/other", "/shop/other"),
        (rest("/other", strip_prefix="/shop"), "/other", "/other"),
        (rest(cache=replace(TTL, query_sort=True, query_ignore=frozenset({"utm"}))), "/a?b&utm=1&a", "/a?a&b"),
    ],
)
def test_the_target_is_one_that_is_stored_there(route: Route, asked: str, target: str) -> None:
    found = returned(make_request(asked), route)
    assert found == Target("", Sending("GET", target, (("host", "any"),)))


def test_it_comes_by_the_scheme_that_the_gateway_is_reached_by() -> None:
    found = returned(make_request(ITEM), seed_route(), scheme="https")
    assert found == Target("", Sending("GET", ITEM, (("host", "any"),), scheme="https"))


def test_a_post_that_refreshed_is_the_get_it_stands_for() -> None:
    found = returned(make_request(f"{ITEM}/refresh", "POST"), seed_route())
    assert found is not None
    assert found.sending.target == f"{ITEM}?include_offers=true&include_reviews=true"
    assert found.sending.method == "GET"


@pytest.mark.parametrize(
    ("share", "scope"), [(Share.everyone, ""), (Share.organization, "o:acme"), (Share.key, "k:ci")], ids=str
)
def test_it_is_for_the_scope_that_it_is_stored_in(share: Share, scope: str) -> None:
    route = rest(cache=replace(TTL, share=share))
    found = returned(make_request("/a"), route)
    assert found is not None
    assert found.scope == scope
    preparer = Preparer(make_snapshot(route))
    made = prepared(preparer, found, anybody)
    assert made is not None
    assert (made.scope, made.intent, made.key) == (scope, Intent.lookup, preparer.prepare(make_request("/a")).key)
    assert (prepared(preparer, found, lambda _: None) is None) is (scope != "")


def test_what_the_public_gets_it_gets_without_an_account() -> None:
    route = public_route(cache=PURE)
    found = returned(make_request("/public/a", key=None), route)
    assert found is not None
    made = prepared(Preparer(make_snapshot(route)), found, lambda _: None)
    assert made is not None
    assert (made.scope, made.account) == ("p:", None)


@pytest.mark.parametrize("changes", [{"test": True}, {"scopes": frozenset({Scope.background})}], ids=["test", "scopes"])
def test_an_account_only_says_whose_scope_it_is(changes: dict[str, Any]) -> None:
    preparer = Preparer(make_snapshot(rest(cache=replace(TTL, share=Share.key))))
    found = Target("k:ci", Sending("GET", "/a", (("host", "any"),)))
    made = prepared(preparer, found, lambda _: replace(ACCOUNT, **changes))
    assert made is not None
    assert (made.intent, made.demands) == (Intent.lookup, None)


def test_fields_are_those_of_the_key_and_of_vary() -> None:
    fields = {"X-A": "1", "X-B": "", "Accept": "b;q=0.5, A", "Accept-Language": "", "User-Agent": "not asked of"}
    route = rest(forward=("X-A",), cache=replace(TTL, vary_on=("x-b",)))
    found = returned(make_request("/a", fields=fields), route, vary="Accept, X-A, X-C, Accept-Language")
    assert found is not None
    assert sorted(found.sending.fields) == [
        ("accept", "a, b;q=0.5"),
        ("accept-language", ""),
        ("host", "any"),
        ("x-a", "1"),
        ("x-b", ""),
    ]


@pytest.mark.parametrize(
    ("route", "hosts", "asked", "host"),
    [
        (rest(cache=PURE), (), "gw.example", "gw.example"),
        (rest(cache=PURE), ("a.example", "gw.example"), "gw.example", "gw.example"),
        (rest(), ("b.example", "a.example"), "b.example", "a.example"),
        (rest(host="*.example"), (), "gw.example", "any.example"),
        (rest(host="*.example"), ("a.test", "b.example"), "b.example", "b.example"),
        (rest(host="gw.example:81"), (), "gw.example:81", "gw.example:81"),
    ],
)
def test_the_host_is_one_that_the_route_is_for(route: Route, hosts: tuple[str, ...], asked: str, host: str) -> None:
    found = returned(make_request("/a", fields={"Host": asked}), route, hosts=frozenset(hosts))
    assert found is not None
    assert found.sending.fields == (("host", host),)


def test_a_route_that_an_earlier_one_takes_the_path_from_is_not_asked() -> None:
    """The next that leads to the same is; where none does there is no target."""
    taken = rest(strip_prefix="/shop", name="taken")
    snapshot = make_snapshot(taken)
    stored = stored_for(Preparer(snapshot).prepare(make_request("/shop/a")), snapshot)
    uncached = make_route("/{rest:.*}")
    assert Returning(Preparer(make_snapshot(uncached, taken))).target_of(stored) is None
    other = rest("/other/{rest:.*}", strip_prefix="/other")
    found = Returning(Preparer(make_snapshot(other, uncached, taken))).target_of(stored)
    assert found is not None
    assert found.sending.target == "/other/a"


@pytest.mark.parametrize(
    ("fields", "route", "vary", "changes"),
    [
        ({}, rest(cache=replace(TTL, share=Share.everyone)), "", {"credentials": "client"}),
        ({}, rest(forward=("authorization",)), "", {"credentials": "client"}),
        ({"Cookie": "a=b"}, rest(forward=("cookie",)), "", {}),
        ({"Cookie": "a=b"}, rest(cache=PURE), "Cookie", {}),
        ({"Authorization": "Basic eDp5"}, public_route(path="/{rest:.*}", cache=PURE), "Authorization", {}),
        ({}, rest(), "*", {}),
        ({"Cache-Control": "no-cache"}, rest(cache=PURE), "Cache-Control", {}),
        ({"If-None-Match": '"e"'}, rest(cache=PURE), "If-None-Match", {}),
        ({}, rest(cache=PURE), "X-Forwarded-For", {}),
    ],
    ids=[
        "clients-credentials",
        "credentials-keyed",
        "cookie-keyed",
        "cookie-selects",
        "authorization-selects",
        "star",
        "directives-select",
        "preconditions-select",
        "whence-selects",
    ],
)
def test_where_none_can_be_made(fields: dict[str, str], route: Route, vary: str, changes: dict[str, Any]) -> None:
    request = replace(make_request("/a", fields=fields), peer="192.0.2.1")
    assert returned(request, route, vary=vary, **changes) is None


@pytest.mark.parametrize("fields", [{"X-Forwarded-Host": "shop.example"}, {}], ids=["claims", "none"])
def test_what_a_believed_proxy_says_is_only_made_again_where_it_is_not_keyed(fields: dict[str, str]) -> None:
    request = replace(make_request("/a", fields=fields), peer="10.0.0.1")
    found = returned(request, rest(cache=PURE), trusted_proxies=("10.0.0.0/8",))
    assert (found is None) is bool(fields)


def test_a_field_of_the_upstreams_own_selects_and_is_not_kept() -> None:
    found = returned(make_request("/a"), rest(), vary="Authorization")
    assert found is not None
    assert found.sending.fields == (("host", "any"),)


@pytest.mark.parametrize("key", ["odd", "gone#1\n\n/a", "{key}\n206", "{key}\nx-a:1"])
def test_a_key_that_no_request_has_leads_nowhere(key: str) -> None:
    preparer = Preparer(make_snapshot(rest()))
    known = preparer.prepare(make_request("/a")).key
    assert Returning(preparer).target_of(sample(key.format(key=known))) is None


CHANGED: dict[str, list[Route]] = {
    "gone": [],
    "uncached": [make_route("/{rest:.*}")],
    "a-flag-now": [rest(refresh=RefreshPolicy(query=("b",)))],
    "another-scope": [rest(cache=replace(TTL, share=Share.key))],
    "public": [rest(public=True, send_credentials=False, price=None)],
}


@pytest.mark.parametrize("routes", CHANGED.values(), ids=CHANGED)
def test_a_target_is_nothing_once_the_config_knows_it_as_something_else(routes: list[Route]) -> None:
    found = returned(make_request("/a?b"), rest())
    assert found is not None
    assert prepared(Preparer(make_snapshot(*routes)), found, anybody) is None


PARTS = ["shop", "v1", "a", "b.json", "%C3%A9", "a%2Cb"]
PAIRS = ["a=1", "a", "b=", "utm=1", "force_refresh=1", "include_offers=1", "=", "x%20y=%26"]
FIELDS = {
    "Accept": st.sampled_from(["a, b;q=0.5", "B;q=1.0,a", "", "*/*"]),
    "Accept-Language": st.sampled_from(["de", "EN"]),
    "User-Agent": st.sampled_from(["x (y, z)", "y"]),
    "X-A": st.sampled_from(["1", "", "a  b,c", "é"]),
    "Cache-Control": st.sampled_from(["max-age=0", "no-store"]),
    "Connection": st.sampled_from(["X-A", "keep-alive"]),
    "Range": st.just("bytes=0-1"),
}
REQUESTS = st.builds(
    lambda method, parts, query, fields, host: make_request(
        "/" + "/".join(parts) + ("?" + "&".join(query) if query else ""), method, {**fields, "Host": host}
    ),
    st.sampled_from(["GET", "HEAD"]),
    st.lists(st.sampled_from(PARTS), max_size=3),
    st.lists(st.sampled_from(PAIRS), max_size=3),
    st.fixed_dictionaries({}, optional=FIELDS),
    st.sampled_from(["a.example", "b.example:8080", "c.test"]),
)
CACHES = st.builds(
    lambda ttl, share, ignore, sort, vary_on: CachePolicy(
        TTL.policy if ttl else PURE.policy, share, query_ignore=ignore, query_sort=sort, vary_on=vary_on
    ),
    st.booleans(),
    st.sampled_from(Share),
    st.sampled_from([frozenset[str](), frozenset({"utm"})]),
    st.booleans(),
    st.sampled_from([(), ("x-a",), ("accept",)]),
)


def _route(access: str, path: str, changes: Mapping[str, Any]) -> Route:
    public = {"public": True, "send_credentials": access == "open", "price": None, "refresh": None}
    return make_route(path, **{**changes, **(public if access != "key" else {})})


ROUTES = st.builds(
    _route,
    st.sampled_from(["key", "public", "open"]),
    st.sampled_from(["/{rest:.*}", "/shop/{rest:.*}", "/v1/{id}", "/{a}/{b}.json", "/shop"]),
    st.fixed_dictionaries(
        {
            "cache": st.one_of(CACHES, CACHES, CACHES, st.none()),
            "host": st.sampled_from(["*", "*.example", "a.example", "c.test"]),
            "strip_prefix": st.sampled_from(["", "/shop", "/v1", "/shop/v1"]),
            "methods": st.sampled_from([None, frozenset({"GET", "HEAD"})]),
            "price": st.just(PRICE),
            "refresh": st.sampled_from([None, replace(REFRESH, post=None)]),
            "forward": st.sampled_from([(), ("X-A",)]),
        }
    ),
)
HOSTS = st.sampled_from([frozenset[str](), frozenset({"a.example", "b.example:8080", "c.test"})])
VARY = st.sampled_from(["", "Accept", "X-A, Accept-Language", "User-Agent", "Accept, X-None"])


@given(st.lists(ROUTES, max_size=3), REQUESTS, HOSTS, VARY)
def test_the_way_back_leads_to_the_same_key(
    routes: list[Route], request: Request, hosts: frozenset[str], vary: str
) -> None:
    snapshot = make_snapshot(*routes, rest(name="last", cache=PURE), hosts=hosts)
    preparer = Preparer(snapshot)
    try:
        made = preparer.prepare(request)
    except Problem:
        assume(False)
    assume(made.intent in (Intent.lookup, Intent.force_refresh))
    stored = stored_for(made, snapshot, vary)
    found = Returning(preparer).target_of(stored)
    assert found is not None
    assert KEY not in repr(found)
    again = prepared(preparer, found, anybody)
    assert again is not None
    assert (again.key, again.scope, again.intent) == (made.key, made.scope, Intent.lookup)
    assert matches(stored.selecting, forwarded(again, snapshot))
