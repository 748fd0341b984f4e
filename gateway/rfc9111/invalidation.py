"""What an unsafe request's response says of other stored responses (RFC 9111 §4.4, RFC 9875, RFC 9110 §9.3.3)."""

import re
from typing import cast
from urllib.parse import SplitResult, urljoin, urlsplit

import http_sf

from gateway.messages import DEFAULT_PORTS, Fields

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 §9.2.1's, case-sensitive as methods are; others may be safe too, and an unknown one must count as unsafe."""

# What a URI reference is written in, all else being percent-encoded (RFC 3986 §2).
_REFERENCE = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")

# RFC 9875 §2 asks for 32 of 32 characters at least; a stored response holds on to all of its groups.
_MOST_GROUPS = 128
_LONGEST_GROUP = 128
# So many groups of that length, in quotes. Reading takes some 2 ms for each KiB.
_LONGEST_LIST = _MOST_GROUPS * (_LONGEST_GROUP + 4)


def invalidates(method: str, status: int) -> bool:
    """Whether the response to `method` invalidates its target, and what `named_targets` finds (§4.4)."""
    return method not in SAFE_METHODS and 200 <= status < 400


def named_targets(fields: Fields, target_url: str) -> list[str]:
    """The URLs in Location and Content-Location that may be invalidated too: those of the target's origin (§4.4).

    `target_url` is the absolute URL of the request. The URLs are absolute, their origin is spelled as in
    `target_url`, fragments are cut off; what is no URI reference is left out.
    """
    values = [value for name in ("Location", "Content-Location") for value in fields.getall(name, ())]
    return [url for value in values if (url := _of_same_origin(value, target_url)) is not None]


def answers_get(target_url: str, fields: Fields) -> bool:
    """Whether a POST's 200 is what a GET of its target would get, should it also say how long (RFC 9110 §9.3.3)."""
    values = fields.getall("Content-Location", ())
    return len(values) == 1 and _of_same_origin(values[0], target_url) == _of_same_origin(target_url, target_url)


def _of_same_origin(reference: str, target_url: str) -> str | None:
    if not _REFERENCE.fullmatch(reference):
        return None
    target = urlsplit(target_url)
    try:
        url = urlsplit(urljoin(target_url, reference))
        same = _origin(url) == _origin(target)
    except ValueError:
        return None
    if not same:
        return None
    return url._replace(scheme=target.scheme, netloc=target.netloc, path=url.path or "/", fragment="").geturl()


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 9110 §4.3.1). Raises ValueError where the port is none."""
    return url.scheme, url.hostname, url.port if url.port is not None else DEFAULT_PORTS.get(url.scheme)


def cache_groups(fields: Fields) -> tuple[str, ...]:
    """The groups that a response belongs to among those of its origin (RFC 9875 §2), in the field's order."""
    return _strings(fields, "Cache-Groups")


def invalidated_groups(fields: Fields) -> tuple[str, ...]:
    """The groups of its origin that a response invalidates (RFC 9875 §3), provided that `invalidates` says so."""
    return _strings(fields, "Cache-Group-Invalidation")


def _strings(fields: Fields, name: str) -> tuple[str, ...]:
    """A List of Strings (RFC 9651 §3.1, §3.3.3), none where any of it is something else or it is longer
    than all groups that are heeded; parameters mean nothing.
    """
    text = ", ".join(fields.getall(name, ()))
    if not 0 < len(text) <= _LONGEST_LIST:
        return ()
    try:
        parsed = http_sf.parse(text.encode("ascii"), tltype="list")
    except (UnicodeEncodeError, http_sf.StructuredFieldError):
        return ()
    # The library has one type for what it parses; of a list each member is a value with its parameters.
    listed = cast("list[tuple[object, object]]", parsed)
    strings = [value for value, _ in listed if isinstance(value, str)]
    if len(strings) < len(listed):
        return ()
    return tuple(dict.fromkeys(string for string in strings if len(string) <= _LONGEST_GROUP))[:_MOST_GROUPS]
