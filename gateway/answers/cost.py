"""What an upstream's content says its call cost: one whole number at a path of member names, or why there is none."""

import json
import re
from enum import Enum

import orjson

from gateway.answers.coding import TooLarge, unpacked

MOST = 10**15
"""The most tokens that one call is believed to cost."""

_MOST_UNPACKED = 8 << 20
# Such a name is written in one way only where no character of it is escaped, which can be seen.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
_ESCAPED = re.compile(rb"\\u00[2-7]")


class Untold(Enum):
    """Why no cost is recorded for an answer, as the log words it."""

    too_large = "the content is too large to be read"
    part = "the content is a part of the whole (206)"
    coded = "the content is in a coding that is not read (only gzip is), or is no gzip although it says so"
    not_object = "the content is no JSON object"
    absent = "the content has no such member"
    repeated = "the content has the member more than once"
    not_whole = "the member is no whole number from 0 to 10^15"


def told(content: bytes, coding: str, path: tuple[str, ...]) -> int | Untold:
    """The number at `path`, by which one member of each object on the way is named, in tokens of the vendor's.

    `coding` is the value of Content-Encoding. What a second parser could read as another number is none. Takes some
    5 ms per MiB, 25 where a name on the path may be there twice.
    """
    try:
        text = unpacked(content, coding, _MOST_UNPACKED)
    except TooLarge:
        return Untold.too_large
    except ValueError:
        return Untold.coded
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Untold.not_object
    if not isinstance(document, dict):
        return Untold.not_object
    found = _at(document, path)
    if isinstance(found, Untold):
        return found
    if not _is_only(text, path):
        return Untold.repeated
    return found


def _at(document: object, path: tuple[str, ...]) -> int | Untold:
    found = document
    for name in path:
        if not isinstance(found, dict) or name not in found:
            return Untold.absent
        found = found[name]
    # Not isinstance: true would be 1.
    return found if type(found) is int and 0 <= found <= MOST else Untold.not_whole


class _Members(list[tuple[str, object]]):
    """An object's members, repeated ones included."""


def _is_only(text: bytes, path: tuple[str, ...]) -> bool:
    """Whether no name on the path stands twice in its object: parsers differ in which of the two they take."""
    names = [b'"%b"' % name.encode() for name in path if _PLAIN_NAME.match(name)]
    if len(names) == len(path) and all(text.count(name) == 1 for name in names) and not _ESCAPED.search(text):
        return True
    try:
        found = json.loads(text, object_pairs_hook=_Members)
    except RecursionError:
        return False
    for name in path:
        values = [value for member, value in found if member == name]
        if len(values) != 1:
            return False
        (found,) = values
    return True
