"""What a request's preconditions and Range leave of a response that is there whole (RFC 9110 §13 and §14)."""

from typing import NamedTuple, assert_never

from gateway.answers.head import not_modified_head, partial_head, unsatisfiable_head
from gateway.messages import Fields
from gateway.rfc9111.conditions import is_not_modified
from gateway.rfc9111.ranges import Span, Unsatisfiable, selected
from gateway.rfc9111.stored import StoredResponse


class Narrowed(NamedTuple):
    """A response's status, reason phrase, field lines and content as they are sent."""

    status: int
    reason: str
    lines: bytes
    body: bytes


def narrowed(
    request_fields: Fields, stored: StoredResponse, lines: bytes, body: bytes, now: float, *, ranged: bool
) -> Narrowed:
    """`stored`, of which `lines` and `body` would be sent, as 304, 206 or 416 where the request asks for less.

    `ranged`: the request's Range counts. `now` is in seconds since the epoch.
    """
    status, date = stored.status, stored.terms.date
    if is_not_modified(request_fields, status, stored.etag, stored.last_modified, date, now):
        return Narrowed(304, "Not Modified", not_modified_head(lines), b"")
    part = selected(request_fields, status, len(body), stored.etag, stored.last_modified, date, now) if ranged else None
    match part:
        case Span(first, last):
            # The client has the rest already where it asked with If-Range (RFC 9110 §15.3.7).
            shown = not_modified_head(lines) if "If-Range" in request_fields else lines
            return Narrowed(206, "Partial Content", partial_head(shown, part.content_range), body[first : last + 1])
        case Unsatisfiable():
            return Narrowed(416, "Range Not Satisfiable", unsatisfiable_head(lines, part.content_range), b"")
        case None:
            return Narrowed(status, stored.reason, lines, body)
        case _:
            assert_never(part)
