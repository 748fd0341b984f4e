"""Preparing: OPTIONS that the gateway answers itself, and what a page may read of a refusal."""

import pytest
from admission.snapshots import make_request, make_route, prepare, seed_route

from gateway.admission.cors import Cors
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Route
from gateway.errors import Problem, Reason
from gateway.messages import Request

PRODUCT = "/v1/products/7"
APP = "https://app.example.com"
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "GET"}
FOR_PAGES = seed_route(cors=Cors(frozenset({APP})))


def refusal(route: Route, request: Request) -> Problem:
    with pytest.raises(Problem) as caught:
        prepare(route, request)
    return caught.value


def test_a_preflight_needs_neither_key_nor_method() -> None:
    prepared = prepare(FOR_PAGES, make_request(PRODUCT, "OPTIONS", PREFLIGHT, key=None))
    assert (prepared.intent, prepared.account, prepared.quote) == (Intent.own, None, None)


@pytest.mark.parametrize("route", [make_route(), FOR_PAGES], ids=["without cors", "without Origin"])
def test_other_options_are_like_any_method(route: Route) -> None:
    fields = {"Access-Control-Request-Method": "GET"} | ({} if route.cors else {"Origin": APP})
    request = make_request(PRODUCT, "OPTIONS", fields, key=None)
    assert refusal(route, request).reason is (Reason.method_not_allowed if route.cors else Reason.missing_key)


@pytest.mark.parametrize(("origin", "readable"), [(APP, True), ("https://other.example", False)])
def test_a_page_can_read_why_it_is_refused(origin: str, readable: bool) -> None:
    problem = refusal(FOR_PAGES, make_request(PRODUCT, "GET", {"Origin": origin}, key=None))
    told = dict(problem.fields)
    assert problem.reason is Reason.missing_key
    assert ("Access-Control-Allow-Origin" in told) is readable
    assert {"WWW-Authenticate", "Vary"} <= told.keys()


@pytest.mark.parametrize(("left", "intent"), [("0", Intent.own), ("1", Intent.pass_)])
def test_options_that_have_come_far_enough_end_here(left: str, intent: Intent) -> None:
    assert prepare(make_route(), make_request(PRODUCT, "OPTIONS", {"Max-Forwards": left})).intent is intent
    assert prepare(make_route(), make_request(PRODUCT, "PUT", {"Max-Forwards": left})).intent is Intent.pass_
