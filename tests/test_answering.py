"""The answer's field lines and content, whichever way it was come by."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from admission.snapshots import make_request, make_snapshot, seed_route
from multidict import CIMultiDict
from stores.samples import sample
from support.clock import FakeClock
from support.in_process import head_of

from gateway.admission.charge import Charge
from gateway.admission.prepare import Preparer
from gateway.answering import Answering
from gateway.answers.splice import cut
from gateway.errors import Problem, Reason
from gateway.exchange import Exchange
from gateway.messages import Stream
from gateway.operation import Operation
from gateway.rfc9111.reuse import Fwd

CHARGE = Charge(tokens=9, remaining=1991)
BODY = b'{"a":1}'


def operation(*, tokens_in_body: bool = True, fields: dict[str, str] | None = None, **found: Any) -> Operation:
    request = make_request("/v1/products/1", fields=fields)
    preparer = Preparer(make_snapshot(seed_route(tokens_in_body=tokens_in_body)))
    return Operation(request, "id-1", 0.0, preparer.prepare(request), **found)


@pytest.fixture
def answering() -> Answering:
    return Answering(FakeClock())


def test_what_every_answer_says(answering: Answering) -> None:
    head = head_of(answering.stored(operation(ttl=5), sample(body=BODY), 3.0, CHARGE))
    assert head["Cache-Status"] == "gateway; hit; ttl=5"
    assert (head["Via"], head["X-Request-Id"], head["Age"]) == ("1.1 gateway", "id-1", "3")
    assert (head["X-Tokens-Consumed"], head["X-Tokens-Remaining"]) == ("9", "1991")
    assert head["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("found", "age", "shown"),
    [({"ttl": 5}, 0.0, "0"), ({"fwd": Fwd.uri_miss}, 0.5, None), ({"fwd": Fwd.uri_miss}, 7.9, "7")],
    ids=["hit", "fetched", "old already"],
)
def test_the_age(answering: Answering, found: dict[str, Any], age: float, shown: str | None) -> None:
    assert head_of(answering.stored(operation(**found), sample(), age, None)).get("Age") == shown


@pytest.mark.parametrize("packed", [False, True])
def test_tokens_in_the_body(answering: Answering, packed: bool) -> None:
    stored = sample(body=BODY, splice=cut(BODY))
    fields = {"Accept-Encoding": "gzip"} if packed else None
    answer = answering.stored(operation(fields=fields, ttl=1), stored, 0.0, CHARGE)
    assert (head_of(answer).get("Content-Encoding") == "gzip") is packed
    body = gzip.decompress(answer.body) if packed else answer.body
    assert orjson.loads(body) == {"a": 1, "tokens_consumed": 9, "tokens_remaining": 1991}
    assert stored.body == BODY


@pytest.mark.parametrize(
    ("in_body", "spliced", "charge"),
    [(False, True, CHARGE), (True, False, CHARGE), (True, True, None)],
    ids=["not on this route", "no JSON object", "not metered"],
)
def test_a_body_that_stays_as_it_is(answering: Answering, in_body: bool, spliced: bool, charge: Charge | None) -> None:
    stored = sample(body=BODY, splice=cut(BODY) if spliced else None)
    answer = answering.stored(operation(tokens_in_body=in_body, ttl=1), stored, 0.0, charge)
    assert answer.body == stored.body


async def nothing() -> AsyncIterator[bytes]:
    for chunk in tuple[bytes, ...]():
        yield chunk


async def closed() -> None:
    pass


def test_a_stream_keeps_what_earlier_caches_said(answering: Answering) -> None:
    fields = CIMultiDict([("Cache-Status", "edge; hit"), ("cache-status", "mid; hit"), ("X-Unknown", "1")])
    chunks = nothing()
    stream = Stream(206, "Part", fields, chunks, closed, length=7)
    answer = answering.stream(operation(fwd=Fwd.bypass, fwd_status=206), stream, chunks, fields, CHARGE)
    assert (answer.status, answer.reason, answer.length, answer.chunks) == (206, "Part", 7, chunks)
    head = head_of(answer)
    assert head.getall("Cache-Status") == ["edge; hit, mid; hit, gateway; fwd=bypass; fwd-status=206"]
    assert (head["X-Unknown"], head["X-Tokens-Consumed"]) == ("1", "9")


@pytest.mark.parametrize(
    ("accept", "kind"), [(None, "application/json"), ("application/problem+json", "application/problem+json")]
)
def test_a_problem(answering: Answering, accept: str | None, kind: str) -> None:
    op = operation(fields={"Accept": accept} if accept else None)
    answer = answering.problem(op, Problem(Reason.throttled, retry_after=2.5), Charge(0, 5))
    head = head_of(answer)
    assert (answer.status, head["Content-Type"], head["Retry-After"]) == (429, kind, "3")
    assert (head["Date"], head["X-Tokens-Consumed"]) == ("Thu, 15 Jan 2026 12:00:00 GMT", "0")
    told = orjson.loads(answer.body)
    assert (told["status"], told["code"], told["reason"], told["request_id"]) == (
        429,
        "rate_limited",
        "throttled",
        "id-1",
    )


TIMING = "Server-Timing"


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ({"ttl": 5}, "cache;desc=hit, total;dur=250.00"),
        ({"fwd": Fwd.uri_miss}, "cache;desc=miss, total;dur=250.00"),
        ({"fwd": Fwd.uri_miss, "took": 0.2}, "cache;desc=miss, upstream;dur=200.00, total;dur=250.00"),
        (
            {"fwd": Fwd.uri_miss, "took": 0.2, "collapsed": True, "waited": 0.1},
            "cache;desc=collapsed, upstream;dur=200.00, waited;dur=100.00, total;dur=250.00",
        ),
    ],
    ids=["hit", "no exchange", "its own fetch", "another's fetch"],
)
def test_what_it_tells_of_its_time(found: dict[str, Any], shown: str) -> None:
    clock = FakeClock()
    took = found.pop("took", None)
    op = timed(clock, **found)
    if took is not None:
        op.exchange = Exchange(clock.steady())
        op.exchange.ended(clock.steady() + took)
    clock.advance(0.25)
    assert head_of(Answering(clock).stored(op, sample(), 0.0, None)).getall(TIMING) == [shown]


def timed(clock: FakeClock, **found: Any) -> Operation:
    op = operation(**found)
    op.started, op.route = clock.steady(), "product"
    return op


def test_what_the_upstream_tells_of_its_time_stands_before() -> None:
    clock = FakeClock()
    stored = sample(head=b"Server-Timing: db;dur=5\r\n")
    head = stored.head
    told = head_of(Answering(clock).stored(timed(clock, ttl=5), stored, 0.0, None)).getall(TIMING)
    assert told == ["db;dur=5", "cache;desc=hit, total;dur=0.00"]
    assert stored.head is head


def test_a_refusal_on_a_route_tells_its_time_and_what_has_no_route_none() -> None:
    clock = FakeClock()
    refused = timed(clock)
    assert TIMING in head_of(Answering(clock).problem(refused, Problem(Reason.throttled), None))
    assert TIMING not in head_of(Answering(clock).problem(operation(), Problem(Reason.no_route), None))
