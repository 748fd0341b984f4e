"""RFC 9111 §5.2.1.4 to §5.2.1.7: a request's no-cache, no-store and only-if-cached on a public route."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    DROPPED,
    FAILED,
    HIT,
    MISS,
    REFUSED,
    STALE,
    VALIDATED,
    Scene,
    Turn,
    again,
    cc,
    etag,
    row,
    stored,
    unstored,
    vary,
)
from conformance.playing import play

ROWS = [
    row(
        "5.2.1.4-no-cache",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),), fwd="request", sent={"If-None-Match": '"a"'}),
    ),
    row(
        "5.2.1.4-no-cache-without-validator",
        stored(cc("max-age=60")),
        again(MISS, cc("max-age=60"), asks=(cc("no-cache"),), fwd="request"),
        again(HIT, of=2),
    ),
    row(
        "5.2.1.4-no-cache-replaces",
        stored(cc("max-age=60"), etag('"a"')),
        again(MISS, cc("max-age=60"), etag('"b"'), asks=(cc("no-cache"),)),
        again(HIT, of=2),
    ),
    row(
        "5.2.1.4-no-cache-each-time",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),)),
        again(VALIDATED, asks=(cc("no-cache"),)),
        again(HIT),
    ),
    row("5.2.1.4-no-cache-on-a-miss", stored(cc("max-age=60"), asks=(cc("no-cache"),), fwd="uri-miss"), again(HIT)),
    row(
        "5.2.1.4-no-cache-when-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),), fwd="stale"),
    ),
    row(
        "5.2.1.4-no-cache-and-max-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache, max-stale"),)),
    ),
    row(
        "5.2.1.4-no-cache-and-immutable",
        stored(cc("max-age=60, immutable"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),)),
    ),
    row(
        "5.2.1.4-no-cache-not-in-the-background",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),)),
    ),
    row(
        "5.2.1.4-no-cache-and-a-dropped-connection",
        stored(cc("max-age=60"), etag('"a"')),
        again(FAILED, reply=DROPPED, asks=(cc("no-cache"),), status=502),
        again(HIT),
    ),
    row("5.2.1.5-no-store", unstored(cc("max-age=60"), asks=(cc("no-store"),), detail="no-store"), again(MISS)),
    row("5.2.1.5-no-store-and-public", unstored(cc("public, s-maxage=60"), asks=(cc("no-store"),)), again(MISS)),
    row("5.2.1.5-no-store-of-what-is-stored", stored(cc("max-age=60")), again(HIT, asks=(cc("no-store"),))),
    row(
        "5.2.1.5-no-store-leaves-what-is-stored",
        stored(cc("max-age=60")),
        again(HIT, asks=(cc("no-store"),)),
        again(HIT),
    ),
    row(
        "5.2.1.5-no-store-and-no-cache",
        stored(cc("max-age=60")),
        again(MISS, cc("max-age=60"), asks=(cc("no-store, no-cache"),), kept=False),
        again(HIT, of=1),
    ),
    row("5.2.1.6-no-transform", stored(cc("max-age=60")), again(HIT, asks=(cc("no-transform"),))),
    row("5.2.1.7-only-if-cached", stored(cc("max-age=60")), again(HIT, asks=(cc("only-if-cached"),))),
    row("5.2.1.7-only-if-cached-on-a-miss", again(REFUSED, asks=(cc("only-if-cached"),), status=504)),
    row(
        "5.2.1.7-only-if-cached-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(REFUSED, asks=(cc("only-if-cached"),), status=504),
    ),
    row(
        "5.2.1.7-only-if-cached-no-cache-response",
        stored(cc("no-cache"), etag('"a"')),
        again(REFUSED, asks=(cc("only-if-cached"),), status=504),
    ),
    row(
        "5.2.1.7-only-if-cached-other-variant",
        stored(cc("max-age=60"), vary("X-A"), asks=(("X-A", "1"),)),
        again(REFUSED, asks=(cc("only-if-cached"), ("X-A", "2")), status=504),
    ),
    row(
        "5.2.1.7-only-if-cached-and-max-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, asks=(cc("only-if-cached, max-stale"),)),
    ),
    row(
        "5.2.1.7-only-if-cached-and-max-stale-too-little",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(REFUSED, asks=(cc("only-if-cached, max-stale=10"),), status=504),
    ),
    row(
        "5.2.1.7-only-if-cached-and-max-age",
        stored(cc("max-age=60"), ("Age", "30")),
        again(REFUSED, asks=(cc("only-if-cached, max-age=10"),), status=504),
    ),
    row(
        "5.2.1.7-only-if-cached-and-min-fresh",
        stored(cc("max-age=60")),
        again(REFUSED, asks=(cc("only-if-cached, min-fresh=600"),), status=504),
    ),
    row(
        "5.2.1.7-only-if-cached-and-no-cache",
        stored(cc("max-age=60"), etag('"a"')),
        again(REFUSED, asks=(cc("only-if-cached, no-cache"),), status=504),
    ),
    row(
        "5.2.1.7-only-if-cached-of-the-refused",
        again(REFUSED, asks=(cc("only-if-cached"),), status=504),
        stored(cc("max-age=60")),
    ),
    row(
        "5.2.1.4-no-cache-head",
        stored(cc("max-age=60")),
        again(MISS, method="HEAD", asks=(cc("no-cache"),), fwd="request"),
    ),
    row(
        "5.2.1.7-only-if-cached-head", stored(cc("max-age=60")), again(HIT, method="HEAD", asks=(cc("only-if-cached"),))
    ),
    row(
        "5.2.1.7-only-if-cached-head-on-a-miss", again(REFUSED, method="HEAD", asks=(cc("only-if-cached"),), status=504)
    ),
    row(
        "5.2.1.7-only-if-cached-condition",
        stored(cc("max-age=60"), etag('"a"')),
        again(HIT, asks=(cc("only-if-cached"), ("If-None-Match", '"a"')), status=304),
    ),
    row(
        "5.2.1.4-no-cache-condition",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"), ("If-None-Match", '"a"')), status=304),
    ),
    row(
        "5.2.1.4-no-cache-with-argument",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache=1"),)),
    ),
    row("5.2.1.7-only-if-cached-post", again(MISS, method="POST", content=b"x", asks=(cc("only-if-cached"),))),
    row("5.2.1.5-no-store-post", again(MISS, method="POST", content=b"x", asks=(cc("no-store"),))),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_no_cache_no_store_only_if_cached(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
