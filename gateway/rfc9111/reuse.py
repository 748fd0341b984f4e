"""What a request gets of the stored responses under its cache key (RFC 9111 §4): one closed set of decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import assert_never

from gateway.messages import Fields
from gateway.rfc9111.demands import Demands, accepts
from gateway.rfc9111.freshness import (
    current_age,
    lasting,
    needs_validation,
    never_stale,
    stale_if_error,
    stale_while_revalidate,
)
from gateway.rfc9111.selecting import select
from gateway.rfc9111.stored import Policy, StoredResponse

ERRORS = frozenset({500, 502, 503, 504})
"""The statuses that a stale response may be served instead of (RFC 5861 §4)."""


class Fwd(StrEnum):
    """Why a request goes to the upstream, in the words of RFC 9211 §2.2; `miss` is for caches that cannot say which."""

    bypass = "bypass"
    method = "method"
    uri_miss = "uri-miss"
    vary_miss = "vary-miss"
    request = "request"
    stale = "stale"
    partial = "partial"


class Detail(StrEnum):
    """Why a stored response is reused although the request or its age speaks against it (RFC 9211 §2.8)."""

    cooldown = "cooldown"
    stale_if_error = "stale-if-error"
    max_stale = "max-stale"
    disconnected = "disconnected"


@dataclass(slots=True, frozen=True)
class Reuse:
    """Answer with `stored`, `age` seconds old; `ttl` seconds remain, negative for a stale one."""

    stored: StoredResponse
    age: float
    ttl: float
    detail: Detail | None = None


@dataclass(slots=True, frozen=True)
class ReuseWhileRevalidating:
    """Answer with the stale `stored`, and let a background fetch replace it (RFC 5861 §3)."""

    stored: StoredResponse
    age: float
    ttl: float


@dataclass(slots=True, frozen=True)
class Validate:
    """Ask the upstream whether `stored` still holds (§4.3). `demanded`: the request's own directives alone want it."""

    stored: StoredResponse
    fwd: Fwd
    demanded: bool = False


@dataclass(slots=True, frozen=True)
class Fetch:
    """Nothing stored will do. `demanded`: because of the request's own directives, or they forbid to store it."""

    fwd: Fwd
    demanded: bool = False


@dataclass(slots=True, frozen=True)
class Refuse:
    """Nothing stored will do, and the request wants nothing else (§5.2.1.7)."""


Undemanded = Reuse | ReuseWhileRevalidating | Validate | Fetch
Decision = Undemanded | Refuse

_URI_MISS = Fetch(Fwd.uri_miss)
_VARY_MISS = Fetch(Fwd.vary_miss)
_REQUEST = Fetch(Fwd.request)
_STALE = Fetch(Fwd.stale)

# How stale a response may be served for want of an upstream where nobody has set a bound, in seconds (§4.2.4).
_LONGEST_DISCONNECTED = 86_400.0


def decide(
    variants: Sequence[StoredResponse],
    request_fields: Fields,
    policy: Policy,
    now: float,
    *,
    forced: bool,
    cooldown: float,
    demands: Demands | None = None,
    since: float = inf,
) -> Decision:
    """Decide for a GET or HEAD that began at `since`, at `now` (both steady seconds).

    `forced`: a force refresh, which reuses only what another one fetched less than `cooldown` seconds ago, and heeds
    none of the request's `demands` but only-if-cached. What was fetched since the request began meets them: nothing
    younger is to be had.
    """
    selected = select(variants, request_fields)
    if selected is None:
        plain: Undemanded = _VARY_MISS if variants else _URI_MISS
    else:
        plain = _undemanded(selected, policy, now, forced, cooldown)
    if demands is None:
        return plain
    decision = plain if forced else _demanded(plain, selected, policy, now, demands, since)
    return Refuse() if demands.only_if_cached and isinstance(decision, Validate | Fetch) else decision


def _undemanded(stored: StoredResponse, policy: Policy, now: float, forced: bool, cooldown: float) -> Undemanded:
    age, ttl = measured(stored, policy, now)
    if forced:
        return _forced(stored, policy, age, ttl, now - stored.received < cooldown)
    if stored.outdated:
        return _STALE
    if ttl > 0 and not needs_validation(stored.terms, stored.status, policy, ttl):
        return Reuse(stored, age, ttl)
    return _stale(stored, policy, age, ttl)


def measured(stored: StoredResponse, policy: Policy, now: float) -> tuple[float, float]:
    """The current age, and what is left of the freshness lifetime, in seconds; negative once it is stale.

    There is none where nothing gives one. What was purged is stale since then at the latest.
    """
    age = current_age(stored, now)
    ttl = (lasting(stored, policy) or 0.0) - age
    return age, min(ttl, stored.purged - now, 0.0) if stored.purged > stored.began else ttl


def _forced(stored: StoredResponse, policy: Policy, age: float, ttl: float, cooling: bool) -> Undemanded:
    if not (cooling and stored.forced) or stored.outdated or stored.is_purged:
        return _REQUEST
    if needs_validation(stored.terms, stored.status, policy, ttl):
        return _REQUEST
    return Reuse(stored, age, ttl, Detail.cooldown)


def _stale(stored: StoredResponse, policy: Policy, age: float, ttl: float) -> Undemanded:
    if 0 < stale_while_revalidate(stored.terms, stored.status, policy) >= -ttl:
        return ReuseWhileRevalidating(stored, age, ttl)
    return Validate(stored, Fwd.stale) if stored.etag or stored.last_modified else _STALE


def _demanded(
    plain: Undemanded, selected: StoredResponse | None, policy: Policy, now: float, demands: Demands, since: float
) -> Undemanded:
    """What the request's demands make of the decision for one without."""
    match plain:
        case Reuse(stored, age, ttl) | ReuseWhileRevalidating(stored, age, ttl):
            if stored.began >= since or accepts(demands, age, ttl, immutable=stored.terms.immutable):
                return plain
            if demands.no_store or not (stored.etag or stored.last_modified):
                return Fetch(Fwd.request, demanded=True)
            return Validate(stored, Fwd.request, demanded=True)
        case Validate(fwd=fwd) | Fetch(fwd=fwd):
            tolerated = _tolerated(selected, policy, now, demands)
            if tolerated is not None:
                return tolerated
            # Nothing is validated for it: a 304 is stored with what it freshens.
            return Fetch(fwd, demanded=True) if demands.no_store else plain
        case _:
            assert_never(plain)


def _tolerated(stored: StoredResponse | None, policy: Policy, now: float, demands: Demands) -> Reuse | None:
    """The stale response that the request's max-stale allows to reuse (§4.2.4, §5.2.1.2)."""
    if demands.max_stale is None or stored is None or stored.outdated:
        return None
    if never_stale(stored.terms, stored.status, policy):
        return None
    age, ttl = measured(stored, policy, now)
    accepted = accepts(demands, age, ttl, immutable=stored.terms.immutable)
    return Reuse(stored, age, ttl, Detail.max_stale) if accepted else None


def usable_on_error(
    variants: Sequence[StoredResponse],
    request_fields: Fields,
    policy: Policy,
    now: float,
    *,
    disconnected: bool = False,
    demands: Demands | None = None,
) -> Reuse | None:
    """The stored response to answer with after the upstream failed (RFC 5861 §4), None where there is none.

    A refresh that outdated a response does not bar it here: an old answer is what stale-if-error asks for. An unsafe
    method does (§4.4).
    `disconnected`: no answer came at all, so that a pure route may serve what nothing forbids (§4.2.4). A request's
    no-cache is heeded here too; its max-age and min-fresh only where nobody said stale-if-error, which is regardless of
    them.
    """
    stored = select(variants, request_fields)
    demands = demands or Demands()
    if stored is None or stored.invalid or demands.no_cache or never_stale(stored.terms, stored.status, policy):
        return None
    age, ttl = measured(stored, policy, now)
    detail = _permission(stored, policy, age, ttl, disconnected, demands)
    return None if detail is None else Reuse(stored, age, ttl, detail)


def _permission(
    stored: StoredResponse, policy: Policy, age: float, ttl: float, disconnected: bool, demands: Demands
) -> Detail | None:
    """What allows to serve the response after an error, None where nothing does."""
    allowed = stale_if_error(stored.terms, stored.status, policy)
    if 0 < max(allowed or 0.0, demands.stale_if_error or 0.0) >= -ttl:
        return Detail.stale_if_error
    if demands.max_stale is not None:
        return Detail.max_stale if accepts(demands, age, ttl, immutable=stored.terms.immutable) else None
    silent = allowed is None and demands.max_age is None and demands.min_fresh is None
    return Detail.disconnected if disconnected and policy.pure and silent and -ttl <= _LONGEST_DISCONNECTED else None


def forbids_stale(variants: Sequence[StoredResponse], request_fields: Fields, policy: Policy) -> bool:
    """Whether what is stored for the request must be validated, so that a failed upstream means 504 (§5.2.2.2)."""
    stored = select(variants, request_fields)
    return stored is not None and never_stale(stored.terms, stored.status, policy)
