"""What is seen from outside of each operation: its request id, its metrics, its log line."""

import logging
import re
import secrets
from itertools import count

import structlog

from gateway.admission.pricing import delivers
from gateway.errors import Problem
from gateway.messages import Fields
from gateway.metrics import CacheLabel, Metrics
from gateway.operation import Operation
from gateway.ports import Clock
from gateway.rfc9111.storing import Unstorable

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


class Watch:
    """Counts and logs; nothing it does can fail an operation."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.access").bind()
        self._hits_logged = self._log.is_enabled_for(logging.DEBUG)
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)
        self._named: set[tuple[str, str]] = set()
        self._withheld: dict[str, set[str]] = {}

    def request_id(self, fields: Fields) -> str:
        """The client's X-Request-Id where it is printable and short, else one of our own."""
        given = fields.get("X-Request-Id")
        if given is not None and _ID.match(given):
            return given
        return f"{self._prefix}-{next(self._numbers):x}"

    def answered(self, op: Operation, status: int) -> None:
        """The operation has its answer."""
        seconds = max(0.0, self._clock.steady() - op.started)
        cache = op.outcome()
        self._metrics.request(op.route, status, cache, seconds)
        if op.collapsed:
            self._metrics.collapsed(op.route)
        if op.forced and cache != "pass":
            self._metrics.refresh(op.route, "foreground", _refresh_outcome(op, status))
        if cache != "hit" or self._hits_logged:
            self._log_answer(op, status, cache, seconds)

    def _log_answer(self, op: Operation, status: int, cache: CacheLabel, seconds: float) -> None:
        self._log.log(
            logging.DEBUG if cache == "hit" else logging.INFO,
            "request",
            request_id=op.request_id,
            route=op.route,
            account=op.prepared.account.id if op.prepared and op.prepared.account else None,
            method=op.request.method,
            status=status,
            cache=cache,
            fwd=op.fwd,
            detail=op.detail,
            tokens=op.tokens,
            ms=round(seconds * 1000, 2),
        )

    def failed(self, op: Operation, error: Exception) -> None:
        """The operation met a bug of ours; the log gets the traceback, which holds no values."""
        self._log.error("request failed", request_id=op.request_id, route=op.route, exc_info=error)

    def refused(self, op: Operation, problem: Problem) -> None:
        """The operation ends with a problem of the gateway's own."""
        self._metrics.refusal(op.route, problem.reason)

    def refreshed(self, route: str, kind: str, *, delivered: bool) -> None:
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
        fresh = [name for name in names if name not in told][: _MOST_NAMES - len(told)]
        if fresh:
            told.update(fresh)
            self._log.info("request fields not forwarded", route=route, fields=fresh, setting="forward")


def _refresh_outcome(op: Operation, status: int) -> str:
    if op.detail == "cooldown":
        return "cooldown"
    if op.stale:
        return "stale"
    return "delivered" if op.fwd_status is not None and delivers(status) else "failed"
