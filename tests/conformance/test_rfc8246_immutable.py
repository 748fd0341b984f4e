"""RFC 8246 §2: what does not change while it is fresh."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    VALIDATED,
    Scene,
    Turn,
    again,
    cc,
    etag,
    modified,
    row,
    stored,
    unstored,
)
from conformance.playing import play

ROWS = [
    row("2-fresh", stored(cc("max-age=60, immutable"), ("Age", "30")), again(HIT)),
    row("2-no-lifetime-by-itself", unstored(cc("immutable"), ("Age", "30")), again(MISS)),
    row("2-stale", stored(cc("max-age=60, immutable"), ("Age", "90"), etag('"a"')), again(VALIDATED)),
    row(
        "2-stale-and-max-age-asked",
        stored(cc("max-age=60, immutable"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=0"),)),
    ),
    row(
        "2.1-reload",
        stored(cc("max-age=60, immutable"), ("Age", "30"), etag('"a"')),
        again(HIT, asks=(cc("max-age=0"),)),
    ),
    row(
        "2.1-reload-without-immutable",
        stored(cc("max-age=60"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=0"),)),
    ),
    row(
        "2.1-max-age-asked",
        stored(cc("max-age=60, immutable"), ("Age", "30"), etag('"a"')),
        again(HIT, asks=(cc("max-age=10"),)),
    ),
    row(
        "2.1-no-cache-asked",
        stored(cc("max-age=60, immutable"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),)),
    ),
    row(
        "2.1-forced-reload",
        stored(cc("max-age=60, immutable"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache, max-age=0"),)),
    ),
    row(
        "2-argument-ignored",
        stored(cc("max-age=60, immutable=5"), ("Age", "30"), etag('"a"')),
        again(HIT, asks=(cc("max-age=0"),)),
    ),
    row(
        "2-quoted-argument-ignored",
        stored(cc('max-age=60, immutable="no"'), ("Age", "30"), etag('"a"')),
        again(HIT, asks=(cc("max-age=0"),)),
    ),
    row(
        "2-twice",
        stored(cc("immutable, max-age=60, immutable"), ("Age", "30"), etag('"a"')),
        again(HIT, asks=(cc("max-age=0"),)),
    ),
    row(
        "2-upper-case",
        stored(cc("max-age=60, IMMUTABLE"), ("Age", "30"), etag('"a"')),
        again(HIT, asks=(cc("max-age=0"),)),
    ),
    row(
        "2-in-a-request",
        stored(cc("max-age=60"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("immutable, max-age=0"),)),
    ),
    row("2-in-a-request-alone", stored(cc("max-age=60"), ("Age", "30")), again(HIT, asks=(cc("immutable"),))),
    row("2-with-no-cache", stored(cc("max-age=60, immutable, no-cache"), ("Age", "30"), etag('"a"')), again(VALIDATED)),
    row("2-with-no-store", unstored(cc("max-age=60, immutable, no-store"), ("Age", "30")), again(MISS)),
    row("2-heuristic", stored(cc("immutable"), ("Age", "30"), modified(36000)), again(HIT, asks=(cc("max-age=0"),))),
    row(
        "2-targeted",
        stored(("CDN-Cache-Control", "max-age=60, immutable"), ("Age", "30"), etag('"a"')),
        again(HIT, asks=(cc("max-age=0"),)),
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_immutable(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
