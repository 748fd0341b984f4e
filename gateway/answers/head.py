"""An answer's head as bytes (RFC 9112 §4, §5), and the fields that must not tell of the upstream or its bytes."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from multidict import CIMultiDict

from gateway.messages import TOKEN, Fields

_FORBIDDEN = re.compile(r"[\r\n\0]")

# What a changed content no longer answers to: its digests, its byte ranges, its strong validator.
_OF_THE_BYTES = re.compile(rb"(?im)^(?:Digest|Content-Digest|Repr-Digest|Content-MD5|Accept-Ranges):[^\r\n]*\r\n")
# What a client that holds the representation knows of it already: all but what RFC 9110 §15.4.5 asks a 304 to repeat.
_OF_THE_REPRESENTATION = re.compile(
    rb"(?im)^(?:Content-(?:Digest|Disposition|Encoding|Language|Length|MD5|Range|Type)|Digest|Repr-Digest)"
    rb":[^\r\n]*\r\n"
)
# Of a message's content rather than of the representation: a part has its own.
_OF_THE_CONTENT = re.compile(rb"(?im)^Content-(?:Digest|Length|MD5|Range):[^\r\n]*\r\n")
_CONTENT_RANGE = re.compile(rb"(?im)^Content-Range:[^\r\n]*\r\n")
_LAST_MODIFIED = re.compile(rb"(?im)^Last-Modified:[^\r\n]*\r\n")
_ETAG = re.compile(rb"(?im)^ETag:")
# What would let a cache keep an answer that is about one request's Range alone.
_OF_REUSE = re.compile(
    rb"(?im)^(?:[A-Za-z-]*Cache-Control|Expires|ETag|Last-Modified|Content-Location|Cache-Groups)"
    rb":[^\r\n]*\r\n"
)
_STRONG_ETAG = re.compile(rb'(?im)^(ETag:[ \t]*)(?=")')
_VARIES_ALREADY = re.compile(rb"(?im)^Vary:(?:[^\r\n]*[,\t ])?(?:Accept-Encoding|\*)[ \t]*(?:,|\r\n)")

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_ABSOLUTE = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//(?P<authority>[^/?#]*)(?P<rest>.*)\Z", re.DOTALL)
# A string without end runs to the value's end, so that no text takes quadratic time.
_LINK_URL = re.compile(r'(<|;\s*anchor\s*=\s*")([^<>"]*)([>"])|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.IGNORECASE)
# Browsers take a backslash for a slash, and leave out tabs (URL Standard, §4.4).
_NETWORK_PATH = re.compile(r"\t*[/\\]\t*[/\\]")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def field_line(name: str, value: str) -> bytes:
    """`Name: value\\r\\n`; stray bytes that aiohttp decoded as surrogates become themselves again.

    Raises ValueError where the name is no token or the value holds CR, LF, NUL or what UTF-8 cannot encode.
    """
    if not TOKEN.fullmatch(name):
        raise ValueError(f"not a field name: {name!r}")
    if _FORBIDDEN.search(value):
        raise ValueError(f"the field {name} holds CR, LF or NUL")
    return f"{name}: {value}\r\n".encode("utf-8", "surrogateescape")


def field_lines(fields: Fields) -> bytes:
    """Every field as a line, in order. Raises ValueError as `field_line` does."""
    return b"".join([field_line(name, value) for name, value in fields.items()])


@lru_cache(maxsize=256)
def status_line(status: int, reason: str) -> bytes:
    """`HTTP/1.1 200 OK\\r\\n`. Raises ValueError for a status outside 100-999 or a reason that would break the line."""
    if not 100 <= status <= 999 or _FORBIDDEN.search(reason):
        raise ValueError(f"not a status line: {status} {reason!r}")
    return f"HTTP/1.1 {status} {reason}\r\n".encode("utf-8", "surrogateescape")


def phrase(status: int) -> str:
    """The registered reason phrase, "" where there is none."""
    return _PHRASES.get(status, "")


def render(status: int, reason: str, lines: Sequence[bytes], length: int | None, *, close: bool) -> bytes:
    """A whole head, its empty line included. `lines` come from `field_line` and its like.

    `length` is the content's in bytes; None where the status allows none or a line of `lines` frames it otherwise.
    `close` says that this is the connection's last answer.
    """
    parts = [status_line(status, reason), *lines]
    if length is not None:
        parts.append(b"Content-Length: %d\r\n" % length)
    parts.append(b"Connection: close\r\n\r\n" if close else b"\r\n")
    return b"".join(parts)


def spliced_head(head: bytes) -> bytes:
    """The field lines `head` for content that had members spliced in and is sent as gzip or identity.

    Strong entity tags become weak (RFC 9110 §8.8.1), digests and Accept-Ranges go, and Vary names Accept-Encoding
    (§12.5.5). Idempotent; takes about 8 µs, so it is for the moment of storing.
    """
    head = _STRONG_ETAG.sub(rb"\1W/", _OF_THE_BYTES.sub(b"", head))
    return head if _VARIES_ALREADY.search(head) else head + b"Vary: Accept-Encoding\r\n"


def not_modified_head(head: bytes) -> bytes:
    """What of a stored response's field lines `head` its 304 carries (RFC 9110 §15.4.5).

    Last-Modified stays where there is no ETag: then a cache on the way needs it to know which response is meant.
    """
    head = _OF_THE_REPRESENTATION.sub(b"", head)
    return _LAST_MODIFIED.sub(b"", head) if _ETAG.search(head) else head


def partial_head(head: bytes, content_range: str) -> bytes:
    """The field lines of a 206 with one part of what the field lines `head` are about (RFC 9110 §15.3.7.1).

    `content_range` is the part's, as `rfc9111.ranges.Span.content_range`. A client that sent If-Range has had the
    representation's fields: for it `head` is that of `not_modified_head`.
    """
    return _OF_THE_CONTENT.sub(b"", head) + field_line("Content-Range", content_range)


def whole_head(head: bytes) -> bytes:
    """The field lines of a 200 for which every part is there, of which `head` are the last 206's (RFC 9111 §3.4)."""
    return _CONTENT_RANGE.sub(b"", head)


def unsatisfiable_head(head: bytes, content_range: str) -> bytes:
    """The field lines of a 416 (RFC 9110 §15.5.17) instead of a part of what the field lines `head` are about.

    `content_range` is as `rfc9111.ranges.Unsatisfiable.content_range`. The lifetime in `head` is not the error's:
    it is not to be stored in the representation's place.
    """
    remaining = _OF_REUSE.sub(b"", _OF_THE_REPRESENTATION.sub(b"", head))
    return b"%bCache-Control: no-store\r\n%b" % (remaining, field_line("Content-Range", content_range))


def localised(
    fields: Fields, upstream_origins: Set[str], base_path: str, gateway_origin: str, strip_prefix: str
) -> Fields:
    """`fields` with the URLs in Location, Content-Location and Link that lead to the upstream led to the gateway.

    `upstream_origins` and `gateway_origin` are `scheme://host[:port]`, the former lower-case and without default port,
    the latter may be empty: then the URLs become path references.
    `base_path` is what the upstream's URL puts before each path and is taken off, `strip_prefix` what the route took
    off the client's path and is put back. A URL outside of `base_path` cannot be had through the gateway and stays.
    """
    if "Location" not in fields and "Content-Location" not in fields and "Link" not in fields:
        return fields
    inward = _Inward(upstream_origins, base_path.rstrip("/"), gateway_origin, strip_prefix.rstrip("/"))
    told: CIMultiDict[str] = CIMultiDict()
    for name, value in fields.items():
        match name.lower():
            case "location" | "content-location":
                told.add(name, inward.url(value))
            case "link":
                told.add(name, inward.link(value))
            case _:
                told.add(name, value)
    return told


@dataclass(slots=True, frozen=True)
class _Inward:
    """Where URLs that lead to an upstream are led instead; paths without trailing slash."""

    origins: Set[str]
    base_path: str
    gateway_origin: str
    prefix: str

    def link(self, value: str) -> str:
        """A Link field's value with its targets and anchors led inward (RFC 8288 §3); other strings are let alone."""
        return _LINK_URL.sub(lambda found: self._link_part(found), value)

    def url(self, value: str) -> str:
        if absolute := _ABSOLUTE.match(value):
            path = (
                self._path(absolute["rest"]) if self._is_upstream(absolute["scheme"], absolute["authority"]) else None
            )
            return value if path is None else self.gateway_origin + path
        return self._path(value) or value

    def _link_part(self, found: re.Match[str]) -> str:
        before, url, after = found.groups()
        return found[0] if url is None else before + self.url(url) + after

    def _is_upstream(self, scheme: str | None, authority: str) -> bool:
        """Whether the origin is one of the upstream's; a URL without scheme may stand for either."""
        schemes = [scheme.lower()] if scheme else list(_DEFAULT_PORTS)
        host = authority.lower()
        return any(f"{name}://{host.removesuffix(_DEFAULT_PORTS.get(name, ''))}" in self.origins for name in schemes)

    def _path(self, rest: str) -> str | None:
        """The gateway's path for the upstream's, query and fragment included; None where there is none.

        A path that would begin with `//` is none, as browsers read it: as a reference it would name another host.
        """
        base = self.base_path
        if rest != base and not rest.startswith((f"{base}/", f"{base}?", f"{base}#")):
            return None
        path = self.prefix + rest[len(base) :]
        if _NETWORK_PATH.match(path):
            return None
        return path if path.startswith("/") else f"/{path}"
