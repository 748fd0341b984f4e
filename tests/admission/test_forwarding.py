"""What of a request's fields an upstream gets to see."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from admission.snapshots import KEY, REFRESH, TTL, make_request, make_route, make_snapshot, public_route, seed_route
from multidict import CIMultiDict

from gateway.admission.forwarding import forwarded
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import CachePolicy, Route, UpstreamPolicy
from gateway.errors import Problem, Reason
from gateway.messages import Request
from gateway.rfc9111.stored import Policy

PURE = CachePolicy()
BEARER = f"Bearer {KEY}"


def sent(route: Route, request: Request, **changes: Any) -> dict[str, str]:
    """The fields that go on, names in lower case; none may be there twice."""
    snapshot = make_snapshot(route, **changes)
    fields = forwarded(Preparer(snapshot).prepare(request), snapshot)
    lower = {name.lower(): value for name, value in fields.items()}
    assert len(lower) == len(fields)
    return lower


def at(method: str = "GET", fields: Mapping[str, str] | None = None) -> Request:
    return make_request("/v1/products/7", method, fields)


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


def test_what_connection_nominates_does_not() -> None:
    request = at("PUT", {"Connection": "X-Once, keep-alive", "X-Once": "1", "X-Twice": "2", "Expect": "100-continue"})
    assert sent(make_route(), request) == {"x-twice": "2", "authorization": "Bearer upstream"}


def test_repeated_fields_stay_repeated() -> None:
    request = at("PUT")
    request.fields = CIMultiDict([*request.fields.items(), ("X-A", "1"), ("X-A", "2")])
    snapshot = make_snapshot(make_route())
    assert forwarded(Preparer(snapshot).prepare(request), snapshot).getall("X-A") == ["1", "2"]


def test_a_nomination_strips_nothing_that_the_gateway_adds() -> None:
    request = at("PUT", {"Connection": "authorization, x-api-key"})
    assert sent(make_route(), request)["authorization"] == "Bearer upstream"


def test_the_upstreams_fields_replace_the_clients() -> None:
    upstream = UpstreamPolicy("api", ("http://up.example",), headers=(("X-Mode", "ours"), ("Key", "secret")))
    fields = sent(make_route(), at("PUT", {"x-mode": "theirs"}), upstreams={"api": upstream})
    assert fields == {"x-mode": "ours", "key": "secret"}


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
    route = seed_route(cache=PURE, refresh=replace(REFRESH, upstream_headers=(("X-Bypass", "1"), ("X-Version", "3"))))
    fields = sent(route, make_request("/v1/products/7?force_refresh", "GET", MANY))
    assert fields.keys() == (ALL | {"x-bypass"}) - {"content-length", "if-none-match", "range"}
    assert (fields["cache-control"], fields["x-bypass"], fields["x-version"]) == ("no-cache", "1", "3")


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
