"""The range of a stored whole that a request asks for (RFC 9110 §14), under the condition of If-Range (§13.1.5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.messages import Fields
from gateway.rfc9111.dates import parse_date
from gateway.rfc9111.directives import members

_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
# Beyond any content's length, and within what is read in one step: positions have as many digits as a client likes.
_DIGITS = 18


@dataclass(slots=True, frozen=True)
class Span:
    """Bytes `first` to `last`, both included and counted from 0, of a representation that has `total`."""

    first: int
    last: int
    total: int

    @property
    def content_range(self) -> str:
        """The value of a 206's Content-Range (§14.4)."""
        return f"bytes {self.first}-{self.last}/{self.total}"


@dataclass(slots=True, frozen=True)
class Unsatisfiable:
    """The range lies beyond the `total` bytes that there are."""

    total: int

    @property
    def content_range(self) -> str:
        """The value of a 416's Content-Range (§14.4)."""
        return f"bytes */{self.total}"


def asks_for_part(request_fields: Fields) -> bool:
    """Whether the request has a Range for `selected` to look at."""
    return "Range" in request_fields


def selected(
    request_fields: Fields,
    status: int,
    length: int,
    etag: str | None,
    last_modified: str | None,
    date: float,
    now: float,
) -> Span | Unsatisfiable | None:
    """What to send of `length` bytes to a GET, no other method having ranges (§14.2); None for all of them.

    `status`, `etag` and `last_modified` are the stored response's, `date` is its Date or else when it was received,
    in seconds since the epoch as `now`, which settles two-digit years. Preconditions are evaluated before (§13.2.2).
    """
    lines = request_fields.getall("Range", ())
    # Of nothing there are no parts: §14.2 lets the Range be ignored then.
    if status != 200 or len(lines) != 1 or not length:
        return None
    conditions = request_fields.getall("If-Range", ())
    if conditions and not _still(conditions, etag, last_modified, date, now):
        return None
    return _span(lines[0], length)


def _span(value: str, length: int) -> Span | Unsatisfiable | None:
    unit, _, ranges = value.partition("=")
    if unit.lower() != "bytes":
        return None
    found = [_RANGE.fullmatch(member) for member in members(ranges)]
    # Several ranges get the whole, as §14.2 allows: it costs less than many small parts of it, each with a head.
    if len(found) != 1 or found[0] is None:
        return None
    first, last = found[0].groups()
    if first:
        begin = _position(first)
        return _from(begin, _position(last) if last else max(begin, length - 1), length)
    return _suffix(_position(last), length) if last else None


def _from(first: int, last: int, length: int) -> Span | Unsatisfiable | None:
    if first > last:
        return None
    return Span(first, min(last, length - 1), length) if first < length else Unsatisfiable(length)


def _suffix(wanted: int, length: int) -> Span | Unsatisfiable | None:
    if not wanted:
        return Unsatisfiable(length)
    return Span(max(0, length - wanted), length - 1, length)


def _position(digits: str) -> int:
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _DIGITS else 10**_DIGITS


def _still(conditions: Sequence[str], etag: str | None, last_modified: str | None, date: float, now: float) -> bool:
    """Whether the client's part is of what is stored: only a strong validator can tell."""
    if len(conditions) != 1:
        return False
    condition = conditions[0]
    if condition.startswith('"'):
        return condition == etag
    modified = parse_date(last_modified or "", now)
    # Within the second of its making a representation may have changed unseen (§8.8.2.2).
    return modified is not None and date - modified >= 1 and parse_date(condition, now) == modified
