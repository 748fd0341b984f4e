"""Why a request gets what it gets: a closed list, each with the section that says so; found from what was decided."""

from enum import Enum
from math import inf
from typing import assert_never

from gateway.explaining.explanation import Ground
from gateway.rfc9111.demands import Demands, accepts
from gateway.rfc9111.freshness import lifetime, overriding
from gateway.rfc9111.reuse import (
    Decision,
    Detail,
    Fetch,
    Fwd,
    Refuse,
    Reuse,
    ReuseWhileRevalidating,
    Validate,
)
from gateway.rfc9111.stored import Policy, StoredResponse


class Why(Enum):
    """(the section of an RFC, else the setting or command; words)."""

    fresh = ("RFC 9111 §4.2", "the stored response is fresh")
    part = ("RFC 9111 §3.3", "a stored part holds the range that is asked for, and is fresh")
    revalidating = ("RFC 5861 §3", "the stored response is stale, and served while a background fetch replaces it")
    max_stale = ("RFC 9111 §5.2.1.2", "the stored response is stale, and the request's max-stale allows that")
    cooldown = ("routes.*.refresh.cooldown", "a force refresh has fetched it a moment ago")
    stale_if_error = ("RFC 5861 §4", "the upstream is not asked for now, and stale-if-error allows the stale response")
    disconnected = ("RFC 9111 §4.2.4", "the upstream is not asked for now, and nothing forbids the stale response")
    replayed = ("draft-ietf-httpapi-idempotency-key-header §2", "its Idempotency-Key was answered before: for nothing")
    uncached = ("routes.*.cache", "the route stores nothing")
    method = ("RFC 9111 §4", "what is stored answers GET and HEAD only")
    unstored = ("RFC 9111 §4", "nothing is stored under the cache key")
    unmatched = ("RFC 9111 §4.1", "what is stored is for requests with other selecting header fields")
    unheld = ("RFC 9111 §3.3", "the stored part does not hold all of the range that is asked for")
    forced = ("routes.*.refresh", "it is a force refresh, which what is stored does not serve")
    no_cache = ("RFC 9111 §5.2.1.4", "the request says no-cache")
    max_age = (
        "RFC 9111 §5.2.1.1",
        "the stored response is older than the request's max-age, or stale, which that rules out",
    )
    min_fresh = (
        "RFC 9111 §5.2.1.3",
        "the stored response will not be fresh for as long as the request's min-fresh wants",
    )
    too_stale = ("RFC 9111 §5.2.1.2", "the stored response is staler than the request's max-stale allows")
    outdated = ("routes.*.refresh", "the stored response was outdated by a refresh of its group")
    purged = ("gateway purge", "the stored response was purged, and is stale since")
    invalidated = ("RFC 9111 §4.4", "the stored response was outdated by an unsafe method")
    must_validate = ("RFC 9111 §5.2.2.4", "the stored response says no-cache: each use needs the upstream's word")
    must_revalidate = ("RFC 9111 §5.2.2.2", "the stored response is stale, and says must-revalidate or the like")
    lifeless = ("RFC 9111 §4.2.1", "nothing gives the stored response a freshness lifetime")
    expired = ("RFC 9111 §4.2", "the stored response is stale: its freshness lifetime is over")
    accepted = ("background_refreshes", "it becomes a job, or joins one that is under way, and is answered at once")
    told = ("background_refreshes.*.status", "it is answered by what is recorded of the account's refreshes")
    only_if_cached = ("RFC 9111 §5.2.1.7", "the request says only-if-cached, and nothing stored will do")
    test_key = ("gateway keys create --test", "a test key gets stored responses only, and none will do")

    def __init__(self, section: str, words: str) -> None:
        self.section = section
        self.words = words

    @property
    def ground(self) -> Ground:
        """As explanations have it."""
        return Ground(self.name, self.words, self.section)


DECISIONS: dict[type[Decision], str] = {
    Reuse: "reuse",
    ReuseWhileRevalidating: "reuse while revalidating",
    Validate: "validate",
    Fetch: "fetch",
    Refuse: "refuse",
}
"""Each kind of decision, in words."""


def reused(detail: Detail | None) -> Why:
    """Why a stored response is reused."""
    match detail:
        case None:
            return Why.fresh
        case Detail.cooldown:
            return Why.cooldown
        case Detail.max_stale:
            return Why.max_stale
        case Detail.stale_if_error:
            return Why.stale_if_error
        case Detail.disconnected:
            return Why.disconnected
        case _:
            assert_never(detail)


def gone_on(
    decision: Validate | Fetch, selected: StoredResponse | None, policy: Policy, ttl: float, demands: Demands | None
) -> Why:
    """Why a request goes to the upstream; `selected` is the stored response that matches it, `ttl` what it has left."""
    match decision.fwd:
        case Fwd.uri_miss:
            return Why.unstored
        case Fwd.vary_miss:
            return Why.unmatched
        case Fwd.partial:
            return Why.unheld
        case Fwd.bypass:
            return Why.uncached
        case Fwd.method:
            return Why.method
        case Fwd.request:
            return demanded(selected, ttl, demands) if decision.demanded and demands is not None else Why.forced
        case Fwd.stale:
            return Why.unstored if selected is None else unfit(selected, policy)
        case _:
            assert_never(decision.fwd)


def unfit(stored: StoredResponse, policy: Policy) -> Why:
    """Why a stored response that is not fresh serves no request without the upstream's word."""
    if stored.invalid:
        return Why.invalidated
    if stored.outdated:
        return Why.outdated
    if stored.is_purged:
        return Why.purged
    if stored.terms.no_cache and not overriding(stored.status, policy):
        return Why.must_validate
    if lifetime(stored.terms, stored.status, policy) is None:
        return Why.lifeless
    if stored.terms.must_revalidate and not overriding(stored.status, policy):
        return Why.must_revalidate
    return Why.expired


def demanded(stored: StoredResponse | None, ttl: float, demands: Demands) -> Why:
    """Which of a request's directives rules out a stored response that would do without them; None for a fresh part."""
    if demands.no_cache:
        return Why.no_cache
    if stored is None:
        return Why.min_fresh if demands.max_age is None else Why.max_age
    content = Demands(min_fresh=demands.min_fresh, max_stale=inf)
    if not accepts(content, 0.0, ttl, immutable=stored.terms.immutable):
        return Why.min_fresh
    if demands.max_stale is not None and -ttl > demands.max_stale:
        return Why.too_stale
    return Why.max_age
