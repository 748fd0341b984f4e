"""What of a request's fields an upstream gets to see."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from admission.snapshots import KEY, TTL, make_request, make_route, make_snapshot, public_route, seed_route
from background.yard import REFRESH as BEGIN
from background.yard import background, begins
from multidict import CIMultiDict

from gateway.admission.cors import Cors
from gateway.admission.forwarding import LeftOut, dropped, forwarded, lasting
from gateway.admission.forwarding import left_out as reason
from gateway.admission.peers import WHENCE
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import CachePolicy, Route, UpstreamPolicy
from gateway.errors import Problem, Reason
from gateway.messages import Request
from gateway.rfc9111.stored import Policy

PURE = CachePolicy()
BEARER = f"Bearer {KEY}"


def sent_in_all(route: Route, request: Request, **changes: Any) -> dict[str, str]:
    """The fields that go on, names in lower case; none may be there twice."""
    snapshot = make_snapshot(route, **changes)
    fields = forwarded(Preparer(snapshot).prepare(request), snapshot)
    lower = {name.lower(): value for name, value in fields.items()}
    assert len(lower) == len(fields)
    return lower


def sent(route: Route, request: Request, **changes: Any) -> dict[str, str]:
    """The fields that go on, but those that say where the request comes from."""
    fields = sent_in_all(route, request, **changes)
    return {name: value for name, value in fields.items() if name not in WHENCE}


def at(method: str = "GET", fields: Mapping[str, str] | None = None) -> Request:
    return make_request("/v1/products/7", method, fields)


def test_what_lasts_of_a_request_is_nothing_secret_and_nothing_of_its_exchange() -> None:
    """It is written to disk, to be sent on later."""
    secret = {"X-Api-Key": KEY, "Cookie": "session=1", "Authorization": f"Bearer {KEY}", "Proxy-Authorization": "x"}
    passing = {"If-Match": '"e"', "Range": "bytes=0-", "X-Request-Id": "r", "Content-Length": "2"}
    passing |= {"X-Forwarded-For": "x", "If-None-Match": "*", "Idempotency-Key": "k", "X-Max-Tokens": "9"}
    kept = {"User-Agent": "x", "Content-Type": "text/plain", "X-Own": "1"}
    snapshot = make_snapshot(make_route())
    prepared = Preparer(snapshot).prepare(at("POST", {**secret, **passing, **kept}))
    assert dict(lasting(prepared, snapshot)) == kept


def test_end_to_end_fields_go_on() -> None:
    fields = {"user-agent": "x", "cookie": "c", "range": "bytes=0-", "if-match": '"e"', "content-type": "text/plain"}
    assert sent(make_route(), at("PUT", fields)) == fields | {"authorization": "Bearer upstream"}


HOP_BY_HOP = ["Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings"]
HOP_BY_HOP += ["Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info"]


@pytest.mark.parametrize("name", [*HOP_BY_HOP, "Host", "X-Api-Key"])
@pytest.mark.parametrize("credentials", ["gateway", "client"])
def test_hop_by_hop_fields_do_not(name: str, credentials: str) -> None:
    value = {"X-Api-Key": KEY, "Host": "gw.example"}.get(name, "x")
    names = sent(make_route(), at("PUT", {name: value}), credentials=credentials).keys()
    assert (name.lower() in names) is (name == "X-Api-Key" and credentials == "client")


@pytest.mark.parametrize(
    "name",
    [
        "Content_Length",
        "Transfer_Encoding",
        "Proxy_Connection",
        "X_Api_Key",
        "X_Forwarded_For",
        "X-Forwarded_Ssl",
        "If_None_Match",
        "X_Request_Id",
    ],
)
def test_what_an_upstream_may_take_for_such_a_field_does_not(name: str) -> None:
    names = sent_in_all(make_route(), at("PUT", {name: "x", "X_Other": "x"})).keys()
    assert (name.lower() in names, "x_other" in names) == (False, True)


def test_underscores_bring_no_field_to_the_upstream_that_is_not_keyed() -> None:
    assert "x_a" not in sent_in_all(make_route(forward=("X-A",), cache=TTL), at("GET", {"X_A": "1"}))


def test_what_connection_nominates_does_not() -> None:
    request = at("PUT", {"Connection": "X-Once, keep-alive", "X-Once": "1", "X-Twice": "2", "Expect": "100-continue"})
    assert sent(make_route(), request) == {"x-twice": "2", "authorization": "Bearer upstream"}


def test_repeated_fields_stay_repeated() -> None:
    request = at("PUT")
    request.fields = CIMultiDict([*request.fields.items(), ("X-A", "1"), ("X-A", "2"), ("x-a", "3")])
    snapshot = make_snapshot(make_route())
    assert forwarded(Preparer(snapshot).prepare(request), snapshot).getall("X-A") == ["1", "2", "3"]


def test_what_goes_on_of_one_request_tells_nothing_of_the_next_ones_values() -> None:
    snapshot = make_snapshot(make_route())
    for value in ("1", "2"):
        prepared = Preparer(snapshot).prepare(at("PUT", {"X-A": value, "Cookie": value}))
        fields = forwarded(prepared, snapshot)
        assert (fields["X-A"], fields["Cookie"]) == (value, value)


def test_the_same_names_mean_another_thing_from_a_trusted_proxy() -> None:
    snapshot = make_snapshot(make_route(), trusted_proxies=("10.0.0.0/8",))
    for peer, told in (("192.0.2.1", None), ("10.0.0.1", "8443"), ("192.0.2.1", None)):
        request = at("PUT", {"X-Forwarded-Port": "8443"})
        request.peer = peer
        assert forwarded(Preparer(snapshot).prepare(request), snapshot).get("X-Forwarded-Port") == told


def test_names_that_are_ever_new_are_not_remembered_without_end() -> None:
    snapshot = make_snapshot(make_route())
    for number in range(300):
        fields = forwarded(Preparer(snapshot).prepare(at("PUT", {f"X-{number}": "a"})), snapshot)
        assert fields[f"X-{number}"] == "a"
    many = {f"X-{number}": "a" for number in range(40)}
    other = make_snapshot(make_route())
    assert many.keys() <= forwarded(Preparer(other).prepare(at("PUT", many)), other).keys()
    assert [len(sieve.sifted) for known in (snapshot, other) for sieve in known.sieves.values()] == [256, 0]


def test_routes_made_for_each_fetch_leave_nothing_behind() -> None:
    snapshot = make_snapshot(make_route())
    prepared = Preparer(snapshot).prepare(at("PUT", {"X-A": "1"}))
    for _ in range(10):
        assert forwarded(replace(prepared, route=replace(prepared.route)), snapshot)["X-A"] == "1"
    assert len(snapshot.sieves) == 1


def test_a_nomination_strips_nothing_that_the_gateway_adds() -> None:
    request = at("PUT", {"Connection": "authorization, x-api-key"})
    assert sent(make_route(), request)["authorization"] == "Bearer upstream"


def test_the_upstreams_fields_replace_the_clients() -> None:
    upstream = UpstreamPolicy("api", ("http://up.example",), headers=(("X-Mode", "ours"), ("Key", "secret")))
    fields = sent(make_route(), at("PUT", {"x-mode": "theirs"}), upstreams={"api": upstream})
    assert fields == {"x-mode": "ours", "key": "secret"}


def test_nothing_that_could_be_taken_for_the_upstreams_fields_goes_beside_them() -> None:
    upstream = UpstreamPolicy("api", ("http://up.example",), headers=(("X-Secret-Key", "ours"),))
    fields = sent(make_route(), at("PUT", {"X_Secret_Key": "theirs"}), upstreams={"api": upstream})
    assert fields == {"x-secret-key": "ours"}


def test_two_fields_of_one_name_from_the_config_both_go_on() -> None:
    upstream = UpstreamPolicy("api", ("http://up.example",), headers=(("X-A", "1"), ("x-a", "2")))
    snapshot = make_snapshot(make_route(), upstreams={"api": upstream})
    assert forwarded(Preparer(snapshot).prepare(at("PUT", {"X-A": "0"})), snapshot).getall("X-A") == ["1", "2"]


@pytest.mark.parametrize("cache", [None, PURE, TTL], ids=["uncached", "pure", "ttl"])
def test_client_credentials_go_on(cache: CachePolicy | None) -> None:
    fields = sent(make_route(send_credentials=False, cache=cache), at("GET", {"X-Api-Key": KEY}), credentials="client")
    assert fields == {"authorization": BEARER, "x-api-key": KEY}


@pytest.mark.parametrize("cache", [None, PURE, TTL], ids=["uncached", "pure", "ttl"])
def test_authorization_passes_on_public_routes(cache: CachePolicy | None) -> None:
    assert sent(public_route(cache=cache), make_request("/public/a")) == {"authorization": BEARER}


def test_a_public_route_may_send_the_upstreams_credentials() -> None:
    fields = sent(public_route(send_credentials=True), make_request("/public/a"))
    assert fields == {"authorization": "Bearer upstream"}


MANY = {
    "Accept": "a/b",
    "Accept-Language": "de",
    "Accept-Encoding": "gzip",
    "traceparent": "00-1",
    "tracestate": "x=1",
    "User-Agent": "x",
    "Cookie": "c",
    "X-Request-Id": "r",
    "Cache-Control": "max-age=0",
    "If-None-Match": '"e"',
    "Range": "bytes=0-1",
    "Content-Type": "text/plain",
    "Content-Length": "0",
    "X-Version": "2",
    "X-Region": "eu",
}
DEFAULT = {"accept", "accept-language", "accept-encoding", "traceparent", "tracestate", "authorization"}
ALL = {name.lower() for name in MANY} | {"authorization"}
BY_TTL = {
    "ttl": Policy(ttl=1.0),
    "ttl of zero": Policy(ttl=0.0),
    "ttl_by_status": Policy(ttl_by_status={404: 60.0}),
    "override_origin": Policy(override_origin=True),
}


@pytest.mark.parametrize("policy", BY_TTL.values(), ids=BY_TTL)
def test_by_ttl_only_the_default_list_and_what_is_keyed_goes_on(policy: Policy) -> None:
    route = make_route(forward=("X-Version", "Range"), cache=CachePolicy(policy, vary_on=("x-region", "If-None-Match")))
    assert sent(route, at("GET", MANY)).keys() == DEFAULT | {"x-version", "x-region"}


def test_by_the_origins_terms_all_fields_go_on() -> None:
    assert sent(make_route(cache=PURE), at("GET", MANY)).keys() == ALL - {"content-length"}


def test_a_pass_on_a_cached_route_keeps_its_fields() -> None:
    assert sent(make_route(cache=TTL), at("PUT", MANY)).keys() == ALL


@pytest.mark.parametrize(("extra", "kept"), [({}, True), ({"Transfer-Encoding": "chunked"}, False)])
def test_the_length_goes_where_the_framing_stays(extra: dict[str, str], kept: bool) -> None:
    assert ("content-length" in sent(make_route(), at("PUT", {"Content-Length": "2"} | extra))) is kept


def test_tokens_in_the_body_need_the_whole_identity() -> None:
    route = make_route(cache=PURE, tokens_in_body=True)
    fields = sent(route, at("GET", MANY))
    assert fields["accept-encoding"] == "identity"
    assert fields.keys() == ALL - {"content-length", "range"}


def test_a_forced_fetch_is_unconditional() -> None:
    fields = sent(seed_route(cache=PURE), make_request("/v1/products/7?force_refresh", "GET", MANY))
    assert fields.keys() == ALL - {"content-length", "if-none-match", "range"}


def test_nothing_describes_the_content_that_a_refresh_leaves_behind() -> None:
    fields = sent(seed_route(cache=PURE), make_request("/v1/products/7/refresh", "POST", MANY, body=True))
    assert fields.keys() == ALL - {"content-length", "content-type", "if-none-match", "range"}


@pytest.mark.parametrize("value", ["\udcff", "a\nb", "a\rb", "\x00"])
def test_refuses_what_cannot_be_sent(value: str) -> None:
    with pytest.raises(Problem) as caught:
        sent(make_route(), at("PUT", {"X-A": value}))
    assert caught.value.reason is Reason.malformed_request


def test_what_does_not_go_on_may_be_anything() -> None:
    assert sent(make_route(cache=TTL), at("GET", {"X-A": "\udcff"})) == {"authorization": "Bearer upstream"}


def test_utf_8_goes_on() -> None:
    assert sent(make_route(), at("PUT", {"X-A": "é"}))["x-a"] == "é"


CLAIMS = {
    "Forwarded": "for=1.2.3.4",
    "X-Forwarded-For": "1.2.3.4",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
}


@pytest.mark.parametrize(
    ("trusted", "forwarded_for"), [((), "10.0.0.1"), (("10.0.0.0/8",), "1.2.3.4, 10.0.0.1")], ids=["nobody", "a proxy"]
)
@pytest.mark.parametrize(
    ("method", "cache"), [("GET", None), ("GET", PURE), ("PUT", TTL)], ids=["uncached", "pure", "written through"]
)
def test_the_upstream_is_told_where_it_comes_from(
    method: str, cache: CachePolicy | None, trusted: tuple[str, ...], forwarded_for: str
) -> None:
    request = at(method, CLAIMS)
    request.peer = "10.0.0.1"
    fields = sent_in_all(make_route(cache=cache), request, trusted_proxies=trusted)
    assert fields["x-forwarded-for"] == forwarded_for
    assert fields["forwarded"].endswith("for=10.0.0.1;host=gw.example;proto=http")
    assert fields.keys() >= WHENCE


@pytest.mark.parametrize("route", [make_route(), make_route(forward=("X-Forwarded-Prefix",), cache=TTL)])
@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",)], ids=["nobody", "a proxy"])
def test_only_a_trusted_proxy_tells_more_of_where_it_comes_from(route: Route, trusted: tuple[str, ...]) -> None:
    request = at("GET", {"X-Forwarded-Prefix": "/admin"})
    request.peer = "10.0.0.1"
    assert ("x-forwarded-prefix" in sent_in_all(route, request, trusted_proxies=trusted)) is bool(trusted)


@pytest.mark.parametrize("policy", BY_TTL.values(), ids=BY_TTL)
def test_by_ttl_nobody_is_told_who_asked_first(policy: Policy) -> None:
    route = make_route(forward=("X-Forwarded-For",), cache=CachePolicy(policy, vary_on=("Forwarded",)))
    request = at("GET", CLAIMS)
    request.peer = "10.0.0.1"
    assert WHENCE.isdisjoint(sent_in_all(route, request, trusted_proxies=("10.0.0.0/8",)))


def test_a_nomination_strips_nothing_of_where_it_comes_from() -> None:
    request = at("PUT", {"Connection": "Host, X-Forwarded-For, Forwarded, X-Forwarded-Host"})
    request.peer = "10.0.0.1"
    fields = sent_in_all(make_route(), request)
    assert (fields["x-forwarded-for"], fields["x-forwarded-host"]) == ("10.0.0.1", "gw.example")


def test_the_config_may_name_another_host() -> None:
    upstream = UpstreamPolicy("api", ("http://up.example",), headers=(("X-Forwarded-Host", "fixed.example"),))
    fields = sent_in_all(make_route(), at("GET"), upstreams={"api": upstream})
    assert fields["x-forwarded-host"] == "fixed.example"


def test_what_a_trusted_proxy_says_must_be_sendable() -> None:
    request = at("PUT", {"X-Forwarded-For": "\udcff"})
    request.peer = "10.0.0.1"
    with pytest.raises(Problem) as caught:
        sent_in_all(make_route(), request, trusted_proxies=("10.0.0.0/8",))
    assert caught.value.reason is Reason.malformed_request


def test_options_is_forwarded_once_less() -> None:
    assert sent(make_route(), at("OPTIONS", {"Max-Forwards": "07"}))["max-forwards"] == "6"
    assert sent(make_route(), at("GET", {"Max-Forwards": "07"}))["max-forwards"] == "07"


def left_out(route: Route, fields: Mapping[str, str], method: str = "GET") -> tuple[str, ...]:
    snapshot = make_snapshot(route)
    return dropped(Preparer(snapshot).prepare(at(method, fields)), snapshot)


NOT_NAMED = CLAIMS | {
    "Connection": "X-Once",
    "X-Once": "1",
    "TE": "trailers",
    "Expect": "100-continue",
    "X-Api-Key": KEY,
    "Via": "1.1 before",
    "X-Forwarded-Port": "1",
}


def test_what_is_left_out_by_ttl_is_named() -> None:
    route = make_route(forward=("X-Version",), cache=CachePolicy(Policy(ttl=1.0), vary_on=("x-region",)))
    named = ("content-type", "cookie", "origin", "user-agent")
    assert left_out(route, MANY | NOT_NAMED | {"Origin": "https://a.example"}) == named


def test_what_the_gateway_does_about_origins_is_not_named() -> None:
    route = make_route(cache=TTL, cors=Cors(frozenset({"*"})))
    assert left_out(route, {"Origin": "https://a.example", "X-A": "1"}) == ("x-a",)


@pytest.mark.parametrize(
    ("method", "cache"), [("GET", None), ("GET", PURE), ("PUT", TTL)], ids=["uncached", "pure", "written through"]
)
def test_where_all_goes_on_nothing_is_named(method: str, cache: CachePolicy | None) -> None:
    assert left_out(make_route(cache=cache), MANY, method) == ()


REFRESHED = seed_route(cache=PURE)
REASONS = {
    "hop by hop": (make_route(), "GET", {"TE": "x"}, "te", LeftOut.hop),
    "nominated": (make_route(), "GET", {"Connection": "x-a", "X-A": "1"}, "x-a", LeftOut.nominated),
    "credential": (make_route(), "GET", {"X-Api-Key": KEY}, "x-api-key", LeftOut.credential),
    "credential by another spelling": (make_route(), "GET", {"X_Api_Key": KEY}, "x_api_key", LeftOut.credential),
    "a claim": (make_route(), "GET", {"X-Forwarded-Port": "1"}, "x-forwarded-port", LeftOut.replaced),
    "unkeyed": (make_route(cache=TTL), "GET", {"Cookie": "c"}, "cookie", LeftOut.unkeyed),
    "content of a refresh": (REFRESHED, "POST", {"Content-Type": "a/b"}, "content-type", LeftOut.content),
    "its length": (REFRESHED, "POST", {"Content-Length": "0"}, "content-length", LeftOut.content),
    "a preference of a refresh": (seed_route(), "POST", {"Prefer": "respond-async"}, "prefer", LeftOut.heeded),
    "ours": (make_route(), "GET", {}, "host", LeftOut.replaced),
    "a condition": (make_route(cache=TTL), "GET", {"If-Match": "*"}, "if-match", LeftOut.heeded),
}


@pytest.mark.parametrize(("route", "method", "fields", "name", "why"), REASONS.values(), ids=REASONS)
def test_why_a_field_does_not_go_on(
    route: Route, method: str, fields: Mapping[str, str], name: str, why: LeftOut
) -> None:
    target = "/v1/products/7/refresh" if method == "POST" else "/v1/products/7"
    snapshot = make_snapshot(route)
    prepared = Preparer(snapshot).prepare(make_request(target, method, fields))
    assert name not in {sent.lower() for sent in forwarded(prepared, snapshot)} - {"authorization"}
    assert reason(name, prepared, snapshot) is why


def test_why_a_cookie_is_not_written_down() -> None:
    snapshot = make_snapshot(begins(background()))
    prepared = Preparer(snapshot).prepare(make_request(BEGIN, "POST", {"Cookie": "c"}))
    assert "Cookie" not in dict(lasting(prepared, snapshot))
    assert reason("cookie", prepared, snapshot) is LeftOut.unwritten
