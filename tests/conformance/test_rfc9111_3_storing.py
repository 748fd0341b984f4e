"""RFC 9111 §3: which responses are stored, whatever their status, and under which key."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    FAILED,
    HIT,
    MISS,
    Reply,
    Scene,
    Turn,
    again,
    ahead,
    cc,
    etag,
    modified,
    row,
    stored,
    unstored,
)
from conformance.playing import play

# RFC 9110 §15, without 206, 304, 407, 412 and 416, which depend on more than the target.
FINAL = (
    *(200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308),
    *(400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 413, 414, 415, 417, 421, 422, 426, 428, 429, 431, 451),
    *(500, 501, 502, 503, 504, 505),
)
UNKNOWN = (299, 399, 499, 599, 999)

ROWS = [
    *(
        row(f"3-status-{status}", stored(cc("max-age=60"), status=status), again(HIT, ttl=60))
        for status in (*FINAL, *UNKNOWN)
    ),
    *(
        row(f"3-status-{status}-expires", stored(("Expires", ahead(60)), status=status), again(HIT, ttl=60))
        for status in (200, 302, 403, 503, *UNKNOWN)
    ),
    *(
        row(f"3-status-{status}-s-maxage", stored(cc("s-maxage=60"), status=status), again(HIT, ttl=60))
        for status in (200, 307, 400, 502, *UNKNOWN)
    ),
    *(
        row(f"3-status-{status}-only-validator", unstored(etag('"a"'), status=status), again(MISS))
        for status in (201, 302, 307, 400, 403, 500, 503, *UNKNOWN)
    ),
    row("3-status-599-not-understood", unstored(cc("must-understand, max-age=60"), status=599), again(MISS)),
    row(
        "3-location-kept",
        stored(cc("max-age=60"), ("Location", "/elsewhere"), status=302),
        again(HIT, shown={"Location": "/elsewhere"}),
    ),
    row(
        "3-retry-after-kept",
        stored(cc("max-age=60"), ("Retry-After", "5"), status=503),
        again(HIT, shown={"Retry-After": "5"}),
    ),
    row(
        "3-content-of-an-error",
        stored(cc("max-age=60"), status=404, content=b"nothing here"),
        again(HIT, got=b"nothing here"),
    ),
    row("3-empty-content", stored(cc("max-age=60"), content=b""), again(HIT, got=b"")),
    row("3-large-content", stored(cc("max-age=60"), content=b"x" * 300_000), again(HIT)),
    row("3-binary-content", stored(cc("max-age=60"), content=bytes(range(256))), again(HIT)),
    row(
        "3-status-206-unasked",
        Turn(FAILED, Reply(206, (cc("max-age=60"), ("Content-Range", "bytes 0-3/9")), b"part"), status=502),
        again(MISS),
    ),
    row("3-status-304-unasked", Turn(FAILED, Reply(304, (cc("max-age=60"),)), status=502), again(MISS)),
    row(
        "3-query-is-part-of-the-key",
        stored(cc("max-age=60"), suffix="?q=1"),
        again(MISS, suffix="?q=2"),
        again(HIT, suffix="?q=1", of=1),
    ),
    row("3-empty-query-is-part-of-the-key", stored(cc("max-age=60"), suffix="?"), again(MISS)),
    row("3-query-may-be-heuristic", stored(modified(864000), suffix="?q=1"), again(HIT, suffix="?q=1")),
    row("3-method-post", unstored(cc("max-age=60"), method="POST", content=b"x"), again(MISS)),
    row("3-method-put", unstored(cc("max-age=60"), method="PUT"), again(MISS)),
    row("3-method-options", unstored(cc("max-age=60"), method="OPTIONS"), again(MISS)),
    row("3-method-unknown", unstored(cc("max-age=60"), method="REPORT"), again(MISS)),
    row("3-newest-wins", stored(cc("max-age=0"), etag('"a"')), stored(cc("max-age=60"), etag('"b"')), again(HIT, of=2)),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_storing(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
