"""The canonical form of a request target (RFC 9112 §3.2, RFC 3986 §6.2.2): one for route, cache key and upstream alike.

What two readers could understand differently is refused, not repaired.
"""

import ipaddress
import re
from functools import lru_cache
from string import ascii_letters, digits
from typing import NamedTuple
from urllib.parse import quote

from gateway.errors import Problem, Reason
from gateway.messages import DEFAULT_PORTS, Fields

Query = tuple[tuple[str, str | None], ...]

_UNRESERVED = frozenset(ascii_letters + digits + "-._~")
_PLAIN = r"A-Za-z0-9_~!$&'()*+,;=:@\-"
# A segment that does not begin with a dot cannot be a dot segment: those that do take the slow path.
_ORDINARY = re.compile(rf"/(?:[{_PLAIN}][{_PLAIN}.]*+/)*+(?:[{_PLAIN}][{_PLAIN}.]*+)?+(?:\?[{_PLAIN}./?]*+)?+")
_UNSPELLED = re.compile(rf"%([0-9A-Fa-f]{{2}})?|[^{_PLAIN}./?]")
_REFUSED = re.compile(r"[^\x21-\x7e]|#|%00")
_REFUSED_IN_PATH = re.compile(r"\\|%(?:2[Ff]|5[Cc]|[01][0-9A-Fa-f]|7[Ff])")
# UTF-8 in more octets than it needs, which some decoders take for a dot or a slash.
_OVERLONG = re.compile(r"(?i)%(?:C[01]|E0%[89][0-9A-F]|F0%8[0-9A-F]%[89AB][0-9A-F])%[89AB][0-9A-F]")
# Some readers drop what follows a semicolon before they look for dot segments.
_DOT_SEGMENT = re.compile(r"/\.\.?(?:(?:;|%3B)[^/]*)?(?:/|\Z)")
_ABSOLUTE = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_LABEL = "[A-Za-z0-9_-]++"
_AUTHORITY = re.compile(
    rf"({_LABEL}(?:\.{_LABEL})*+(?<=[A-Za-z0-9])\.?|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{0,5}}))?",
)
_LONGEST_AUTHORITY = 260


class Target(NamedTuple):
    """A canonical target. Everything stays percent-encoded; a parameter without `=` has the value None."""

    path: str
    query: Query = ()

    def render(self) -> str:
        """The target in origin-form; `canonical` reads it back to an equal value."""
        return f"{self.path}?{rendered(self.query)}" if self.query else self.path


def rendered(query: Query) -> str:
    """The query's text without the question mark."""
    return "&".join([name if value is None else f"{name}={value}" for name, value in query])


def canonical(raw: str) -> Target:
    """The canonical form of a target in origin-form. An empty query is another than none (RFC 3986 §6.2.3).

    Raises `Problem` with `ambiguous_target` for dot and empty segments, encoded slashes, backslashes and controls in
    the path, and for a fragment, spaces, bytes outside of ASCII, NUL or a bad percent-encoding anywhere.
    """
    path, mark, query = raw.partition("?")
    if not _ORDINARY.fullmatch(raw):
        path, query = canonical_path(path), _spelled(query)
    return Target(path, _parameters(query) if mark else ())


def canonical_path(raw: str) -> str:
    """The canonical form of a path alone. Raises `Problem` with `ambiguous_target`, as `canonical` does."""
    if raw[:1] != "/":
        raise Problem(Reason.malformed_request, "The request target is not a path.")
    if _REFUSED_IN_PATH.search(raw) or _OVERLONG.search(raw):
        raise _ambiguous("Its path holds a backslash, or an encoded slash, backslash or control character.")
    path = _spelled(raw)
    if "//" in path or _DOT_SEGMENT.search(path):
        raise _ambiguous("Its path holds an empty segment or a dot segment.")
    return path


def component(text: str) -> str:
    """Plain text (a parameter's name or value from the config) as it stands in a canonical query."""
    return quote(text, safe="!$'()*,;:@/?")


def origin_form(method: str, raw: str) -> tuple[str, str | None, str]:
    """A target's origin-form, and the authority and scheme where it came in absolute-form (RFC 9112 §3.2.2).

    Returns (target, authority or None, scheme or ""). Raises `Problem`: `not_implemented` for `OPTIONS *`,
    `malformed_request` for every other target that is not a path.
    """
    if raw[:1] == "/":
        return raw, None, ""
    if raw == "*" and method == "OPTIONS":
        raise Problem(Reason.not_implemented, "OPTIONS is only forwarded for a path.")
    absolute = _ABSOLUTE.fullmatch(raw)
    if absolute is None:
        raise Problem(Reason.malformed_request, "The request target is neither a path nor an http URL.")
    scheme, found, rest = absolute.groups()
    return (rest if rest[:1] == "/" else f"/{rest}"), found, scheme.lower()


def host(fields: Fields, scheme: str) -> str:
    """The one Host of a request, as `authority` gives it. Raises `Problem` with `malformed_request` (RFC 9112 §3.2)."""
    values = fields.getall("Host", ())
    if len(values) != 1:
        raise Problem(Reason.malformed_request, "The request needs exactly one Host field.")
    return authority(values[0], scheme)


@lru_cache(maxsize=1024)
def authority(text: str, scheme: str) -> str:
    """`host` or `host:port` in lower case, without the scheme's default port and without a final dot.

    Raises `Problem` with `malformed_request` for anything but a host name, an IPv4 or a bracketed IPv6 address with an
    optional port; userinfo is refused.
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None or len(text) > _LONGEST_AUTHORITY:
        raise Problem(Reason.malformed_request, "The request's host is not well-formed.")
    name, port = match.groups()
    name = _address(name) if name[0] == "[" else name.lower().removesuffix(".")
    number = int(port) if port else None
    if number is None or number == DEFAULT_PORTS.get(scheme):
        return name
    if number > 65535:
        raise Problem(Reason.malformed_request, "The request's port is out of range.")
    return f"{name}:{number}"


def without_port(authority: str) -> str:
    """The name or address alone of what `authority` gives."""
    return authority if authority[-1] == "]" else authority.rpartition(":")[0] or authority


def _address(bracketed: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(bracketed[1:-1])}]"
    except ValueError:
        raise Problem(Reason.malformed_request, "The request's host is not a valid IPv6 address.") from None


def _parameters(query: str) -> Query:
    pairs = [piece.partition("=") for piece in query.split("&")]
    return tuple([(name, value if equals else None) for name, equals, value in pairs])


def _spelled(text: str) -> str:
    """One spelling of each character: unreserved ones decoded, triplets in upper case, what no URI may hold encoded."""
    if _REFUSED.search(text):
        raise _ambiguous("It holds a fragment, a space, a control character or bytes outside of ASCII.")
    return _UNSPELLED.sub(_respelled, text)


def _respelled(match: re.Match[str]) -> str:
    found, octet = match[0], match[1]
    if found[0] != "%":
        return f"%{ord(found):02X}"
    if octet is None:
        raise _ambiguous("It holds a percent sign that begins no percent-encoding.")
    character = chr(int(octet, 16))
    return character if character in _UNRESERVED else found.upper()


def _ambiguous(detail: str) -> Problem:
    return Problem(Reason.ambiguous_target, detail)
