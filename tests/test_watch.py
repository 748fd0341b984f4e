"""What is seen of an operation: its id, its metrics, its log line."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from admission.snapshots import KEY, make_request, make_snapshot, seed_route
from multidict import CIMultiDict
from structlog.testing import capture_logs
from support.clock import FakeClock
from support.in_process import no_gauges

from gateway.admission.prepare import Preparer
from gateway.errors import Problem, Reason
from gateway.exchange import Exchange
from gateway.messages import Request
from gateway.metrics import CacheLabel, Metrics
from gateway.operation import Operation
from gateway.rfc9111.reuse import Fwd
from gateway.watch import MOST_REFUSALS, Refused, Watch


class Seen:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics(no_gauges(), "0")
        self.watch = Watch(self.metrics, self.clock)

    def operation(
        self, target: str = "/v1/products/1", fields: dict[str, str] | None = None, **found: Any
    ) -> Operation:
        request = make_request(target, fields=fields)
        prepared = Preparer(make_snapshot(seed_route())).prepare(request)
        return Operation(request, "id-1", self.clock.steady(), prepared, "product", **found)

    def shows(self, line: str) -> bool:
        return line in self.metrics.exposition(None)[1].decode().splitlines()


@pytest.mark.parametrize("given", ["mine", "a" * 128, "~!"])
def test_a_clients_printable_id_is_kept(given: str) -> None:
    assert Seen().watch.request_id(CIMultiDict({"X-Request-Id": given})) == given


@pytest.mark.parametrize("given", [None, "", "a" * 129, "a b", "a\n", "ü", "\x7f"])
def test_any_other_gets_one_of_ours_never_twice(given: str | None) -> None:
    watch, fields = Seen().watch, CIMultiDict[str]()
    if given is not None:
        fields["X-Request-Id"] = given
    first, second = (watch.request_id(fields) for _ in range(2))
    assert first != second
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", first)


def test_an_answer_is_counted_and_logged_without_secrets() -> None:
    seen = Seen()
    op = seen.operation(fwd=Fwd.uri_miss, fwd_status=200, collapsed=True, tokens=6)
    seen.clock.advance(0.25)
    with capture_logs() as logged:
        seen.watch.answered(op, 200)
    (line,) = logged
    assert (line["account"], line["status"], line["tokens"], line["ms"]) == ("ci", 200, 6, 250.0)
    assert KEY not in repr(line)
    assert seen.shows('gateway_requests_total{cache="collapsed",code="200",route="product"} 1.0')
    assert seen.shows('gateway_collapsed_requests_total{route="product"} 1.0')


def test_the_line_is_put_together_when_there_is_time_for_it() -> None:
    seen, due = Seen(), list[Callable[[], object]]()
    watch = Watch(seen.metrics, seen.clock, lambda told, *of: due.append(partial(told, *of)))
    op = seen.operation(fwd=Fwd.uri_miss)
    seen.clock.advance(0.25)
    with capture_logs() as logged:
        watch.answered(op, 200)
        assert seen.shows('gateway_requests_total{cache="miss",code="200",route="product"} 1.0')
        assert not logged
        seen.clock.advance(1)
        due.pop()()
    assert [(line["cache"], line["ms"]) for line in logged] == [("miss", 250.0)]


PLAIN = ["request_id", "route", "account", "method", "status", "cache", "fwd", "detail", "tokens", "ms"]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(seen: Seen, op: Operation, status: int = 200) -> list[dict[str, Any]]:
    with capture_logs() as logged:
        seen.watch.answered(op, status)
    return [dict(line) for line in logged]


def test_a_hits_line() -> None:
    seen = Seen()
    (line,) = lines(seen, seen.operation(ttl=5))
    assert list(line) == [*PLAIN, "organization", "event", "log_level"]
    assert (line["event"], line["log_level"], line["cache"], line["fwd"]) == ("request", "info", "hit", None)


def test_what_waited_says_for_what_and_how_long() -> None:
    seen = Seen()
    op = seen.operation(fwd=Fwd.uri_miss, fwd_status=200, collapsed=True, waited=0.2)
    op.exchange = Exchange(seen.clock.steady())
    seen.clock.advance(0.1)
    op.exchange.answered(seen.clock.steady())
    seen.clock.advance(0.15)
    op.exchange.ended(seen.clock.steady())
    (line,) = lines(seen, op)
    told = {name: value for name, value in line.items() if name not in (*PLAIN, "event", "log_level", "organization")}
    assert told == {"upstream": "api", "upstream_head_ms": 100.0, "upstream_ms": 250.0, "waited_ms": 200.0}
    assert line["ms"] == 250.0


def test_an_upstream_that_gave_no_answer_has_no_head() -> None:
    seen = Seen()
    op = seen.operation(fwd=Fwd.uri_miss)
    op.exchange = Exchange(seen.clock.steady())
    seen.clock.advance(3.0)
    op.exchange.ended(seen.clock.steady())
    (line,) = lines(seen, op, 504)
    assert ("upstream_head_ms" in line, line["upstream_ms"]) == (False, 3000.0)


@pytest.mark.parametrize(
    ("traceparent", "told"),
    [(f"00-{TRACE}-00f067aa0ba902b7-01", TRACE), (f"00-{TRACE}-00f067aa0ba902b7-01-{KEY}", None), (KEY, None)],
)
def test_a_valid_trace_is_named(traceparent: str, told: str | None) -> None:
    seen = Seen()
    (line,) = lines(seen, seen.operation(fields={"traceparent": traceparent}, ttl=5))
    assert line.get("trace_id") == told
    assert KEY not in repr(line)


def test_a_refusals_line_says_why() -> None:
    seen = Seen()
    op = seen.operation()
    seen.watch.refused(op, Problem(Reason.throttled, f"Too fast, {KEY}."))
    (line,) = lines(seen, op, 429)
    assert (line["refusal"], line["status"], "upstream" in line) == ("throttled", 429, False)
    assert KEY not in repr(line)


def test_nothing_that_a_client_wrote_is_told() -> None:
    seen = Seen()
    told = {"X-Forwarded-For": "192.0.2.7", "User-Agent": "agent-7", "Cookie": "a=cookie-7"}
    op = seen.operation("/v1/products/secret-7?q=query-7", fields=told, fwd=Fwd.uri_miss)
    op.request.peer = "192.0.2.8"
    (line,) = lines(seen, op)
    assert not [text for text in ("192.0.2", "agent-7", "cookie-7", "secret-7", "query-7") if text in repr(line)]


@pytest.mark.parametrize(
    ("shares", "logged"),
    [
        ({}, [("info", None)] * 4),
        ({"hit": 1}, [("info", None)] * 4),
        ({"miss": 0}, [("info", None)] * 4),
        ({"hit": 0}, []),
        ({"hit": 10**9}, []),
    ],
    ids=["nothing said", "all", "of others", "none", "few"],
)
def test_the_share_of_hits_that_is_logged(shares: dict[CacheLabel, int], logged: list[tuple[str, int | None]]) -> None:
    seen = Seen()
    seen.watch.configure(shares)
    found = [line for _ in range(4) for line in lines(seen, seen.operation(ttl=5))]
    # structlog as it is found keeps everything: what is left out is there for those who debug.
    assert [(line["log_level"], line.get("sampled")) for line in found if line["log_level"] != "debug"] == logged
    assert len(found) == 4


def test_a_line_that_stands_for_many_says_for_how_many() -> None:
    seen = Seen()
    seen.watch.configure({"hit": 2})
    found = [line for _ in range(100) for line in lines(seen, seen.operation(ttl=5))]
    sampled = [line for line in found if line["log_level"] == "info"]
    assert {line["sampled"] for line in sampled} == {2}
    assert 100 / 3 <= len(sampled) < 100


@pytest.mark.parametrize(("refusal", "status"), [(None, 404), (None, 500), ("throttled", 429), ("own", 204)])
def test_faults_and_refusals_are_always_logged(refusal: str | None, status: int) -> None:
    seen = Seen()
    seen.watch.configure({"hit": 0, "pass": 0})
    (line,) = lines(seen, seen.operation(ttl=5, refusal=refusal), status)
    assert (line["log_level"], "sampled" in line) == ("info", False)


@pytest.mark.parametrize(
    ("found", "status", "outcome"),
    [
        ({"ttl": 5, "detail": "cooldown"}, 200, "cooldown"),
        ({"fwd": Fwd.request, "stale": True}, 200, "stale"),
        ({"fwd": Fwd.request, "fwd_status": 200}, 200, "delivered"),
        ({"fwd": Fwd.request, "fwd_status": 404}, 404, "delivered"),
        ({"fwd": Fwd.request, "fwd_status": 500}, 502, "failed"),
        ({"fwd": Fwd.request}, 504, "failed"),
    ],
)
def test_how_a_force_refresh_ended(found: dict[str, Any], status: int, outcome: str) -> None:
    seen = Seen()
    seen.watch.answered(seen.operation("/v1/products/1?force_refresh=1", **found), status)
    assert seen.shows(f'gateway_refreshes_total{{kind="foreground",outcome="{outcome}",route="product"}} 1.0')


def test_a_force_refresh_refused_before_the_cache_was_asked_is_none() -> None:
    seen = Seen()
    seen.watch.answered(seen.operation("/v1/products/1?force_refresh=1"), 429)
    assert "gateway_refreshes_total{" not in seen.metrics.exposition(None)[1].decode()


def test_refusals_and_background_refreshes_are_counted() -> None:
    seen = Seen()
    seen.watch.refused(seen.operation(), Problem(Reason.throttled))
    seen.watch.refreshed("product", "background", delivered=True)
    assert seen.shows('gateway_refusals_total{reason="throttled",route="product"} 1.0')
    assert seen.shows('gateway_refreshes_total{kind="background",outcome="delivered",route="product"} 1.0')


def test_what_needed_no_upstream_call_is_counted_with_its_tokens() -> None:
    seen = Seen()
    for found in ({"ttl": 5, "tokens": 6}, {"ttl": 5}, {"fwd": Fwd.uri_miss, "fwd_status": 200, "tokens": 3}):
        seen.watch.answered(seen.operation(**found), 200)
    assert seen.shows('gateway_upstream_calls_saved_total{route="product"} 2.0')
    assert seen.shows('gateway_tokens_saved_total{route="product"} 6.0')


def test_refusals_are_remembered_with_who_was_refused() -> None:
    seen = Seen()
    seen.watch.refused(seen.operation(), Problem(Reason.throttled, "Too fast."))
    unread = Operation(Request("", "", CIMultiDict()), "id-2", 0.0)
    seen.clock.advance(1)
    seen.watch.refused(unread, Problem(Reason.malformed_request))
    now = seen.clock.wall()
    assert list(seen.watch.refusals) == [
        Refused(now - 1, "product", "throttled", 429, "GET", "ci", "acme", "id-1"),
        Refused(now, "", "malformed_request", 400, "", None, None, "id-2"),
    ]


def test_what_was_refused_as_it_was_prepared_names_who_asked() -> None:
    seen, problem = Seen(), Problem(Reason.bad_flag)
    problem.asker = "ci", "acme"
    seen.watch.refused(Operation(make_request("/v1/products/1"), "id-1", 0.0), problem)
    (refused,) = seen.watch.refusals
    assert (refused.account, refused.organization) == ("ci", "acme")


def test_the_last_refusals_are_remembered() -> None:
    seen = Seen()
    for number in range(MOST_REFUSALS + 1):
        op = seen.operation()
        op.request_id = str(number)
        seen.watch.refused(op, Problem(Reason.throttled))
    assert [refused.request_id for refused in seen.watch.refusals] == [str(n) for n in range(1, MOST_REFUSALS + 1)]


def test_the_first_response_of_a_kind_not_stored_names_the_setting() -> None:
    seen = Seen()
    with capture_logs() as logged:
        for reason in ("no_store", "no_store", "no_room"):
            seen.watch.not_stored(seen.operation(), reason)
    assert [(line["reason"], line["setting"]) for line in logged] == [
        ("no_store", "cache.override_origin"),
        ("no_room", "none"),
    ]
    assert seen.shows('gateway_not_stored_total{reason="no_store",route="product"} 2.0')


def test_what_is_not_forwarded_is_named_once_a_route() -> None:
    watch = Seen().watch
    with capture_logs() as logged:
        for route, names in [("a", ("x", "y")), ("a", ("y", "z")), ("a", ("x",)), ("a", ()), ("b", ("x",))]:
            watch.not_forwarded(route, names)
    assert [(line["route"], line["fields"]) for line in logged] == [("a", ["x", "y"]), ("a", ["z"]), ("b", ["x"])]
    assert {line["setting"] for line in logged} == {"forward"}


def test_not_more_than_32_names_a_route_are_told() -> None:
    watch = Seen().watch
    with capture_logs() as logged:
        for batch in range(4):
            watch.not_forwarded("a", tuple([f"x-{batch}-{number}" for number in range(20)]))
    assert [len(line["fields"]) for line in logged] == [20, 12]


def test_a_bug_is_logged_with_its_traceback() -> None:
    seen, error = Seen(), ZeroDivisionError()
    with capture_logs() as logged:
        seen.watch.failed(seen.operation(), error)
    assert logged[0]["exc_info"] is error
