"""Requests as they are written down to be made again: no credentials, and the same request or none."""

from typing import Any

import pytest
from admission.snapshots import KEY, TTL, make_request, make_route, make_snapshot, public_route, seed_route
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.admission.jobs import Sending
from gateway.admission.prepare import Preparer
from gateway.admission.repeating import LOST, again, kept
from gateway.admission.snapshot import CachePolicy, KeySource, Route
from gateway.errors import Problem, Reason
from gateway.messages import Request

ITEM = "/v1/products/7"
IN_QUERY = (KeySource("query", "api_key"), KeySource("header", "X-Api-Key"))
PURE = CachePolicy()


def written(request: Request, route: Route | None = None, **changes: Any) -> Sending:
    preparer = Preparer(make_snapshot(route or seed_route(), **changes))
    return kept(preparer.prepare(request), preparer)


KEPT: dict[str, tuple[Request, Route, dict[str, Any], Sending]] = {
    "a GET": (
        make_request(f"{ITEM}?b&a=%41&force_refresh", fields={"Accept": "text/html", "X-Own": "1"}),
        seed_route(),
        {},
        Sending("GET", f"{ITEM}?b&a=A&force_refresh", (("Host", "gw.example"), ("Accept", "text/html"))),
    ),
    "a POST": (
        make_request(f"{ITEM}/refresh", "POST", {"Content-Type": "text/plain", "Accept": "a/b"}),
        seed_route(),
        {},
        Sending("POST", f"{ITEM}/refresh", (("Host", "gw.example"), ("Accept", "a/b"))),
    ),
    "a key in the query": (
        make_request(f"{ITEM}?a=1&api%5Fkey={KEY}", key=None),
        seed_route(),
        {"accept": IN_QUERY},
        Sending("GET", f"{ITEM}?a=1", (("Host", "gw.example"),)),
    ),
    "nothing else in the query": (
        make_request(f"{ITEM}?api_key={KEY}", key=None),
        seed_route(),
        {"accept": IN_QUERY},
        Sending("GET", ITEM, (("Host", "gw.example"),)),
    ),
    "in absolute form": (
        make_request(f"https://GW.example:443{ITEM}", fields={"Host": "gw.example"}),
        seed_route(),
        {},
        Sending("GET", ITEM, (("Host", "gw.example"),), scheme="https"),
    ),
    "a field that is keyed": (
        make_request(ITEM, fields={"X-Version": "2", "Prefer": "respond-async"}),
        seed_route(forward=("X-Version",)),
        {},
        Sending("GET", ITEM, (("Host", "gw.example"), ("X-Version", "2"))),
    ),
    "all fields, on a pure route": (
        make_request(ITEM, fields={"X-Own": "1", "Prefer": "respond-async", "Cache-Control": "no-cache"}),
        make_route(cache=PURE),
        {},
        Sending("GET", ITEM, (("Host", "gw.example"), ("X-Own", "1"))),
    ),
    "on a public route": (
        make_request("/public/a", key=None),
        public_route(cache=TTL),
        {},
        Sending("GET", "/public/a", (("Host", "gw.example"),)),
    ),
}


@pytest.mark.parametrize(("request_", "route", "changes", "sending"), KEPT.values(), ids=KEPT)
def test_what_is_kept(request_: Request, route: Route, changes: dict[str, Any], sending: Sending) -> None:
    assert written(request_, route, **changes) == sending


LOSING: dict[str, tuple[Request, Route, dict[str, Any]]] = {
    "the client's key goes on": (make_request(ITEM), seed_route(send_credentials=False), {"credentials": "client"}),
    "the client's key goes on in the query": (
        make_request(f"{ITEM}?api_key={KEY}", key=None),
        seed_route(),
        {"credentials": "client", "accept": IN_QUERY},
    ),
    "Authorization on a public route": (make_request("/public/a"), public_route(cache=TTL), {}),
    "what is a key elsewhere": (
        make_request("/public/a?api_key=1", key=None),
        public_route(cache=TTL),
        {"accept": IN_QUERY},
    ),
    "a cookie that goes on": (make_request(ITEM, fields={"Cookie": "a=b"}), make_route(cache=PURE), {}),
    "a cookie that is keyed": (
        make_request(ITEM, fields={"Cookie": "a=b"}),
        seed_route(forward=("Cookie",)),
        {},
    ),
    "a preference that is keyed": (
        make_request(ITEM, fields={"Prefer": "respond-async"}),
        seed_route(forward=("Prefer",)),
        {},
    ),
    "a proxy's word that is keyed": (
        Request("GET", ITEM, CIMultiDict({"Host": "a", "X-Api-Key": KEY, "X-Forwarded-Host": "b"}), peer="10.0.0.1"),
        make_route(cache=PURE),
        {"trusted_proxies": ("10.0.0.0/8",)},
    ),
}


@pytest.mark.parametrize(("request_", "route", "changes"), LOSING.values(), ids=LOSING)
def test_what_would_be_another_request_is_lost(request_: Request, route: Route, changes: dict[str, Any]) -> None:
    assert written(request_, route, **changes) == LOST


def test_a_cookie_that_reaches_nobody_is_no_loss() -> None:
    sending = written(make_request(ITEM, fields={"Cookie": "a=b"}))
    assert sending == Sending("GET", ITEM, (("Host", "gw.example"),))


def test_what_another_config_refuses_is_lost() -> None:
    prepared = Preparer(make_snapshot(seed_route())).prepare(make_request(ITEM))
    later = Preparer(make_snapshot(make_route("/elsewhere")))
    assert kept(prepared, later) == LOST


def test_what_cannot_be_sent_on_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        written(make_request(ITEM, fields={"Accept": "\udcff"}))
    assert refused.value.reason is Reason.malformed_request


SECRET = "s3cr3t"
NAMES = st.sampled_from(["Authorization", "X-Api-Key", "Proxy-Authorization", "Cookie", "Accept", "X-Own", "Prefer"])


@given(st.lists(NAMES, unique=True), st.booleans(), st.sampled_from(["gateway", "client"]), st.booleans())
def test_no_credential_is_ever_written_down(names: list[str], pure: bool, credentials: str, in_query: bool) -> None:
    secret = {"Accept": "a/b", "X-Own": "1", "Prefer": "respond-async"}
    fields = {"Host": "gw.example"} | {name: secret.get(name, SECRET) for name in names}
    target = f"{ITEM}?key={SECRET}" if in_query else ITEM
    route = make_route(cache=PURE if pure else TTL, forward=("X-Own", "Cookie"))
    accept = (KeySource("header", "X-Api-Key"), KeySource("query", "key"))
    preparer = Preparer(make_snapshot(route, credentials=credentials, accept=accept))
    account = next(iter(preparer.snapshot.keys.values()))
    sending = kept(preparer.prepare(Request("GET", target, CIMultiDict(fields)), account), preparer)
    assert SECRET not in repr(sending)
    if sending != LOST:
        repeated = preparer.prepare(again(sending), account)
        assert repeated.target == preparer.prepare(Request("GET", target, CIMultiDict(fields)), account).target
