"""Step 8 of a request's way: the answer's field lines and content. One builder for every lane."""

from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from math import floor

import orjson
from multidict import CIMultiDict

from gateway.admission.charge import Charge
from gateway.admission.cors import answer_lines
from gateway.admission.jobs import Job
from gateway.admission.prefer import APPLIED
from gateway.admission.provision import Intent
from gateway.answers.cache_status import CacheStatus, cache_status, cache_status_line
from gateway.answers.head import field_line, field_lines, phrase, status_line
from gateway.answers.limits import token_lines
from gateway.answers.narrowing import narrowed
from gateway.answers.problem import problem_body, problem_fields
from gateway.answers.refresh import refresh_document
from gateway.answers.server_timing import timing_line, timings_line
from gateway.answers.splice import accepts_gzip, join, join_gzip
from gateway.errors import Problem
from gateway.idempotency import Replay
from gateway.ledger.receipts import receipt_id
from gateway.messages import Answer, Fields, Stream
from gateway.operation import Operation
from gateway.ports import Clock
from gateway.rfc9111.dates import format_date
from gateway.rfc9111.freshness import current_age
from gateway.rfc9111.stored import StoredResponse, Times
from gateway.rfc9111.storing import new_stored

_NO_FIELDS = CIMultiDict[str]()
_VIA = b"Via: 1.1 gateway\r\n"
_GZIP = b"Content-Encoding: gzip\r\n"
_AGE = b"Age: %d\r\n"


class Answering:
    """Builds answers; reads the wall clock for Date and for what RateLimit says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def stored(self, op: Operation, stored: StoredResponse, age: float, charge: Charge | None) -> Answer:
        """From a stored response, or one in that form; what the request's preconditions and Range leave of it."""
        status, reason, lines, body = self._narrowed(op, stored, charge)
        return Answer(status, reason, lines + _age_line(op, age) + self._common(op, charge), body)

    def opening(self, stored: StoredResponse, *, packed: bool) -> bytes:
        """What the messages of all hits of `stored` begin with, and then with what is `aged`.

        `packed`: tokens go into the content, which is sent as gzip.
        """
        first = status_line(stored.status, stored.reason or phrase(stored.status))
        return b"".join((first, stored.head, _GZIP if packed else b""))

    def aged(self, age: float, ttl: float) -> bytes:
        """The lines that stay the same for all hits while age and ttl do, in whole seconds."""
        return _OF_HITS % (age, floor(ttl))

    def pages(self, op: Operation) -> bytes:
        """What web pages are told of a route with `cors`."""
        return _for_pages(op)

    def held(self, op: Operation, job: Job, standing: Charge | None) -> Answer:
        """202 for a refresh whose client does not wait for it (RFC 7240 §4.1), and where to see what becomes of it."""
        fields = (("Location", f"/-/refreshes/{job.id}"), APPLIED)
        told = self.made(orjson.dumps(refresh_document(job)), fields)
        return Answer(202, "", told.head + self._common(op, standing), told.body)

    def made(self, content: bytes, fields: tuple[tuple[str, str], ...]) -> StoredResponse:
        """JSON of the gateway's own, in the form that is answered from, and kept for an Idempotency-Key."""
        wall, now = self._clock.wall(), self._clock.steady()
        lines = CIMultiDict([("Content-Type", "application/json"), ("Cache-Control", "no-store"), *fields])
        return new_stored("", _NO_FIELDS, 200, "", lines, content, Times(now, now, wall))

    def stream(
        self, op: Operation, stream: Stream, chunks: AsyncIterator[bytes], fields: Fields, charge: Charge | None
    ) -> Answer:
        """From an answer whose content is still arriving as `chunks`; `fields` are those the client may see."""
        origin = ", ".join(fields.getall("Cache-Status", ()))
        kept = [field_line(name, value) for name, value in fields.items() if name.lower() != "cache-status"]
        lines = b"".join(kept) + self._common(op, charge, origin)
        return Answer(stream.status, stream.reason, lines, chunks=chunks, length=stream.length)

    def replayed(self, op: Operation, replay: Replay, standing: Charge | None, now: float) -> Answer:
        """The first answer to an Idempotency-Key again, its tokens in the content included; `now` in steady seconds."""
        stored = replay.stored
        status, reason, lines, body = self._narrowed(op, stored, Charge(replay.tokens, replay.remaining))
        marks = b"Age: %d\r\nIdempotent-Replayed: true\r\n" % current_age(stored, now)
        marks += receipt_line(replay.operation)
        return Answer(status, reason, lines + marks + self._common(op, standing), body)

    def problem(self, op: Operation, problem: Problem, charge: Charge | None) -> Answer:
        """The gateway's own answer (RFC 9457)."""
        kind, body = problem_body(problem, op.request_id, op.request.fields.get("Accept"))
        lines = [field_line("Content-Type", kind), field_lines(problem_fields(problem)), self._date()]
        lines.append(self._common(op, charge))
        return Answer(problem.reason.status, "", b"".join(lines), body)

    def own(self, op: Operation, fields: Iterable[tuple[str, str]]) -> Answer:
        """The gateway's own answer to OPTIONS: nothing but fields."""
        lines = [field_line(name, value) for name, value in fields]
        return Answer(204, "", b"".join([*lines, self._date(), self._common(op, None)]))

    def _narrowed(self, op: Operation, stored: StoredResponse, charge: Charge | None) -> tuple[int, str, bytes, bytes]:
        """Status, reason, field lines and content, as far as the request's preconditions and Range leave them."""
        lines, body = self._content(op, stored, charge)
        if op.prepared is None or not op.prepared.conditional:
            return stored.status, stored.reason, lines, body
        fields, now = op.prepared.request.fields, self._clock.wall()
        return narrowed(fields, stored, lines, body, now, ranged=op.prepared.ranged)

    def _content(self, op: Operation, stored: StoredResponse, charge: Charge | None) -> tuple[bytes, bytes]:
        """Field lines and content, the tokens spliced in where the route says so."""
        if charge is None or op.prepared is None or not op.prepared.route.tokens_in_body:
            return stored.head, stored.body
        splice, head = stored.splice, stored.head
        if splice is None:
            return head, stored.body
        if accepts_gzip(op.request.fields.get("Accept-Encoding")):
            return head + _GZIP, join_gzip(splice, charge.tokens, charge.remaining)
        return head, join(splice, charge.tokens, charge.remaining)

    def _common(self, op: Operation, charge: Charge | None, origin: str = "") -> bytes:
        tokens = token_lines(charge, self._clock.wall()) if charge else b""
        pages = _for_pages(op)
        if charge is not None and charge.operation is not None:
            tokens += receipt_line(charge.operation)
        request_id, timing = op.request_id.encode("ascii"), self._timing(op)
        return b"%bX-Request-Id: %b\r\n%b%b%b" % (_handled(op, origin), request_id, tokens, pages, timing)

    def _timing(self, op: Operation) -> bytes:
        """On the answers of routes; where none matched there is nothing to tell."""
        if not op.route:
            return b""
        total, exchange = self._clock.steady() - op.started, op.exchange
        if exchange is None:
            return timing_line(op.outcome(), int(total * 100_000))
        return timings_line(op.outcome(), total, exchange.seconds, op.waited)

    def _date(self) -> bytes:
        return field_line("Date", format_date(self._clock.wall()))


def _age_line(op: Operation, age: float) -> bytes:
    return _AGE % age if op.ttl is not None or age >= 1 else b""


def _handled(op: Operation, origin: str = "") -> bytes:
    status = op.cache_status()
    return field_line("Cache-Status", cache_status(status, origin)) + _VIA if origin else _handled_here(status)


# Of misses and of those that wait for them nearly all end alike.
@lru_cache(maxsize=256)
def _handled_here(status: CacheStatus) -> bytes:
    return cache_status_line(status) + _VIA


# As for any hit, but for its ttl.
_OF_HITS = _AGE + _handled_here(CacheStatus(hit=True, ttl=0)).replace(b"ttl=0", b"ttl=%d")


def receipt_line(operation: int | None) -> bytes:
    """The field line for a charge that has a receipt; nothing for one that has none."""
    return b"" if operation is None else field_line("X-Receipt-Id", receipt_id(operation))


def _for_pages(op: Operation) -> bytes:
    """What a route with `cors` tells web pages; a preflight's own fields say it already."""
    if op.prepared is None or op.prepared.route.cors is None or op.prepared.intent is Intent.own:
        return b""
    return answer_lines(op.prepared.route.cors, op.request.fields.get("Origin"))
