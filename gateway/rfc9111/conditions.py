"""Preconditions that a cache evaluates against what it stored (RFC 9111 §4.3.2, RFC 9110 §13).

If-Match and If-Unmodified-Since are the origin's business: they protect what only the origin can change.
"""

import re
from collections.abc import Sequence

from gateway.messages import Fields
from gateway.rfc9111.dates import parse_date

# One member of a list of entity tags. Unlike a quoted string an entity tag knows no escapes (RFC 9110 §8.8.3), and a
# quote that never closes takes the rest along: then too little matches, not too much.
_MEMBER = re.compile(r'(?:[^",]++|"[^"]*+(?:"|\Z))++')


def is_conditional(request_fields: Fields) -> bool:
    """Whether the request has a precondition for `is_not_modified` to look at."""
    return "If-None-Match" in request_fields or "If-Modified-Since" in request_fields


def is_guarded(request_fields: Fields) -> bool:
    """Whether the request has a precondition that only the origin may evaluate (§4.3.2)."""
    return "If-Match" in request_fields or "If-Unmodified-Since" in request_fields


def is_not_modified(
    request_fields: Fields, status: int, etag: str | None, last_modified: str | None, date: float, now: float
) -> bool:
    """Whether a 304 answers the request, GET or HEAD, where a stored response would have been sent.

    `status`, `etag` and `last_modified` are the stored response's, `date` is its Date or else when it was received,
    in seconds since the epoch as `now`, which settles two-digit years.
    """
    if not 200 <= status < 300:
        return False
    if "If-None-Match" in request_fields:
        return _names(request_fields.getall("If-None-Match"), etag)
    return _unmodified_since(request_fields.getall("If-Modified-Since", ()), last_modified, date, now)


def _names(lines: Sequence[str], etag: str | None) -> bool:
    """Whether the lists name `etag` in weak comparison (RFC 9110 §8.8.3.2), or by `*` whatever is stored."""
    listed = [stripped for line in lines for member in _MEMBER.findall(line) if (stripped := member.strip(" \t"))]
    if not etag or listed == ["*"]:
        return listed == ["*"]
    return _opaque(etag) in map(_opaque, listed)


def _opaque(etag: str) -> str:
    """What is left to compare; clients and origins that forget the quotes mean the same tag."""
    opaque = etag.removeprefix("W/")
    return opaque[1:-1] if len(opaque) > 1 and opaque[0] == opaque[-1] == '"' else opaque


def _unmodified_since(lines: Sequence[str], last_modified: str | None, date: float, now: float) -> bool:
    """Without exactly one valid date there is no condition (RFC 9110 §13.1.3)."""
    since = parse_date(lines[0], now) if len(lines) == 1 else None
    if since is None:
        return False
    modified = date if last_modified is None else parse_date(last_modified, now)
    return modified is not None and modified <= since
