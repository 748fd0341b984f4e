"""OPTIONS that end at the gateway."""

from typing import Any

import pytest
from admission.snapshots import REFRESH, make_request, make_route
from multidict import CIMultiDict

from gateway.admission.cors import Cors
from gateway.admission.options import max_forwards, own_fields
from gateway.errors import Problem, Reason

READ = frozenset({"GET", "HEAD"})


@pytest.mark.parametrize(
    ("method", "value", "left"),
    [
        ("OPTIONS", "0", 0),
        ("OPTIONS", "007", 7),
        ("OPTIONS", "70", 70),
        ("OPTIONS", "0" * 20 + "5", 5),
        ("OPTIONS", "0" * 20, 0),
        ("OPTIONS", "99999999999999999999999", 255),
        ("OPTIONS", None, None),
        ("GET", "0", None),
        ("GET", "x", None),
    ],
)
def test_max_forwards(method: str, value: str | None, left: int | None) -> None:
    assert max_forwards(method, CIMultiDict({} if value is None else {"Max-Forwards": value})) == left


@pytest.mark.parametrize("values", [["-1"], ["1.5"], [""], ["x"], ["²"], ["1", "1"], ["1, 2"]])
def test_what_is_no_one_number_is_refused(values: list[str]) -> None:
    with pytest.raises(Problem) as caught:
        max_forwards("OPTIONS", CIMultiDict([("Max-Forwards", value) for value in values]))
    assert caught.value.reason is Reason.malformed_request


@pytest.mark.parametrize(
    ("route", "allowed"),
    [
        ({"methods": READ}, "GET, HEAD"),
        ({"methods": READ, "refresh": REFRESH}, "GET, HEAD, POST"),
        ({"methods": None}, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ],
    ids=["read only", "with a refresh", "any"],
)
def test_allow(route: dict[str, Any], allowed: str) -> None:
    assert own_fields(make_request("/a", "OPTIONS"), make_route(**route)) == (("Allow", allowed),)


@pytest.mark.parametrize(("methods", "allowed"), [(READ, "GET, HEAD, POST"), (None, "DELETE")], ids=["read", "any"])
def test_a_preflight_is_told_the_methods(methods: frozenset[str] | None, allowed: str) -> None:
    asking = {"Origin": "https://a.example", "Access-Control-Request-Method": "DELETE"}
    route = make_route(methods=methods, refresh=REFRESH, cors=Cors(frozenset({"*"})))
    told = dict(own_fields(make_request("/a", "OPTIONS", asking), route))
    assert told["Access-Control-Allow-Methods"] == allowed
    assert "Allow" not in told


def test_without_cors_a_preflight_is_like_any_other() -> None:
    asking = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert own_fields(make_request("/a", "OPTIONS", asking), make_route(methods=READ)) == (("Allow", "GET, HEAD"),)
