"""RFC 9110 §13.2.2 and §14: what of a whole response is sent."""

import pytest
from multidict import CIMultiDict
from stores.samples import sample

from gateway.answers.narrowing import narrowed

NOW = 2_000_000_000.0
LINES = b'Content-Type: text/plain\r\nETag: "v1"\r\nCache-Control: max-age=60\r\n'
BODY = b"0123456789"


@pytest.mark.parametrize(
    ("fields", "status", "body", "content_range"),
    [
        pytest.param({}, 200, BODY, None, id="13-nothing-asked"),
        pytest.param({"If-None-Match": '"v1"'}, 304, b"", None, id="13.1.2-match"),
        pytest.param({"If-None-Match": '"v2"'}, 200, BODY, None, id="13.1.2-no-match"),
        pytest.param({"Range": "bytes=2-3"}, 206, b"23", b"bytes 2-3/10", id="14.2-part"),
        pytest.param({"Range": "bytes=10-"}, 416, b"", b"bytes */10", id="15.5.17-beyond"),
        pytest.param({"Range": "bytes=2-3", "If-None-Match": '"v1"'}, 304, b"", None, id="13.2.2-precondition-first"),
        pytest.param({"Range": "bytes=2-3", "If-Range": '"v1"'}, 206, b"23", b"bytes 2-3/10", id="13.1.5-still"),
        pytest.param({"Range": "bytes=2-3", "If-Range": '"v2"'}, 200, BODY, None, id="13.1.5-changed"),
    ],
)
def test_narrowed(fields: dict[str, str], status: int, body: bytes, content_range: bytes | None) -> None:
    stored = sample(head=LINES, body=BODY, etag='"v1"')
    found = narrowed(CIMultiDict(fields), stored, LINES, BODY, NOW, ranged=True)
    assert (found.status, found.body) == (status, body)
    assert (b"Content-Range: %b\r\n" % (content_range or b"") in found.lines) is (content_range is not None)
    assert (b"Content-Type" in found.lines) is (status == 200 or (status == 206 and "If-Range" not in fields))


def test_where_no_range_counts_all_is_sent() -> None:
    stored = sample(head=LINES, body=BODY)
    found = narrowed(CIMultiDict({"Range": "bytes=2-3"}), stored, LINES, BODY, NOW, ranged=False)
    assert (found.status, found.reason, found.lines, found.body) == (200, stored.reason, LINES, BODY)
