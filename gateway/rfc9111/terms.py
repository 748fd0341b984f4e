"""What the origin's fields say of reuse (RFC 9111 §4.2.1 and §5.2.2, RFC 5861), distilled once when storing."""

from gateway.messages import Fields
from gateway.rfc9111.dates import parse_date
from gateway.rfc9111.directives import Directives, delta_seconds, directives, unqualified
from gateway.rfc9111.stored import Terms

# s-maxage carries the meaning of proxy-revalidate (§5.2.2.10), and this cache is a shared one.
_REVALIDATING = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage"})


def terms(fields: Fields, received: float) -> Terms:
    """Distil a response's fields; `received` (seconds since the epoch) stands in for a missing Date."""
    found = directives(fields.getall("Cache-Control", ()))
    return Terms(
        lifetime=_explicit_lifetime(found, fields, received),
        no_cache=unqualified(found, "no-cache"),
        must_revalidate=not _REVALIDATING.isdisjoint(found),
        stale_while_revalidate=delta_seconds(found.get("stale-while-revalidate")),
        stale_if_error=delta_seconds(found.get("stale-if-error")),
    )


def _explicit_lifetime(found: Directives, fields: Fields, received: float) -> float | None:
    for name in ("s-maxage", "max-age"):
        if name in found:
            # Freshness information that cannot be read makes the response stale (§4.2.1).
            return delta_seconds(found[name]) or 0.0
    expires = fields.get("Expires")
    return None if expires is None else _until(expires, fields.get("Date", ""), received)


def _until(expires: str, date: str, received: float) -> float:
    """Seconds from Date to Expires; 0 where that is past or no date at all, "0" included (§5.3)."""
    end = parse_date(expires, received)
    if end is None:
        return 0.0
    start = parse_date(date, received)
    return max(0.0, end - (received if start is None else start))
