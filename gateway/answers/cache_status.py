"""The Cache-Status field (RFC 9211): how this gateway handled the request, after what caches nearer the origin said."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import http_sf

# sf-token (RFC 9651 §3.3.4).
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*\Z")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class CacheStatus(NamedTuple):
    """One request's handling; of `hit` and `fwd` at most one is set, neither where the gateway itself answers.

    `ttl` is in whole seconds, negative for a stale response; `fwd` is a reason of RFC 9211 §2.2, `fwd_status` what the
    upstream answered. `detail` is free text.
    """

    hit: bool = False
    ttl: int | None = None
    fwd: str | None = None
    fwd_status: int | None = None
    stored: bool = False
    collapsed: bool = False
    detail: str | None = None


def is_readable(lines: Sequence[str]) -> bool:
    """Whether the field's `lines` are a List of one member at least (RFC 9651 §3.1), so that another may follow."""
    try:
        return bool(http_sf.parse(", ".join(lines).encode("utf-8", "surrogateescape"), tltype="list"))
    except http_sf.StructuredFieldError:
        return False


def cache_status(status: CacheStatus, origin: str | None = None) -> str:
    """The field's value; `origin` is the value that the upstream sent, several lines joined by commas."""
    own = _member(status)
    return f"{origin}, {own}" if origin else own


def cache_status_line(status: CacheStatus) -> bytes:
    """The field line where the upstream's answer has no Cache-Status."""
    return b"Cache-Status: %b\r\n" % _member(status).encode("ascii")


def _member(status: CacheStatus) -> str:
    parts = ["gateway"]
    if status.hit:
        parts.append("hit")
    if status.fwd is not None:
        parts.append(f"fwd={status.fwd}")
    if status.fwd_status is not None:
        parts.append(f"fwd-status={status.fwd_status}")
    if status.ttl is not None:
        parts.append(f"ttl={status.ttl}")
    if status.stored:
        parts.append("stored")
    if status.collapsed:
        parts.append("collapsed")
    if status.detail is not None:
        parts.append(f"detail={_token_or_string(status.detail)}")
    return "; ".join(parts)


def _token_or_string(text: str) -> str:
    """`text` as sf-token where it is one, else as sf-string (RFC 9651 §3.3.3), which has printable ASCII only."""
    if _TOKEN.match(text):
        return text
    printable = _UNPRINTABLE.sub("?", text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'
