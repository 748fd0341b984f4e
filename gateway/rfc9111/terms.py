"""What the origin's fields say of reuse (RFC 9111 §4.2.1, §4.2.2 and §5.2.2, RFC 5861, RFC 8246), distilled once."""

from gateway.messages import Fields
from gateway.rfc9111.dates import parse_date
from gateway.rfc9111.directives import Directives, delta_seconds, unqualified
from gateway.rfc9111.stored import Terms
from gateway.rfc9111.targeted import in_force

# RFC 9110 §15.1 without 206, whose content is not the whole that it would be taken for.
HEURISTICALLY_CACHEABLE = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})

# s-maxage carries the meaning of proxy-revalidate (§5.2.2.10), and this cache is a shared one.
_REVALIDATING = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage"})

# A response is assumed to stay as it is for a tenth of the time it has been so (§4.2.2), in seconds and at most a day.
_HEURISTIC_PARTS = 10
_HEURISTIC_LIMIT = 86_400.0


def terms(fields: Fields, received: float, status: int) -> Terms:
    """Distil a response's fields; `received` (seconds since the epoch) stands in for a missing or invalid Date."""
    return distilled(in_force(fields), fields, received, status)


def distilled(governing: tuple[Directives, bool], fields: Fields, received: float, status: int) -> Terms:
    """As `terms`, where it is known already what is `in_force`."""
    found, expires_counts = governing
    made = parse_date(fields.get("Date", ""), received)
    date = received if made is None else made
    lifetime = _explicit_lifetime(found, fields if expires_counts else None, date, received)
    return Terms(
        lifetime=lifetime,
        heuristic=_heuristic(fields, date, received) if lifetime is None and assumable(found, status) else None,
        no_cache=unqualified(found, "no-cache"),
        must_revalidate=not _REVALIDATING.isdisjoint(found),
        stale_while_revalidate=delta_seconds(found.get("stale-while-revalidate")),
        stale_if_error=delta_seconds(found.get("stale-if-error")),
        immutable="immutable" in found,
        date=date,
    )


def assumable(found: Directives, status: int) -> bool:
    """Whether a response without explicit lifetime may be stored, and a lifetime assumed for it (§3, §4.2.2)."""
    return status in HEURISTICALLY_CACHEABLE or "public" in found


def _explicit_lifetime(found: Directives, fields: Fields | None, date: float, received: float) -> float | None:
    for name in ("s-maxage", "max-age"):
        if name in found:
            # Freshness information that cannot be read makes the response stale (§4.2.1).
            return delta_seconds(found[name]) or 0.0
    expires = None if fields is None else fields.get("Expires")
    return None if expires is None else _until(expires, date, received)


def _until(expires: str, date: float, received: float) -> float:
    """Seconds from `date` to Expires; 0 where that is past or no date at all, "0" included (§5.3)."""
    end = parse_date(expires, received)
    return 0.0 if end is None else max(0.0, end - date)


def _heuristic(fields: Fields, date: float, received: float) -> float | None:
    """Seconds that a response last modified some time before `date` may be assumed to be fresh (§4.2.2)."""
    modified = parse_date(fields.get("Last-Modified", ""), received)
    if modified is None or modified > date:
        return None
    return min((date - modified) / _HEURISTIC_PARTS, _HEURISTIC_LIMIT)
