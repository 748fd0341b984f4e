"""Freshness lifetime and age (RFC 9111 §4.2), and for how long a stale response may be served (RFC 5861).

All of it is computed at request time, so that a changed policy acts on what is already stored.
"""

from math import floor

from gateway.messages import Fields
from gateway.rfc9111.dates import parse_date
from gateway.rfc9111.directives import delta_seconds, members
from gateway.rfc9111.stored import Policy, StoredResponse, Terms, Times

# A steady time's finest steps, of which no two fetches share one, and 2^32 divided by the golden ratio.
_MOMENTS = 2**22
_GOLDEN = 2_654_435_769

TTL_STATUSES = frozenset({200, 203, 301, 308})


def configured_ttl(status: int, policy: Policy) -> float | None:
    """Seconds that the route gives a response of `status`, the more specific setting first; None for none."""
    ttl = policy.ttl_by_status.get(status)
    return policy.ttl if ttl is None and status in TTL_STATUSES else ttl


def overriding(status: int, policy: Policy) -> bool:
    """Whether the route overrules the origin's fields: only where it has a lifetime to put in their place."""
    return policy.override_origin and configured_ttl(status, policy) is not None


def lasting(stored: StoredResponse, policy: Policy) -> float | None:
    """The freshness lifetime of what is stored, in seconds; None where nothing gives one.

    One that the route gives is shortened by its jitter, so that what came together does not go stale together.
    """
    whole = lifetime(stored.terms, stored.status, policy)
    if not whole or not policy.ttl_jitter:
        return whole
    silent = policy.override_origin or stored.terms.lifetime is None
    routes = silent and configured_ttl(stored.status, policy) is not None
    return whole * (1 - policy.ttl_jitter * _draw(stored.began)) if routes else whole


def _draw(began: float) -> float:
    """A number in [0, 1) that a moment stands for: the next moments' are far away (multiplicative hashing)."""
    return (int(began * _MOMENTS) * _GOLDEN & 0xFFFF_FFFF) / 2**32


def lifetime(terms: Terms, status: int, policy: Policy) -> float | None:
    """The freshness lifetime in seconds (§4.2.1), None where neither the origin nor the route gives one.

    On a pure route one is assumed where the origin is silent (§4.2.2); other routes never guess.
    """
    if policy.override_origin or terms.lifetime is None:
        ttl = configured_ttl(status, policy)
        if ttl is not None:
            return ttl
        if policy.pure and terms.lifetime is None:
            return terms.heuristic
    return terms.lifetime


def initial_age(fields: Fields, times: Times) -> float:
    """corrected_initial_age in seconds (§4.2.3)."""
    date = parse_date(fields.get("Date", ""), times.wall)
    # Date tells whole seconds only: what is left of the second it was made in is no age.
    apparent_age = 0.0 if date is None else max(0.0, floor(times.wall) - date)
    return max(apparent_age, _age_value(fields) + times.received - times.began)


def _age_value(fields: Fields) -> float:
    """The Age field's first member; what is no number counts as no Age (§5.1)."""
    if "Age" not in fields:
        return 0.0
    first = next((member for line in fields.getall("Age") for member in members(line)), None)
    return delta_seconds(first) or 0.0


def current_age(stored: StoredResponse, now: float) -> float:
    """Seconds since the origin made or validated the response (§4.2.3); `now` in steady seconds."""
    return age_at(now, stored.initial_age, stored.received)


def age_at(now: float, initial_age: float, received: float) -> float:
    """`current_age` of a response that was so old when it was received."""
    # A steady clock begins anew with each process, and may begin behind what another process stored.
    resident = now - received
    return initial_age + resident if resident > 0 else initial_age


def needs_validation(terms: Terms, status: int, policy: Policy, ttl: float) -> bool:
    """Whether the origin forbids any use without validation, `ttl` seconds before the response turns stale (§4.2.4)."""
    return (terms.no_cache or (terms.must_revalidate and ttl <= 0)) and not overriding(status, policy)


def never_stale(terms: Terms, status: int, policy: Policy) -> bool:
    """Whether the origin forbids any use of the stale response without validation (§4.2.4)."""
    return (terms.no_cache or terms.must_revalidate) and not overriding(status, policy)


def stale_while_revalidate(terms: Terms, status: int, policy: Policy) -> float:
    """Seconds of staleness bridged while a background fetch runs (RFC 5861 §3); 0 where that is forbidden."""
    if never_stale(terms, status, policy):
        return 0.0
    origins = None if overriding(status, policy) else terms.stale_while_revalidate
    return policy.stale_while_revalidate if origins is None else origins


def stale_if_error(terms: Terms, status: int, policy: Policy) -> float | None:
    """Seconds of staleness bridged when the upstream fails (RFC 5861 §4), 0 where that is forbidden.

    None where neither the origin nor the route says anything of it.
    """
    if never_stale(terms, status, policy):
        return 0.0
    origins = None if overriding(status, policy) else terms.stale_if_error
    return policy.stale_if_error if origins is None else origins
