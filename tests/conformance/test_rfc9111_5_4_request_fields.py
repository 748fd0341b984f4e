"""RFC 9111 §5.2, §5.2.3 and §5.4, RFC 5861 §4: how a request's directives are read, sent on, and what Pragma counts."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    FAILED,
    HIT,
    MISS,
    SPARE,
    VALIDATED,
    Reply,
    Scene,
    Turn,
    again,
    ahead,
    cc,
    etag,
    fetched,
    row,
    stored,
)
from conformance.playing import play

ROWS = [
    row("5.2.3-unknown", stored(cc("max-age=60")), again(HIT, asks=(cc("foo"),))),
    row("5.2.3-unknown-with-argument", stored(cc("max-age=60")), again(HIT, asks=(cc('foo="no-cache, max-age=0"'),))),
    row(
        "5.2.3-response-directives",
        stored(cc("max-age=60")),
        again(HIT, asks=(cc("private, must-revalidate, s-maxage=0, public"),)),
    ),
    row("5.2.3-empty", stored(cc("max-age=60")), again(HIT, asks=(cc(""),))),
    row("5.2.3-only-commas", stored(cc("max-age=60")), again(HIT, asks=(cc(", ,"),))),
    row("5.2.3-name-within-a-name", stored(cc("max-age=60")), again(HIT, asks=(cc("x-no-cache, no-cache-please"),))),
    row("5.2-case", stored(cc("max-age=60"), etag('"a"')), again(VALIDATED, asks=(cc("No-CACHE"),))),
    row("5.2-lines", stored(cc("max-age=60"), etag('"a"')), again(VALIDATED, asks=(cc("foo"), cc("no-cache")))),
    row(
        "5.2-among-others", stored(cc("max-age=60"), etag('"a"')), again(VALIDATED, asks=(cc("foo=1,\tno-cache ,bar"),))
    ),
    row("5.2-sent-on", fetched(asks=(cc("max-age=0, foo=bar"),), sent={"Cache-Control": "max-age=0, foo=bar"})),
    row(
        "5.2-sent-on-in-a-validation",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),), sent={"Cache-Control": "no-cache"}),
    ),
    row(
        "5.2-not-sent-where-not-asked",
        stored(cc("max-age=0"), etag('"a"')),
        again(VALIDATED, sent={"Cache-Control": None, "Pragma": None}),
    ),
    row(
        "5.4-pragma",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(("Pragma", "no-cache"),), fwd="request"),
    ),
    row(
        "5.4-pragma-sent-on",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(("Pragma", "no-cache"),), sent={"Pragma": "no-cache"}),
    ),
    row(
        "5.4-pragma-beside-cache-control",
        stored(cc("max-age=60")),
        again(HIT, asks=(("Pragma", "no-cache"), cc("max-age=600"))),
    ),
    row(
        "5.4-pragma-beside-no-cache",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(("Pragma", "foo"), cc("no-cache"))),
    ),
    row("5.4-other-pragma", stored(cc("max-age=60")), again(HIT, asks=(("Pragma", "foo"),))),
    row("5.4-pragma-on-a-miss", stored(cc("max-age=60"), asks=(("Pragma", "no-cache"),)), again(HIT)),
    row(
        "5.4-pragma-of-a-response",
        stored(cc("max-age=60"), ("Pragma", "no-cache")),
        again(HIT, shown={"Pragma": "no-cache"}),
    ),
    row(
        "5.4-pragma-of-a-response-forbids-nothing",
        stored(("Expires", ahead(60)), ("Pragma", "no-store, no-cache")),
        again(HIT),
    ),
    row(
        "5861-4-stale-if-error-asked",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, asks=(cc("stale-if-error=60"),), detail="stale-if-error"),
    ),
    row(
        "5861-4-stale-if-error-asked-too-little",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(MISS, reply=Reply(503), asks=(cc("stale-if-error=10"),)),
    ),
    row(
        "5861-4-stale-if-error-asked-and-forbidden",
        stored(cc("max-age=60, must-revalidate"), ("Age", "90"), etag('"a"')),
        again(FAILED, unreachable=True, asks=(cc("stale-if-error=60"),), status=504),
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_request_fields(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
