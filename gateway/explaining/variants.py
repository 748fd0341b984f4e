"""The stored responses under a cache key, as an explanation shows them."""

from collections.abc import Sequence

from gateway.admission.masking import HIDDEN
from gateway.admission.snapshot import Snapshot
from gateway.explaining.explanation import Variant
from gateway.explaining.fields import secret_fields
from gateway.lookup import Lookup
from gateway.messages import Fields
from gateway.rfc9111.freshness import lifetime
from gateway.rfc9111.reuse import measured
from gateway.rfc9111.selecting import matches, select
from gateway.rfc9111.stored import StoredResponse


def shown(lookup: Lookup, variants: Sequence[StoredResponse], snapshot: Snapshot, now: float) -> tuple[Variant, ...]:
    """Each of `variants` as `lookup` finds it at `now` (steady seconds)."""
    seen, secret = lookup.seen(variants), secret_fields(snapshot)
    selected = select(variants, seen)
    return tuple([_shown(lookup, stored, seen, secret, now, stored is selected) for stored in variants])


def _shown(
    lookup: Lookup, stored: StoredResponse, seen: Fields, secret: frozenset[str], now: float, selected: bool
) -> Variant:
    policy = lookup.cache.policy
    age, left = measured(stored, policy, now)
    ttl = None if lifetime(stored.terms, stored.status, policy) is None else left
    return Variant(
        status=stored.status,
        state=_state(stored, ttl),
        age=age,
        size=len(stored.body),
        ttl=ttl,
        selecting=tuple([(name, HIDDEN if name in secret else value) for name, value in stored.selecting]),
        matches=matches(stored.selecting, seen),
        selected=selected,
        validator=bool(stored.etag or stored.last_modified),
        forced=stored.forced,
    )


def _state(stored: StoredResponse, ttl: float | None) -> str:
    if stored.invalid:
        return "invalid"
    if stored.outdated:
        return "outdated"
    if stored.is_purged:
        return "purged"
    return "fresh" if ttl is not None and ttl > 0 else "stale"
