"""What a request gets of the stored responses under its cache key (RFC 9111 §4): one closed set of decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.messages import Fields
from gateway.rfc9111.freshness import (
    current_age,
    lifetime,
    needs_validation,
    stale_if_error,
    stale_while_revalidate,
)
from gateway.rfc9111.selecting import select
from gateway.rfc9111.stored import Policy, StoredResponse


class Fwd(StrEnum):
    """Why a request goes to the upstream, in the words of RFC 9211 §2.2."""

    bypass = "bypass"
    method = "method"
    uri_miss = "uri-miss"
    vary_miss = "vary-miss"
    miss = "miss"
    request = "request"
    stale = "stale"
    partial = "partial"


class Detail(StrEnum):
    """Why a stored response is reused although the request or its age speaks against it (RFC 9211 §2.8)."""

    cooldown = "cooldown"
    stale_if_error = "stale-if-error"


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
    """Ask the upstream whether `stored` still holds (§4.3)."""

    stored: StoredResponse
    fwd: Fwd


@dataclass(slots=True, frozen=True)
class Fetch:
    """Nothing stored will do."""

    fwd: Fwd


Decision = Reuse | ReuseWhileRevalidating | Validate | Fetch

_URI_MISS = Fetch(Fwd.uri_miss)
_VARY_MISS = Fetch(Fwd.vary_miss)
_REQUEST = Fetch(Fwd.request)
_STALE = Fetch(Fwd.stale)


def decide(
    variants: Sequence[StoredResponse],
    request_fields: Fields,
    policy: Policy,
    now: float,
    *,
    forced: bool,
    cooldown: float,
) -> Decision:
    """Decide for a GET or HEAD at `now` (steady seconds).

    `forced`: a force refresh, which reuses only what another one fetched less than `cooldown` seconds ago.
    """
    if not variants:
        return _URI_MISS
    stored = select(variants, request_fields)
    if stored is None:
        return _VARY_MISS
    age = current_age(stored, now)
    ttl = (lifetime(stored.terms, stored.status, policy) or 0.0) - age
    if forced:
        return _forced(stored, policy, age, ttl, now - stored.received < cooldown)
    if stored.outdated:
        return _STALE
    if ttl > 0 and not needs_validation(stored.terms, stored.status, policy, ttl):
        return Reuse(stored, age, ttl)
    return _stale(stored, policy, age, ttl)


def _forced(stored: StoredResponse, policy: Policy, age: float, ttl: float, cooling: bool) -> Decision:
    if not (cooling and stored.forced) or stored.outdated:
        return _REQUEST
    if needs_validation(stored.terms, stored.status, policy, ttl):
        return _REQUEST
    return Reuse(stored, age, ttl, Detail.cooldown)


def _stale(stored: StoredResponse, policy: Policy, age: float, ttl: float) -> Decision:
    if 0 < stale_while_revalidate(stored.terms, stored.status, policy) >= -ttl:
        return ReuseWhileRevalidating(stored, age, ttl)
    return Validate(stored, Fwd.stale) if stored.etag or stored.last_modified else _STALE


def usable_on_error(
    variants: Sequence[StoredResponse], request_fields: Fields, policy: Policy, now: float
) -> Reuse | None:
    """The stored response to answer with after the upstream failed (RFC 5861 §4), None where there is none.

    A refresh that outdated a response does not bar it here: an old answer is what stale-if-error asks for.
    """
    stored = select(variants, request_fields)
    if stored is None:
        return None
    age = current_age(stored, now)
    ttl = (lifetime(stored.terms, stored.status, policy) or 0.0) - age
    if 0 < stale_if_error(stored.terms, stored.status, policy) >= -ttl:
        return Reuse(stored, age, ttl, Detail.stale_if_error)
    return None
