"""One request's operation: what the steps of its way find out and hand on."""

from dataclasses import dataclass

from gateway.admission.prepare import Intent, Prepared
from gateway.answers.cache_status import CacheStatus
from gateway.messages import Request
from gateway.meter import Reservation
from gateway.metrics import CacheLabel
from gateway.rfc9111.reuse import Fwd


@dataclass(slots=True)
class Operation:
    """Mutable, seen by one task only; `started` is in steady seconds.

    `route` is the route's name, empty where none matched. `alone`: it waited for a fetch whose answer it could not
    share and waits for no other.
    """

    request: Request
    request_id: str
    started: float
    prepared: Prepared | None = None
    route: str = ""
    reservation: Reservation | None = None
    fwd: Fwd | None = None
    fwd_status: int | None = None
    ttl: int | None = None
    stored: bool = False
    collapsed: bool = False
    alone: bool = False
    stale: bool = False
    detail: str | None = None
    tokens: int = 0

    @property
    def forced(self) -> bool:
        """Whether this is a force refresh."""
        return self.prepared is not None and self.prepared.intent is Intent.force_refresh

    def cache_status(self) -> CacheStatus:
        """What Cache-Status says of it (RFC 9211)."""
        return CacheStatus(
            hit=self.fwd is None and self.ttl is not None,
            ttl=self.ttl,
            fwd=self.fwd.value if self.fwd else None,
            fwd_status=self.fwd_status,
            stored=self.stored,
            collapsed=self.collapsed,
            detail=self.detail,
        )

    def outcome(self) -> CacheLabel:
        """The metric label `cache`; what was refused before the cache was asked counts as `pass`."""
        if self.stale:
            return "stale"
        if self.fwd is None:
            return "pass" if self.ttl is None else "hit"
        if self.fwd in (Fwd.bypass, Fwd.method):
            return "pass"
        if self.forced:
            return "refresh"
        if self.collapsed:
            return "collapsed"
        return "validated" if self.fwd_status == 304 else "miss"
