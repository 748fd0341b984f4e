"""What one route's targets and cache keys are made of."""

import pytest
from admission.snapshots import REFRESH, TTL, make_route, make_snapshot
from multidict import CIMultiDict

from gateway.admission.provision import Intent, provision
from gateway.admission.snapshot import RefreshPolicy
from gateway.errors import Problem, Reason
from gateway.messages import Request


def test_a_strip_prefix_takes_whole_segments() -> None:
    made = provision(route := make_route("/v1/{rest:.*}", strip_prefix="/v1"), make_snapshot(route))
    assert [made.below(path) for path in ("/v1/a", "/v1", "/v12")] == ["/a", "/", "/v12"]


@pytest.mark.parametrize(
    ("query", "intent", "sent", "keyed"),
    [
        ((("a", "1"), ("force_refresh", "1")), Intent.lookup, "/p?a=1", "/p?a=1"),
        ((("a", "1"), ("force_refresh", "1")), Intent.pass_, "/p?a=1&force_refresh=1", "/p?a=1&force_refresh=1"),
        ((("a", "1"), ("fresh", "no")), Intent.force_refresh, "/p?a=1&fresh=yes", "/p?a=1&fresh=no"),
    ],
)
def test_targets(query: tuple[tuple[str, str], ...], intent: Intent, sent: str, keyed: str) -> None:
    refresh = RefreshPolicy(query=REFRESH.query, upstream_query=(("fresh", "yes"),))
    made = provision(route := make_route(cache=TTL, refresh=refresh), make_snapshot(route))
    assert made.targets("/p", query, intent) == (sent, keyed)


def test_a_refresh_fills_in_what_its_query_leaves_out() -> None:
    made = provision(route := make_route(cache=TTL, refresh=REFRESH), make_snapshot(route))
    filled = made.filled((("include_offers", "false"),))
    assert filled == (("include_offers", "false"), ("include_reviews", "true"))


@pytest.mark.parametrize(
    ("fields", "lines"), [({}, []), ({"x-mode": "a"}, ["x-mode:a"]), ({"X-Mode": "a", "X-Other": "b"}, ["x-mode:a"])]
)
def test_keyed_lines(fields: dict[str, str], lines: list[str]) -> None:
    made = provision(route := make_route(cache=TTL, forward=("X-Mode",)), make_snapshot(route))
    assert made.keyed_lines(Request("GET", "/", CIMultiDict(fields)), ()) == lines


def test_a_keyed_value_must_be_sendable() -> None:
    made = provision(route := make_route(cache=TTL, forward=("X-Mode",)), make_snapshot(route))
    with pytest.raises(Problem) as refused:
        made.keyed_lines(Request("GET", "/", CIMultiDict({"X-Mode": "a\udcff"})), ())
    assert refused.value.reason is Reason.malformed_request


def test_quotes_are_worked_out_once() -> None:
    made = provision(route := make_route(cache=TTL, refresh=REFRESH), make_snapshot(route))
    assert route.price is not None
    first = made.quoted(route.price, frozenset(), Intent.force_refresh)
    assert made.quoted(route.price, frozenset(), Intent.force_refresh) is first
    assert (first.total, made.quoted(route.price, frozenset(), Intent.lookup).total) == (4, 1)
