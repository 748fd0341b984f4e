"""What a request for a background refresh asks for: the subject and since when, from its query and its content.

Clients send either or both, and some a query that holds nothing but the parameters' own names (the seed). Names count
whatever their case: to who reads one more strictly than the API does, a request for one subject would be one for all.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, NamedTuple, TypeVar, assert_never
from urllib.parse import unquote_plus

from gateway.admission.background import BackgroundPolicy, SincePolicy, SubjectPolicy
from gateway.admission.since import FORMATS, instant, zone
from gateway.admission.target import Query
from gateway.errors import Problem, Reason

MOST = 2**53
"""The largest number of a subject: beyond it JSON's readers do not agree on which number it is (RFC 8259 §6)."""

_LONGEST_TEXT = 200
_DIGITS = re.compile(r"0*([1-9][0-9]{0,15})")
_EXACT_DIGITS = 20

_Value = TypeVar("_Value")


@dataclass(slots=True, frozen=True)
class Asked:
    """The subject's canonical text, None for all; since when in seconds since the epoch, None where it is not said."""

    subject: str | None
    since: float | None


def asked(policy: BackgroundPolicy, query: Query, content: bytes, wall: float) -> Asked:
    """What a request with a canonical `query` and this `content`, of whatever type, asks for at `wall` (seconds).

    A query value is absent where it is empty or its parameter's own name, and ignored where it is of the wrong type
    and the content holds a right one; members that are null are absent. Raises `Problem`: `malformed_request` for
    content that is no JSON object, `bad_subject` and `bad_since` for values of the wrong type and different ones,
    `bad_since` for a date after `wall` as well.
    """
    members = _members(content)
    subject = _subject(policy.subject, _given(policy.subject.name, query, members))
    if policy.since is None:
        return Asked(subject, None)
    return Asked(subject, _since(policy.since, _given(policy.since.name, query, members), wall))


def identified(kind: Literal["number", "text"], value: object) -> str | None:
    """The canonical text of a JSON value that names a subject, None where it cannot.

    A number is whole, from 1 to `MOST`, or such digits as text; text is printable, of 1 to 200 characters.
    """
    match kind:
        case "number":
            return _number(value)
        case "text":
            usable = isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()
            return str(value) if usable else None
        case _:
            assert_never(kind)


class _Given(NamedTuple):
    """All values of one parameter that are not absent: JSON values of the content, text of the query."""

    content: list[object]
    query: list[str]


def _subject(policy: SubjectPolicy, given: _Given) -> str | None:
    kind = f"a number from 1 to {MOST}" if policy.kind == "number" else f"text of 1 to {_LONGEST_TEXT} characters"

    def bad(what: str) -> Problem:
        return Problem(Reason.bad_subject, f"`{policy.name}` {what}; it must be {kind}.")

    return _one(given, lambda value: identified(policy.kind, value), bad)


def _since(policy: SincePolicy, given: _Given, wall: float) -> float | None:
    def bad(what: str) -> Problem:
        return Problem(Reason.bad_since, f"`{policy.name}` {what}; it must be {FORMATS}, in {policy.zone}.")

    where = zone(policy.zone)
    since = _one(given, lambda value: _moment(value, where), bad)
    if since is not None and since > wall:
        raise bad("is in the future")
    return since


def _one(given: _Given, read: Callable[[object], _Value | None], bad: Callable[[str], Problem]) -> _Value | None:
    """The one value that is given, None where none is. `read` gives None for what is of the wrong type."""
    in_content: list[_Value | None] = [read(value) for value in given.content]
    in_query: list[_Value | None] = [read(value) for value in given.query]
    if None in in_content or (None in in_query and not in_content):
        raise bad("cannot be read")
    found = {value for value in (*in_content, *in_query) if value is not None}
    if len(found) > 1:
        raise bad("is given with different values")
    return next(iter(found), None)


def _given(name: str, query: Query, members: tuple[tuple[str, object], ...]) -> _Given:
    told = [value for member, value in members if member.casefold() == name.casefold() and value is not None]
    return _Given(told, list(_values(name, query)))


def _values(name: str, query: Query) -> Iterator[str]:
    for encoded, value in query:
        spelled = unquote_plus(encoded)
        if value is None or spelled.casefold() != name.casefold():
            continue
        # What is no UTF-8 becomes what is not printable.
        told = unquote_plus(value, errors="surrogateescape")
        if told not in ("", name, spelled):
            yield told


def _number(value: object) -> str | None:
    if isinstance(value, str) and (digits := _DIGITS.fullmatch(value)):
        value = int(digits[1])
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return str(int(value)) if 1 <= value <= MOST and value == int(value) else None


def _moment(value: object, where: tzinfo) -> float | None:
    try:
        return instant(value, where) if isinstance(value, str) else None
    except ValueError:
        return None


def _members(content: bytes) -> tuple[tuple[str, object], ...]:
    """The members of JSON content in their order, repeated ones too; none for null and where there is no content."""
    if not content.strip():
        return ()
    try:
        document = _DECODER.decode(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Problem(Reason.malformed_request, "The content is not JSON in UTF-8.") from None
    if document is None:
        return ()
    if not isinstance(document, tuple):
        raise Problem(Reason.malformed_request, "The content is JSON, but no object.")
    return document


def _integer(digits: str) -> float:
    """Exact as far as it can matter: Python refuses to read an integer of thousands of digits."""
    return int(digits) if len(digits) <= _EXACT_DIGITS else float(digits)


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


# Objects become tuples of pairs: one that holds a name twice must not pass for one that holds its last value alone.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=_integer, parse_constant=_refused)
