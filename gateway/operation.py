"""One request's operation: what the steps of its way find out and hand on."""

from dataclasses import dataclass
from typing import assert_never

from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.prepared import Prepared
from gateway.admission.pricing import charges, delivers
from gateway.admission.provision import Intent
from gateway.answers.cache_status import CacheStatus
from gateway.collapse import Rank
from gateway.exchange import Exchange
from gateway.idempotency import Claim
from gateway.messages import Request
from gateway.metrics import CacheLabel
from gateway.reservation import Reservation
from gateway.rfc9111.reuse import Detail, Fwd


@dataclass(slots=True)
class Operation:
    """Mutable, seen by one task only; `started` is in steady seconds.

    `route` is the route's name, empty where none matched. `demanded`: the request's own directives forced its fetch.
    `alone`: it waited for a fetch whose answer it could not share and waits for no other. `claim` is what its
    Idempotency-Key holds. `refusal` is the reason's name where it ends with a problem of the gateway's own, `exchange`
    the last one that it waited for, and `waited` the seconds that it did so for a fetch that another had begun.
    `called`: a fetch was begun for it.
    """

    request: Request
    request_id: str
    started: float
    prepared: Prepared | None = None
    route: str = ""
    reservation: Reservation | None = None
    claim: Claim | None = None
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
    refusal: str | None = None
    exchange: Exchange | None = None
    waited: float = 0.0
    called: bool = False

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

    @property
    def tested(self) -> bool:
        """Whether a test key asks."""
        return self.prepared is not None and self.prepared.account is not None and self.prepared.account.test

    @property
    def saved(self) -> bool:
        """Whether it was answered without an upstream call of its own: from what was stored, or by another's fetch.

        What a failed fetch has left it with counts for nothing, and so does what no cache was asked for.
        """
        if self.called or self.refusal is not None:
            return False
        if self.fwd is None:
            return self.ttl is not None
        return self.collapsed and not self.stale and self.fwd_status is not None and self.fwd_status < 500

    def cache_status(self) -> CacheStatus:
        """What Cache-Status says of it (RFC 9211)."""
        fwd, ttl = self.fwd, self.ttl
        hit = fwd is None and ttl is not None
        return CacheStatus(hit, ttl, fwd, self.fwd_status, self.stored, self.collapsed, self.detail)

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

    def ended(self, status: int, *, fresh: bool = False, free: bool = False) -> Outcome:
        """How it ends with `status`; `fresh`: a fetch that was asked for brought the answer. `free`: it may be cut."""
        price = self.prepared.route.price if self.prepared is not None else None
        if self.tested:
            return Outcome.test
        if free:
            return Outcome.unproven
        if price is not None and not charges(price, status):
            return Outcome.uncharged
        if fresh and delivers(status):
            return Outcome.refreshed
        return self._ended_plainly()

    def _ended_plainly(self) -> Outcome:
        label = self.outcome()
        match label:
            case "hit":
                return Outcome.cooldown if self.detail == Detail.cooldown else Outcome.hit
            case "stale":
                return Outcome.stale if self.fwd_status is None and self.fwd is None else Outcome.stale_if_error
            case "refresh":
                return Outcome.undelivered
            case "pass":
                return Outcome.passed
            case "miss":
                return Outcome.undelivered if self.demanded else Outcome.miss
            case "validated":
                return Outcome.validated
            case "collapsed":
                return Outcome.collapsed
            case _:
                assert_never(label)
