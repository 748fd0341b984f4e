"""What is seen from outside of each operation: its request id, its metrics, its log line."""

import logging
import re
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import structlog

from gateway.admission.pricing import delivers
from gateway.admission.trace import trace_id
from gateway.errors import Problem
from gateway.exchange import Exchange
from gateway.logs.sampling import Sampling
from gateway.messages import Fields
from gateway.metrics import Answered, CacheLabel, Metrics
from gateway.operation import Operation
from gateway.ports import Clock
from gateway.rfc9111.storing import Unstorable

RefreshKind = Literal["foreground", "background", "ahead", "async", "admin"]
"""Who wanted a refresh: a caller who waits, a job or a stale reuse, a hot page, a caller who went on, an operator."""

MOST_REFUSALS = 200
"""Refusals that are remembered."""

_MOST_NAMES = 32
_ID = re.compile(r"[\x21-\x7e]{1,128}\Z")

# The setting that would change it, for the log line that a route's first response of a kind gets.
_SETTINGS = {
    Unstorable.no_store.name: "cache.override_origin",
    Unstorable.private.name: "cache.override_origin",
    Unstorable.set_cookie.name: "none: a response that sets a cookie is never stored",
    Unstorable.vary_star.name: "none: the origin says that every request gets its own",
    Unstorable.authorization.name: "access: key, or public in the origin's Cache-Control",
    Unstorable.no_lifetime.name: (
        "cache.ttl or cache.ttl_by_status; with cache.override_origin where the origin says max-age=0 or no-cache"
    ),
    Unstorable.status.name: "cache.ttl_by_status",
    Unstorable.too_large.name: "cache.max_body",
    Unstorable.request_no_store.name: "cache.client_directives",
}


class Refused(NamedTuple):
    """An operation that ended with a problem of the gateway's own; `at` in wall-clock seconds, `route` "" for none."""

    at: float
    route: str
    reason: str
    status: int
    method: str
    account: str | None
    organization: str | None
    request_id: str


def _at_once(told: Callable[..., object], *of: object) -> None:
    told(*of)


class Watch:
    """Counts and logs; nothing it does can fail an operation. `refusals` are the last ones, oldest first.

    The line of an answer is put together when `soon` calls for it, so that the answer need not wait.
    """

    def __init__(self, metrics: Metrics, clock: Clock, soon: Callable[..., object] = _at_once) -> None:
        self._metrics = metrics
        self._clock = clock
        self._soon = soon
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.access").bind()
        self._sampling = Sampling[CacheLabel]({})
        self.refusals = deque[Refused](maxlen=MOST_REFUSALS)
        self.prefix = secrets.token_hex(6)
        self._next = 1
        self._named: set[tuple[str, str]] = set()
        self._withheld: dict[str, set[str]] = {}

    def configure(self, shares: Mapping[CacheLabel, int]) -> None:
        """Log one in so many of the requests that were answered without a fault: `log.sample`, 0 for none."""
        self._sampling = Sampling(shares)

    def request_id(self, fields: Fields) -> str:
        """The client's X-Request-Id where it is printable and short, else one of our own."""
        given = fields.get("X-Request-Id")
        return given if given is not None and _ID.match(given) else self.new_id()

    def new_id(self) -> str:
        """One of our own."""
        return f"{self.prefix}-{self.numbers(1):x}"

    def numbers(self, many: int) -> int:
        """The first of so many numbers for ids of our own: `prefix`, a hyphen, and the number in hexadecimal."""
        first, self._next = self._next, self._next + many
        return first

    def answered(self, op: Operation, status: int) -> None:
        """The operation has its answer."""
        seconds = max(0.0, self._clock.steady() - op.started)
        cache = op.outcome()
        self._metrics.request(op.route, status, cache, seconds)
        if op.collapsed:
            self._metrics.collapsed(op.route)
        if op.saved:
            self._metrics.saved(op.route, op.tokens)
        if op.forced and cache != "pass":
            self._metrics.refresh(op.route, "foreground", _refresh_outcome(op, status))
        weight = 1 if status >= 400 or op.refusal is not None else self._sampling.weight(cache)
        self._soon(self._tell, op, status, cache, seconds, weight)

    def hits(self, route: str, status: int, tokens: int) -> Answered:
        """Where hits by that route that cost `tokens` each are counted; `hit` is for those that `lines_due` names."""
        return self._metrics.hits(route, status, tokens)

    def lines_due(self, count: int) -> Sequence[tuple[int, int]]:
        """Which of the next `count` hits get a line, by their place among them, and for how many they stand."""
        due = self._sampling.among("hit", count)
        if not self._log.is_enabled_for(logging.DEBUG):
            return due if due and self._log.is_enabled_for(logging.INFO) else ()
        weights = dict(due)
        return [(place, weights.get(place, 0)) for place in range(count)]

    def hit(self, op: Operation, status: int, seconds: float, weight: int) -> None:
        """The line of one hit, which stands for `weight`; 0 for one that only debugging wants to see."""
        self._tell(op, status, "hit", seconds, weight)

    def _tell(self, op: Operation, status: int, cache: CacheLabel, seconds: float, weight: int) -> None:
        # A line takes longer to put together than all else that is seen of an operation.
        if weight and self._log.is_enabled_for(logging.INFO):
            sampled = {"sampled": weight} if weight > 1 else {}
            self._log.info("request", **_line(op, status, cache, seconds), **sampled)
        elif not weight and self._log.is_enabled_for(logging.DEBUG):
            self._log.debug("request", **_line(op, status, cache, seconds))

    def failed(self, op: Operation, error: Exception) -> None:
        """The operation met a bug of ours; the log gets where."""
        self._log.error("request failed", request_id=op.request_id, route=op.route, exc_info=error)

    def broken(self, error: Exception) -> None:
        """The fast lane met a bug of ours; the log gets where."""
        self._log.error("fast lane failed", exc_info=error)

    def refused(self, op: Operation, problem: Problem) -> None:
        """The operation ends with a problem of the gateway's own."""
        reason = problem.reason
        op.refusal = reason.name
        self._metrics.refusal(op.route, reason)
        asker = op.prepared.account if op.prepared is not None else None
        known = problem.asker if asker is None else (asker.id, asker.organization)
        account, organization = known or (None, None)
        refused = Refused(
            at=self._clock.wall(),
            route=op.route,
            reason=reason.name,
            status=reason.status,
            method=op.request.method,
            account=account,
            organization=organization,
            request_id=op.request_id,
        )
        self.refusals.append(refused)

    def refreshed(self, route: str, kind: RefreshKind, *, delivered: bool) -> None:
        """A fetch of the gateway's own ended."""
        self._metrics.refresh(route, kind, "delivered" if delivered else "failed")

    def not_stored(self, op: Operation, reason: str) -> None:
        """A response on a cached route was not stored; its route's first of a kind says which setting matters."""
        self._metrics.not_stored(op.route, reason)
        if (op.route, reason) not in self._named:
            self._named.add((op.route, reason))
            setting = _SETTINGS.get(reason, "none")
            self._log.warning("response not stored", route=op.route, reason=reason, setting=setting)

    def not_forwarded(self, route: str, names: tuple[str, ...]) -> None:
        """Fields of a request were kept from the upstream; each name is told once a route, the first 32 of them."""
        told = self._withheld.setdefault(route, set())
        # The way of every miss: what it holds has mostly been told.
        if told.issuperset(names):
            return
        fresh = [name for name in names if name not in told][: _MOST_NAMES - len(told)]
        if fresh:
            told.update(fresh)
            self._log.info("request fields not forwarded", route=route, fields=fresh, setting="forward")


def _line(op: Operation, status: int, cache: CacheLabel, seconds: float) -> dict[str, object]:
    """What the request's line says: nothing that its client wrote but its X-Request-Id and its trace's id.

    Nor whence it came: an address is somebody's, and the account tells all that operations need.
    """
    account = op.prepared.account if op.prepared is not None else None
    line: dict[str, object] = {
        "request_id": op.request_id,
        "route": op.route,
        "account": account.id if account is not None else None,
        "method": op.request.method,
        "status": status,
        "cache": cache,
        "fwd": op.fwd,
        "detail": op.detail,
        "tokens": op.tokens,
        "ms": _milliseconds(seconds),
    }
    if (trace := trace_id(op.request.fields)) is not None:
        line["trace_id"] = trace
    if op.refusal is not None:
        line["refusal"] = op.refusal
    if account is not None:
        line["organization"] = account.organization
    if op.prepared is not None and op.exchange is not None:
        line["upstream"] = op.prepared.route.upstream
        line |= _times(op.exchange)
    if op.collapsed or op.waited:
        line["waited_ms"] = _milliseconds(op.waited)
    return line


def _times(exchange: Exchange) -> dict[str, object]:
    """How long the upstream took, as far as that is known by now."""
    told = {"upstream_head_ms": exchange.head, "upstream_ms": exchange.seconds}
    return {name: _milliseconds(seconds) for name, seconds in told.items() if seconds is not None}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _refresh_outcome(op: Operation, status: int) -> str:
    if op.detail == "cooldown":
        return "cooldown"
    if op.stale:
        return "stale"
    return "delivered" if op.fwd_status is not None and delivers(status) else "failed"
