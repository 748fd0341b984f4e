"""RFC 9111 §3.5: what is stored of the answers to requests with Authorization on a public route."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    VALIDATED,
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

AUTHORIZED = (("Authorization", "Bearer secret"),)

ROWS = [
    row(
        "3.5-authorization",
        unstored(cc("max-age=60"), asks=AUTHORIZED, sent=dict(AUTHORIZED)),
        again(MISS, asks=AUTHORIZED),
    ),
    row("3.5-authorization-expires", unstored(("Expires", ahead(60)), asks=AUTHORIZED), again(MISS, asks=AUTHORIZED)),
    row("3.5-authorization-validator", unstored(etag('"a"'), asks=AUTHORIZED), again(MISS, asks=AUTHORIZED)),
    row("3.5-authorization-last-modified", unstored(modified(864000), asks=AUTHORIZED), again(MISS, asks=AUTHORIZED)),
    row("3.5-public", stored(cc("public, max-age=60"), asks=AUTHORIZED), again(HIT)),
    row(
        "3.5-public-for-another",
        stored(cc("public, max-age=60"), asks=AUTHORIZED),
        again(HIT, asks=(("Authorization", "Bearer other"),)),
    ),
    row("3.5-s-maxage", stored(cc("s-maxage=60"), asks=AUTHORIZED), again(HIT)),
    row("3.5-must-revalidate", stored(cc("max-age=60, must-revalidate"), asks=AUTHORIZED), again(HIT)),
    row(
        "3.5-must-revalidate-stale",
        stored(cc("max-age=60, must-revalidate"), ("Age", "90"), etag('"a"'), asks=AUTHORIZED),
        again(VALIDATED, asks=AUTHORIZED, sent=dict(AUTHORIZED)),
    ),
    row("3.5-proxy-revalidate-does-not-do", unstored(cc("max-age=60, proxy-revalidate"), asks=AUTHORIZED), again(MISS)),
    row("3.5-immutable-does-not-do", unstored(cc("max-age=60, immutable"), asks=AUTHORIZED), again(MISS)),
    row("3.5-qualified-private-does-not-do", unstored(cc('private="x-a", max-age=60'), asks=AUTHORIZED), again(MISS)),
    row("3.5-basic", unstored(cc("max-age=60"), asks=(("Authorization", "Basic YTpi"),)), again(MISS)),
    row("3.5-empty-authorization", unstored(cc("max-age=60"), asks=(("Authorization", ""),)), again(MISS)),
    row("3.5-stored-without-it-serves-with-it", stored(cc("max-age=60")), again(HIT, asks=AUTHORIZED)),
    row(
        "3.5-authorized-answer-replaces-nothing",
        stored(cc("max-age=0"), etag('"a"')),
        again(MISS, cc("max-age=60"), etag('"b"'), asks=AUTHORIZED, kept=False),
        again(VALIDATED, of=1, sent={"If-None-Match": '"a"'}),
    ),
    row(
        "3.5-not-collapsed-with-what-is-stored",
        unstored(cc("max-age=60"), asks=AUTHORIZED),
        stored(cc("max-age=60")),
        again(HIT, asks=AUTHORIZED, of=2),
    ),
    row("3.5-cookie-is-no-authorization", stored(cc("max-age=60"), asks=(("Cookie", "a=b"),)), again(HIT)),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_authorized_requests(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
