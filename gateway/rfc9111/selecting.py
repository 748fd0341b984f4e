"""Selecting header fields (RFC 9111 §4.1): whether a request may be answered with what another one got."""

import re
from collections.abc import Iterable
from functools import lru_cache

from gateway.messages import Fields
from gateway.rfc9111.directives import members
from gateway.rfc9111.stored import StoredResponse

ABSENT = ""
# A field that is present without a value says something else than an absent one (RFC 9110 §12.5.3), and no
# normalised value is blank.
EMPTY = " "

# Lists whose order means nothing and whose members compare case-insensitively (RFC 9110 §12.5).
_PREFERENCES = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language"})
# Lists whose members compare case-insensitively, and whose order counts (RFC 9110 §8.4, §8.5).
_CASELESS = frozenset({"access-control-request-headers", "content-encoding", "content-language"})
# Fields that are no lists: blanks around their commas belong to the value.
_SINGLE = frozenset({"authorization", "cookie", "referer", "user-agent"})
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def selecting(vary_values: Iterable[str], request_fields: Fields) -> tuple[tuple[str, str], ...]:
    """What to keep of the request beside its response, in the shape of `StoredResponse.selecting`.

    `vary_values` are the response's Vary field lines. A `*` among them is kept too, and never matches.
    """
    names = {member.lower() for value in vary_values for member in members(value)}
    return tuple((name, _normalised(name, request_fields)) for name in sorted(names))


def matches(stored_selecting: tuple[tuple[str, str], ...], request_fields: Fields) -> bool:
    """Whether `request_fields` have the selecting header fields that the stored response answered."""
    for name, value in stored_selecting:  # noqa: SIM110 - all() would cost every hit with Vary a fifth more
        if name == "*" or _normalised(name, request_fields) != value:
            return False
    return True


def select(variants: Iterable[StoredResponse], request_fields: Fields) -> StoredResponse | None:
    """The variant to answer with, None where none matches: the most recently made (§4) of those with a Vary (§4.1).

    One without is what an origin says that forgot its Vary, so it comes after them; an outdated one comes last.
    """
    selected = None
    for stored in variants:
        if selected is not None and _rank(stored) <= _rank(selected):
            continue
        if not stored.selecting or matches(stored.selecting, request_fields):
            selected = stored
    return selected


def _rank(stored: StoredResponse) -> tuple[bool, bool, float, float]:
    return not stored.outdated, bool(stored.selecting), stored.terms.date, stored.received


def _normalised(name: str, request_fields: Fields) -> str:
    lines = request_fields.getall(name, ())
    if not lines:
        return ABSENT
    return ", ".join(lines) or EMPTY if name in _SINGLE else _list_written(name, tuple(lines))


# Every hit on a response with Vary asks this, and clients send few different values: 2.4 instead of 4.1 microseconds
# a decision. Single fields stay out of it: they hold credentials.
@lru_cache(maxsize=256)
def _list_written(name: str, lines: tuple[str, ...]) -> str:
    items = [member for line in lines for member in members(line)]
    if name in _PREFERENCES:
        items = sorted(map(_preference, items))
    elif name in _CASELESS:
        items = [item.lower() for item in items]
    return ", ".join(items) or EMPTY


def _preference(member: str) -> str:
    """One member without what does not change its meaning: case, blanks around parameters, how a weight is written."""
    if ";" not in member:
        return member.lower()
    if '"' in member:
        return member
    subject, *parameters = (part.strip(" \t") for part in member.split(";"))
    return ";".join([subject.lower(), *_parameters(parameters)])


def _parameters(parameters: list[str]) -> list[str]:
    pairs = [parameter.partition("=") for parameter in parameters if parameter]
    written = [f"{name.lower()}{equals}{value}" for name, equals, value in pairs]
    if pairs and pairs[-1][0].lower() == "q" and _WEIGHT.fullmatch(pairs[-1][2]):
        weight = float(written.pop()[2:])
        if weight != 1:
            written.append(f"q={weight:g}")
    return written
