"""What a request may ask for by its key, and allow itself to cost: refused before anything is spent or stored."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest
from admission.snapshots import (
    ACCOUNT,
    KEY,
    digest,
    make_request,
    make_route,
    make_snapshot,
    public_route,
    seed_route,
)

from gateway.admission.prepare import Preparer
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Account, Route, Scope
from gateway.errors import Problem, Reason
from gateway.rfc9111.demands import Demands

TEST_KEY = "rk_test_alpha"
ITEM = "/v1/products/1"
TESTING = {"Authorization": f"Bearer {TEST_KEY}"}
STORED_ONLY = Demands(only_if_cached=True, max_stale=float("inf"))


@contextmanager
def refusal(reason: Reason) -> Iterator[None]:
    with pytest.raises(Problem) as caught:
        yield
    assert caught.value.reason is reason


def preparer(*routes: Route, account: Account = ACCOUNT) -> Preparer:
    keys = {digest(key.encode()): account for key in (KEY, TEST_KEY)}
    return Preparer(make_snapshot(*(routes or (seed_route(),)), keys=keys))


@pytest.mark.parametrize(
    ("target", "method", "fields", "reason"),
    [
        pytest.param(ITEM, "GET", {"X-Max-Tokens": "0"}, Reason.over_max_tokens, id="a lookup above"),
        pytest.param(f"{ITEM}?force_refresh=1", "GET", {"X-Max-Tokens": "3"}, Reason.over_max_tokens, id="forced"),
        pytest.param(f"{ITEM}/refresh", "POST", {"X-Max-Tokens": "8"}, Reason.over_max_tokens, id="posted"),
        pytest.param(ITEM, "GET", {"X-Max-Tokens": "ten"}, Reason.malformed_request, id="no number"),
    ],
)
def test_more_than_the_request_allows(target: str, method: str, fields: Mapping[str, str], reason: Reason) -> None:
    with refusal(reason):
        preparer().prepare(make_request(target, method, fields))


def test_just_what_the_request_allows() -> None:
    prepared = preparer().prepare(make_request(f"{ITEM}/refresh", "POST", {"X-Max-Tokens": "9"}))
    assert prepared.max_tokens == 9
    assert prepared.for_request(prepared.request).max_tokens == 9


def test_nobody_is_bounded_where_nothing_is_charged() -> None:
    assert preparer(public_route()).prepare(make_request("/public/a", fields={"X-Max-Tokens": "x"})).max_tokens is None


@pytest.mark.parametrize(
    ("scope", "target", "method", "allowed"),
    [
        (Scope.lookup, ITEM, "GET", True),
        (Scope.lookup, f"{ITEM}?force_refresh=1", "GET", False),
        (Scope.lookup, f"{ITEM}/refresh", "POST", False),
        (Scope.refresh, ITEM, "GET", False),
        (Scope.refresh, f"{ITEM}/refresh", "POST", True),
        (Scope.background, ITEM, "GET", False),
    ],
)
def test_scopes(scope: Scope, target: str, method: str, allowed: bool) -> None:
    prepare, request = preparer(account=replace(ACCOUNT, scopes=frozenset({scope}))), make_request(target, method)
    if allowed:
        prepare.prepare(request)
    else:
        with refusal(Reason.insufficient_scope):
            prepare.prepare(request)


@pytest.mark.parametrize(
    ("target", "method"), [(ITEM, "GET"), (f"{ITEM}?force_refresh=1", "GET"), (f"{ITEM}/refresh", "POST")]
)
def test_a_test_key_looks_up_what_is_stored_whatever_it_asks(target: str, method: str) -> None:
    prepared = preparer().prepare(make_request(target, method, TESTING))
    assert (prepared.intent, prepared.demands, prepared.demanded_quote) == (Intent.lookup, STORED_ONLY, None)
    assert prepared.quote is not None
    assert (prepared.quote.forced, prepared.quote.surcharge) == (False, 0)
    assert "force_refresh" not in dict(prepared.quote.lines)


def test_a_test_key_finds_what_its_account_has_stored() -> None:
    prepare = preparer()
    assert prepare.prepare(make_request(ITEM, fields=TESTING)).key == prepare.prepare(make_request(ITEM)).key


@pytest.mark.parametrize("route", [make_route(), seed_route(methods=None)], ids=["uncached", "another method"])
def test_a_test_key_passes_nothing_on(route: Route) -> None:
    with refusal(Reason.not_stored):
        preparer(route).prepare(make_request(ITEM, "GET" if route.cache is None else "DELETE", TESTING))


def test_a_test_key_may_ask_what_is_allowed() -> None:
    fields = {**TESTING, "Max-Forwards": "0"}
    assert preparer(make_route()).prepare(make_request(ITEM, "OPTIONS", fields)).intent is Intent.own


def test_whose_own_resources_are_asked_for() -> None:
    asked = preparer().account_of(make_request("/-/balance"))
    assert asked == ACCOUNT
    with refusal(Reason.unknown_key):
        preparer().account_of(make_request("/-/balance", fields={"Authorization": "Bearer nobody"}))
