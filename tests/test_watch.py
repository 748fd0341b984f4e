"""What is seen of an operation: its id, its metrics, its log line."""

import re
from typing import Any

import pytest
from admission.snapshots import KEY, make_request, make_snapshot, seed_route
from multidict import CIMultiDict
from structlog.testing import capture_logs
from support.clock import FakeClock
from support.in_process import no_gauges

from gateway.admission.prepare import Preparer
from gateway.errors import Problem, Reason
from gateway.metrics import Metrics
from gateway.operation import Operation
from gateway.rfc9111.reuse import Fwd
from gateway.watch import Watch


class Seen:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics(no_gauges(), "0")
        self.watch = Watch(self.metrics, self.clock)

    def operation(self, target: str = "/v1/products/1", **found: Any) -> Operation:
        request = make_request(target)
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
