"""Targeted fields (RFC 9213): Cache-Control for one class of caches, written as a Dictionary (RFC 9651 §3.2)."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import cast

import http_sf

from gateway.messages import Fields
from gateway.rfc9111.directives import QUALIFIABLE, Directives, directives

TARGET_LIST = ("Gateway-Cache-Control", "CDN-Cache-Control")
"""The targeted fields this cache heeds, the most applicable first (§2.2)."""

_FIRST, _SECOND = TARGET_LIST
_UNREADABLE = ""

# Reading takes some 4 ms for each KiB. What is left unread may say no-store.
_LONGEST = 4096
_REMEMBERED = 512


def in_force(fields: Fields) -> tuple[Directives, bool]:
    """The directives that govern a response, and whether its Expires may count beside them.

    They are those of the first targeted field that is valid and not empty, which bars Cache-Control and Expires alike
    (§2.2); without one, those of Cache-Control.
    """
    if _FIRST not in fields and _SECOND not in fields:
        plain = fields.get("Cache-Control", "")
        if len(plain) <= _REMEMBERED and len(fields.getall("Cache-Control", ())) <= 1:
            return _plain(plain)
    lines = tuple([tuple(fields.getall(name, ())) for name in (*TARGET_LIST, "Cache-Control")])
    short = sum(map(len, chain.from_iterable(lines))) <= _REMEMBERED
    return _remembered(lines) if short else _in_force(lines)


def _in_force(lines: Sequence[Sequence[str]]) -> tuple[Directives, bool]:
    *targeted, cache_control = lines
    for written in targeted:
        if found := _targeted(written):
            return _as_written(found), False
    return directives(cache_control), True


# Each response is asked several times on its way, and origins say few different things.
_remembered = lru_cache(maxsize=256)(_in_force)


@lru_cache(maxsize=256)
def _plain(cache_control: str) -> tuple[Directives, bool]:
    """What one line of Cache-Control says alone."""
    return directives((cache_control,)), True


def _targeted(lines: Iterable[str]) -> dict[str, object]:
    """The members of a targeted field without their parameters; none where it is empty or invalid (§2.1).

    One of more than 4 KiB says no-store.
    """
    text = ", ".join(lines)
    if not text:
        return {}
    if len(text) > _LONGEST:
        return {"no-store": True}
    try:
        parsed = http_sf.parse(text.encode("utf-8", "surrogateescape"), tltype="dictionary")
    except http_sf.StructuredFieldError:
        return {}
    members = cast("dict[str, tuple[object, object]]", parsed)
    return {name: value for name, (value, _) in members.items()}


def _as_written(found: dict[str, object]) -> Directives:
    return {name: _argument(name, value) for name, value in found.items() if value is not False}


def _argument(name: str, value: object) -> str | None:
    """What Cache-Control would have said; a value of a type that is not the directive's own is not read (§2.1).

    The directive stands without it: a max-age is then invalid, and a `private` concerns the whole response.
    """
    match value:
        case True:
            return None
        case int() if name not in QUALIFIABLE:
            return str(value)
        case str() if name in QUALIFIABLE:
            return value
        case _:
            return _UNREADABLE
