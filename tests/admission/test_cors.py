"""What browsers are told of a route's `cors`: preflights, and what every answer carries."""

from collections.abc import Mapping

import pytest
from admission.snapshots import make_request

from gateway.admission.cors import (
    UPSTREAMS,
    Cors,
    answer_fields,
    answer_lines,
    asked_method,
    is_preflight,
    preflight_fields,
)
from gateway.answers.limits import TOKEN_FIELDS
from gateway.errors import Problem, Reason
from gateway.messages import Request

APP = "https://app.example.com"
NAMED = Cors(frozenset({APP, "http://localhost:5173"}))
EVERY = Cors(frozenset({"*", APP}))
VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def preflight(origin: str = APP, method: str = "GET", wanted: str | None = None) -> Request:
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    return make_request(
        "/a", "OPTIONS", fields | ({} if wanted is None else {"Access-Control-Request-Headers": wanted})
    )


@pytest.mark.parametrize(
    ("method", "fields", "asks"),
    [
        ("OPTIONS", {"Origin": APP, "Access-Control-Request-Method": "GET"}, True),
        ("OPTIONS", {"Origin": APP}, False),
        ("OPTIONS", {"Access-Control-Request-Method": "GET"}, False),
        ("GET", {"Origin": APP, "Access-Control-Request-Method": "GET"}, False),
    ],
    ids=["whole", "no method asked for", "no origin", "no OPTIONS"],
)
def test_what_a_preflight_is(method: str, fields: Mapping[str, str], asks: bool) -> None:
    assert is_preflight(make_request("/a", method, fields)) is asks


def test_the_method_asked_for() -> None:
    assert asked_method(preflight(method="PURGE")) == "PURGE"


@pytest.mark.parametrize(
    ("cors", "origin", "allowed"),
    [
        (NAMED, APP, APP),
        (NAMED, "http://localhost:5173", "http://localhost:5173"),
        (EVERY, APP, "*"),
        (EVERY, "https://other.example", "*"),
        (EVERY, "null", "*"),
    ],
    ids=["named", "named with port", "every", "every other", "every sandboxed"],
)
def test_an_allowed_origin(cors: Cors, origin: str, allowed: str) -> None:
    told = dict(preflight_fields(cors, preflight(origin), frozenset({"GET", "HEAD"})))
    assert told == {
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Allow-Methods": "GET, HEAD",
        "Access-Control-Max-Age": "600",
        "Vary": VARY,
    }


REFUSED = {
    "another": "https://other.example",
    "below": "https://x.app.example.com",
    "longer": f"{APP}.evil.example",
    "another scheme": "http://app.example.com",
    "another port": f"{APP}:8443",
    "sandboxed": "null",
    "two": f"{APP}, {APP}",
}


@pytest.mark.parametrize("origin", REFUSED.values(), ids=REFUSED)
def test_any_other_origin(origin: str) -> None:
    with pytest.raises(Problem) as caught:
        preflight_fields(NAMED, preflight(origin), None)
    assert caught.value.reason is Reason.origin_not_allowed
    assert caught.value.reason.status == 403
    assert answer_fields(NAMED, origin) == (("Vary", "Origin"),)


def test_where_any_method_goes_the_asked_one_does() -> None:
    assert dict(preflight_fields(NAMED, preflight(method="PUT"), None))["Access-Control-Allow-Methods"] == "PUT"


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [("authorization,x-api-key", "authorization, x-api-key"), ("x-a", "x-a"), ("", None), (None, None)],
)
def test_the_fields_asked_for_are_allowed(wanted: str | None, allowed: str | None) -> None:
    told = dict(preflight_fields(NAMED, preflight(wanted=wanted), None))
    assert told.get("Access-Control-Allow-Headers") == allowed


@pytest.mark.parametrize("wanted", ["a b", "a,,b", "a:b", "é", "a,"])
def test_what_is_no_field_name_is_refused(wanted: str) -> None:
    with pytest.raises(Problem) as caught:
        preflight_fields(NAMED, preflight(wanted=wanted), None)
    assert caught.value.reason is Reason.malformed_request


@pytest.mark.parametrize("method", ["", "GE T", "GET\udcff"])
def test_what_is_no_method_is_refused(method: str) -> None:
    with pytest.raises(Problem) as caught:
        preflight_fields(EVERY, preflight(method=method), None)
    assert caught.value.reason is Reason.malformed_request


@pytest.mark.parametrize(("cors", "varies"), [(NAMED, True), (EVERY, False)], ids=["named", "every"])
def test_every_answer_can_be_read_by_an_allowed_page(cors: Cors, varies: bool) -> None:
    told = dict(answer_fields(cors, APP))
    assert told["Access-Control-Allow-Origin"] == cors.allows(APP)
    exposed = {name.lower() for name in told["Access-Control-Expose-Headers"].split(", ")}
    assert exposed > TOKEN_FIELDS | {"age", "cache-status", "etag", "retry-after", "x-request-id"}
    assert ("Vary" in told) is varies


def test_an_answer_to_no_page_varies_all_the_same() -> None:
    assert answer_fields(NAMED, None) == (("Vary", "Origin"),)
    assert dict(answer_fields(EVERY, None))["Access-Control-Allow-Origin"] == "*"


def test_lines() -> None:
    assert answer_lines(NAMED, None) == b"Vary: Origin\r\n"
    assert answer_lines(NAMED, APP).startswith(f"Access-Control-Allow-Origin: {APP}\r\nAccess-".encode())


def test_what_the_gateway_says_is_not_said_twice() -> None:
    said = {
        name.lower() for name, _ in (*answer_fields(NAMED, APP), *preflight_fields(NAMED, preflight(wanted="a"), None))
    }
    assert said - {"vary"} < UPSTREAMS
