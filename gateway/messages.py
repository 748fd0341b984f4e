"""HTTP messages as values: what the listener reads and what the upstream client returns."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from multidict import CIMultiDict, CIMultiDictProxy

Fields = CIMultiDict[str] | CIMultiDictProxy[str]

HOP_BY_HOP = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Lower-case names of the fields that end at each hop, besides those that Connection nominates (RFC 9110 §7.6.1)."""

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A token, as names of fields and methods are (RFC 9110 §5.6.2); to be matched in full."""

DEFAULT_PORTS = {"http": 80, "https": 443}
"""By scheme (RFC 9110 §4.2)."""

UNSENDABLE = re.compile(r"[\x00\r\n\ud800-\udfff]")
"""What a field's value cannot hold on its way out: what ends a line, and stray bytes that are no UTF-8."""

_NONE: frozenset[str] = frozenset()


def nominated(fields: Fields) -> frozenset[str]:
    """Lower-case names of the fields that Connection nominates (RFC 9110 §7.6.1)."""
    values = fields.getall("Connection", ())
    return frozenset([name.strip().lower() for value in values for name in value.split(",")]) if values else _NONE


# Meant for every recipient of a response: RFC 9110 §7.6.1 forbids to nominate such fields, so that it does nothing.
_FOR_EVERYONE = frozenset({"cache-control", "expires", "vary"})


def ending_here(fields: Fields) -> frozenset[str]:
    """Lower-case names of a response's fields that are not passed on and not stored (RFC 9110 §7.6.1)."""
    names = nominated(fields) - _FOR_EVERYONE
    return HOP_BY_HOP | names if names else HOP_BY_HOP


@dataclass(slots=True)
class Request:
    """A request as the client sent it; the target is still raw.

    `body` is None where the request has none (RFC 9112 §6.3), else an iterator of chunks that may be read once.
    `peer` is the client's address without port, `version` the protocol's that it spoke.
    """

    method: str
    target: str
    fields: Fields
    peer: str = ""
    scheme: str = "http"
    body: AsyncIterator[bytes] | None = None
    version: str = "1.1"


@dataclass(slots=True)
class Outgoing:
    """A request for an upstream: target in canonical form, without the upstream's base path.

    `background`: nobody waits for it, so that it goes behind all others, and waits as long as it takes.
    """

    method: str
    target: str
    fields: CIMultiDict[str]
    body: bytes | AsyncIterator[bytes] | None = None
    background: bool = False


@dataclass(slots=True)
class Response:
    """A whole response: status code, reason phrase, fields without hop-by-hop ones, buffered content."""

    status: int
    reason: str
    fields: Fields = field(default_factory=lambda: CIMultiDict[str]())
    body: bytes = b""


@dataclass(slots=True)
class Stream:
    """A response whose content is still on its way.

    `chunks` raises `errors.Problem` when the content breaks; `close` gives the upstream connection up and is
    idempotent. `length` is the declared Content-Length in bytes, None where there is none. `delimited` is False where
    only the connection's close tells the content's end (RFC 9112 §6.3), so that a cut cannot be seen. `whole` is all of
    the content where it came with the head, else None; `chunks` gives the same.
    """

    status: int
    reason: str
    fields: Fields
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    length: int | None = None
    delimited: bool = True
    whole: bytes | None = None


@dataclass(slots=True, frozen=True)
class Splice:
    """A JSON object's text cut open before its closing brace, so that members can be added without parsing.

    `opened` is the text without the closing brace; `comma` says whether the object already holds a member.
    `packed` is `opened` as raw DEFLATE up to a byte-aligned flush point, None as long as nobody has asked for it, and
    `crc` then the CRC-32 of `opened`.
    """

    opened: bytes
    comma: bool
    packed: bytes | None = None
    crc: int = 0


@dataclass(slots=True)
class Answer:
    """What the client gets: `lines` are the finished field lines, all but those of framing (RFC 9112 §6).

    With `chunks` it is a stream of `length` bytes, or of unknown length, and whoever sends it must `close` it, even
    where none of it was read. A HEAD's answer has the framing of the GET's and sends no content (`bodiless`). `last`:
    the connection closes after it.
    """

    status: int
    reason: str
    lines: bytes
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    close: Callable[[], Awaitable[None]] | None = None
    length: int | None = None
    bodiless: bool = False
    last: bool = False
