"""Stored parts of a representation, and joining them (RFC 9111 §3.3 and §3.4, RFC 9110 §15.3.7.3).

Of one representation at most one contiguous part is held; what cannot be joined to it takes its place or goes by.
"""

import re
from dataclasses import dataclass

from gateway.messages import Fields
from gateway.rfc9111.ranges import Span

# Positions and totals beyond 18 digits are of no content that could be held.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)


@dataclass(slots=True, frozen=True)
class Part:
    """The bytes `content` that a representation has at `span`; `etag` is the representation's."""

    span: Span
    content: bytes
    etag: str | None

    @property
    def whole(self) -> bool:
        """Whether it is the representation itself: the content of a 200."""
        return len(self.content) == self.span.total

    def cut(self, wanted: Span) -> bytes | None:
        """The content of a 206 for `wanted`, None where the part lacks some of it."""
        if wanted.first < self.span.first or self.span.last < wanted.last:
            return None
        return self.content[wanted.first - self.span.first : wanted.last + 1 - self.span.first]


def part_of(fields: Fields, content: bytes) -> Part | None:
    """What a 206 with `fields` and its complete `content` holds.

    None for several parts (§15.3.7.2), for an unknown total, and where Content-Range is malformed or contradicts
    itself or `content`.
    """
    lines = fields.getall("Content-Range", ())
    match = _CONTENT_RANGE.fullmatch(lines[0]) if len(lines) == 1 else None
    if match is None:
        return None
    span = Span(*map(int, match.groups()))
    if span.last >= span.total or span.last - span.first + 1 != len(content) or not content:
        return None
    return Part(span, content, fields.get("ETag"))


def combined(held: Part, received: Part) -> Part | None:
    """Both in one, where they overlap or touch and are parts of the same representation; else None.

    Only a strong entity tag says that they are (§15.3.7.3). Where they overlap the bytes are then the same.
    """
    if held.etag is None or not held.etag.startswith('"') or received.etag != held.etag:
        return None
    one, other = sorted((held, received), key=lambda part: (part.span.first, part.span.last))
    if one.span.total != other.span.total or other.span.first > one.span.last + 1:
        return None
    content = one.content + other.content[one.span.last + 1 - other.span.first :]
    return Part(Span(one.span.first, one.span.first + len(content) - 1, one.span.total), content, held.etag)
