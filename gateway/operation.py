"""One request's operation: what the steps of its way find out and hand on."""

from dataclasses import dataclass

from gateway.admission.charge import Quote
from gateway.admission.prepare import Prepared
from gateway.admission.provision import Intent
from gateway.answers.cache_status import CacheStatus
from gateway.collapse import Rank
from gateway.messages import Request
from gateway.meter import Reservation
from gateway.metrics import CacheLabel
from gateway.rfc9111.reuse import Fwd


@dataclass(slots=True)
class Operation:
    """Mutable, seen by one task only; `started` is in steady seconds.

    `route` is the route's name, empty where none matched. `demanded`: the request's own directives forced its fetch.
    `alone`: it waited for a fetch whose answer it could not share and waits for no other.
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
    demanded: bool = False
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

    @property
    def rank(self) -> Rank:
        """How much its fetch must do for it."""
        if self.forced:
            return Rank.forced
        return Rank.demanded if self.demanded else Rank.ordinary

    @property
    def quote(self) -> Quote | None:
        """What it may cost; None where nothing is metered."""
        if self.prepared is None:
            return None
        return (self.prepared.demanded_quote if self.demanded else None) or self.prepared.quote

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
