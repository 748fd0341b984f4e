"""What an upstream's answer says of its rate limits: RateLimit (the IETF draft, old and new) and the X- fields."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import http_sf
from multidict import istr

from gateway.messages import Fields
from gateway.rfc9111.dates import parse_date

# Each with -Limit, -Remaining and -Reset: ShipStation's, the common one, and that of the draft's first versions.
_TRIPLES = tuple(
    (istr(f"{prefix}-Limit"), istr(f"{prefix}-Remaining"), istr(f"{prefix}-Reset"))
    for prefix in ("X-Rate-Limit", "X-RateLimit", "RateLimit")
)
_LIMITS = istr("RateLimit")
_POLICIES = istr("RateLimit-Policy")

TELLING = (*(remaining for _, remaining, _ in _TRIPLES), _LIMITS)
"""Without one of these fields an answer says nothing of what is left."""

_LONGEST = 1024
"""Characters; what is longer is not read."""

# The first of a list, without parameters; fractions are dropped. Nobody's numbers need more digits.
_NUMBER = re.compile(r"[ \t]*([0-9]{1,15})(?:\.[0-9]*)?[ \t]*(?:[,;].*)?", re.ASCII | re.DOTALL)

_EPOCH = 1_000_000_000
"""So many seconds are no time to wait, but a date since 1970."""

_EPOCH_IN_MILLISECONDS = 1_000_000_000_000


@dataclass(slots=True, frozen=True)
class RateLimit:
    """`remaining` calls are left of `total`, None if unknown, for `seconds`, None if nobody said how long.

    `seconds` is negative where the end lies in the past.
    """

    remaining: int
    total: int | None = None
    seconds: float | None = None


def tells(fields: Fields) -> bool:
    """Whether an answer with these fields may say how many calls are left."""
    first, second, third, fourth = TELLING
    return first in fields or second in fields or third in fields or fourth in fields


def rate_limits(fields: Fields, wall: float) -> tuple[RateLimit, ...]:
    """Every limit that an answer speaks of in a way that can be read; `wall`: wall-clock seconds when it came.

    Dates are counted from the answer's own Date where it has one.
    """
    date = parse_date(fields.get("Date", ""), wall)
    at = wall if date is None else date
    found = [_of_triple(fields, *names, at) for names in _TRIPLES]
    return (*(limit for limit in found if limit is not None), *_of_draft(fields))


def _of_triple(fields: Fields, limit: str, remaining: str, reset: str, at: float) -> RateLimit | None:
    left = _number(fields.get(remaining, ""))
    return None if left is None else RateLimit(left, _number(fields.get(limit, "")), _until(fields.get(reset, ""), at))


def _number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    return None if match is None else int(match[1])


def _until(text: str, at: float) -> float | None:
    """Seconds from `at`: as they are, or to a date in epoch seconds, epoch milliseconds, ISO 8601 or HTTP's format."""
    number = _number(text)
    if number is None:
        date = _date(text, at) if len(text) <= _LONGEST else None
        return None if date is None else date - at
    if number < _EPOCH:
        return float(number)
    return (number / 1000 if number >= _EPOCH_IN_MILLISECONDS else number) - at


def _date(text: str, at: float) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip(" \t"))
    except ValueError:
        return parse_date(text, at)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _of_draft(fields: Fields) -> Iterator[RateLimit]:
    """draft-ietf-httpapi-ratelimit-headers: an Item for each policy since version 08, before that one Dictionary."""
    text = _joined(fields, _LIMITS)
    if (items := _parsed(text, "list")) is None:
        yield from _of_dictionary(_parsed(text, "dictionary"))
        return
    policies = dict(_named(_parsed(_joined(fields, _POLICIES), "list")))
    for name, parameters in _named(items):
        policy = policies.get(name, {})
        remaining = _whole(parameters.get("r"))
        if remaining is not None and str(policy.get("qu", "requests")) == "requests":
            seconds = _whole(parameters.get("t", policy.get("w")))
            yield RateLimit(remaining, _whole(policy.get("q")), seconds)


def _of_dictionary(parsed: object) -> Iterator[RateLimit]:
    members = cast("Mapping[str, tuple[object, object]]", parsed or {})
    said = {name: _whole(value) for name, (value, _) in members.items()}
    remaining = said.get("remaining")
    if remaining is not None:
        yield RateLimit(remaining, said.get("limit"), said.get("reset"))


def _joined(fields: Fields, name: str) -> str:
    return ", ".join(fields.getall(name, ()))


def _parsed(text: str, kind: str) -> object | None:
    """A structured field (RFC 9651), None where it is not of that `kind`."""
    if len(text) > _LONGEST:
        return None
    try:
        return cast("object", http_sf.parse(text.encode("ascii"), tltype=kind))
    except (UnicodeEncodeError, http_sf.StructuredFieldError):
        return None


def _named(items: object | None) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The members that are Strings, as names of policies are, or Tokens, with their parameters."""
    for value, parameters in cast("list[tuple[object, Mapping[str, object]]]", items or []):
        if isinstance(value, str | http_sf.Token):
            yield str(value), parameters


def _whole(value: object) -> int | None:
    """A number of calls or seconds; booleans are none."""
    return value if type(value) is int and value >= 0 else None
