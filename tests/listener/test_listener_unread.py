"""Which refusal a parse error comes to; the whole way is in test_listener_server.py."""

import pytest
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, LineTooLong

from gateway.errors import Reason
from gateway.listener.unread import parse_problem


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LineTooLong("bytearray(b'/aaa')", 8), Reason.target_too_long),
        (LineTooLong("b'aaa'", 8), Reason.fields_too_large),
        (BadHttpMessage("Too many headers received"), Reason.fields_too_large),
        (BadHttpMessage("invalid"), Reason.malformed_request),
        (BadStatusLine("s3cret"), Reason.malformed_request),
        (None, Reason.malformed_request),
    ],
    ids=["target", "field", "fields", "message", "line", "unknown"],
)
def test_what_a_parse_error_is_refused_with(error: BaseException | None, reason: Reason) -> None:
    problem = parse_problem(error)
    assert problem.reason is reason
    assert "s3cret" not in str(problem)
