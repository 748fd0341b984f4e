"""RFC 9111 §4.2: how long a response is fresh, and when that may be guessed (§4.2.2)."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    DROPPED,
    FAILED,
    HIT,
    MISS,
    RESET,
    SPARE,
    VALIDATED,
    Reply,
    Scene,
    Turn,
    about,
    again,
    ago,
    ahead,
    cc,
    etag,
    fetched,
    modified,
    row,
    stored,
    unstored,
    vary,
)
from conformance.playing import play

# RFC 9110 §15.1, without 206.
HEURISTIC = (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)
NOT_HEURISTIC = (201, 202, 299, 302, 303, 307, 400, 403, 429, 499, 500, 502, 503, 504, 599)

ROWS = [
    row(
        "4.2.1-s-maxage-max-age-expires",
        stored(cc("max-age=100, s-maxage=60"), ("Expires", ahead(200))),
        again(HIT, ttl=60),
    ),
    row("4.2.1-max-age-expires", stored(cc("max-age=60"), ("Expires", ahead(200))), again(HIT, ttl=60)),
    row("4.2.1-expires", stored(("Expires", ahead(200)), modified(864000)), again(HIT, ttl=200)),
    row("4.2.2-tenth-of-the-age", stored(modified(36000)), again(HIT, ttl=3600)),
    row(
        "4.2.2-tenth-counts-from-date",
        stored(("Date", ago(600)), modified(36600)),
        again(HIT, ttl=3000, shown={"Age": about(600)}),
    ),
    row("4.2.2-counts-age", stored(modified(36000), ("Age", "600")), again(HIT, ttl=3000)),
    row("4.2.2-passed", stored(modified(3600), ("Age", "600")), again(VALIDATED)),
    row("4.2.2-a-day-at-most", stored(modified(100 * 365 * 86400 // 10)), again(HIT, ttl=86400)),
    row("4.2.2-modified-now", stored(modified(0)), again(VALIDATED)),
    row("4.2.2-modified-ahead", stored(modified(-3600)), again(VALIDATED)),
    row("4.2.2-modified-invalid", fetched(("Last-Modified", "long ago")), again(MISS)),
    row("4.2.2-modified-rfc850", stored(("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT")), again(HIT)),
    row("4.2.2-modified-asctime", stored(("Last-Modified", "Sun Nov  6 08:49:37 1994")), again(HIT)),
    row("4.2.2-without-last-modified", unstored(), again(MISS)),
    row("4.2.2-without-last-modified-public", unstored(cc("public")), again(MISS)),
    row("4.2.2-only-etag", stored(etag('"a"')), again(VALIDATED, fwd="stale")),
    row("4.2.2-etag-and-last-modified", stored(etag('"a"'), modified(36000)), again(HIT, ttl=3600)),
    row("4.2.2-not-with-max-age", stored(cc("max-age=0"), modified(864000)), again(VALIDATED)),
    row("4.2.2-not-with-s-maxage", stored(cc("s-maxage=0"), modified(864000)), again(VALIDATED)),
    row("4.2.2-not-with-expires", stored(("Expires", ago(60)), modified(864000)), again(VALIDATED)),
    row("4.2.2-not-with-unreadable-max-age", stored(cc("max-age=x"), modified(864000)), again(VALIDATED)),
    row("4.2.2-not-with-no-cache", stored(cc("no-cache"), modified(864000)), again(VALIDATED)),
    row("4.2.2-not-with-no-store", unstored(cc("no-store"), modified(864000)), again(MISS)),
    row("4.2.2-not-with-private", unstored(cc("private"), modified(864000)), again(MISS)),
    row("4.2.2-with-must-revalidate", stored(cc("must-revalidate"), modified(36000)), again(HIT, ttl=3600)),
    row("4.2.2-with-unknown-directives", stored(cc("foo, bar=1"), modified(36000)), again(HIT, ttl=3600)),
    row("4.2.2-with-pragma", stored(("Pragma", "no-cache"), modified(36000)), again(HIT, ttl=3600)),
    *(
        row(f"4.2.2-status-{status}", stored(modified(864000), status=status), again(HIT, ttl=86400))
        for status in HEURISTIC
    ),
    *(
        row(f"4.2.2-status-{status}-never", unstored(modified(864000), status=status), again(MISS))
        for status in NOT_HEURISTIC
    ),
    *(
        row(
            f"4.2.2-status-{status}-public",
            stored(cc("public"), modified(864000), status=status),
            again(HIT, ttl=86400),
        )
        for status in NOT_HEURISTIC
    ),
    row(
        "4.2.4-stale-is-validated",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"'), modified(60)),
        again(VALIDATED, sent={"If-None-Match": '"a"', "If-Modified-Since": ago(60)}),
    ),
    row(
        "4.2.4-stale-by-last-modified",
        stored(cc("max-age=60"), ("Age", "90"), modified(60)),
        again(VALIDATED, sent={"If-None-Match": None, "If-Modified-Since": ago(60)}),
    ),
    row(
        "4.2.4-stale-is-replaced",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        stored(cc("max-age=60"), etag('"b"'), fwd="stale"),
        again(HIT, of=2),
    ),
    row(
        "4.2.4-stale-without-validator",
        fetched(cc("max-age=60"), ("Age", "90")),
        again(MISS, sent={"If-None-Match": None, "If-Modified-Since": None}),
    ),
    row(
        "4.2.4-not-without-permission",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(MISS, reply=Reply(503)),
    ),
    row(
        "4.2.4-disconnected",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, unreachable=True, detail="disconnected", shown={"Age": about(90)}),
    ),
    row(
        "4.2.4-disconnected-shows-it",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, unreachable=True, ttl=-30, fwd="stale"),
    ),
    row(
        "4.2.4-dropped",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, reply=DROPPED, detail="disconnected"),
    ),
    row(
        "4.2.4-reset",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, reply=RESET, detail="disconnected"),
    ),
    row("4.2.4-disconnected-heuristic", stored(modified(3600), ("Age", "600")), again(SPARE, unreachable=True)),
    row("4.2.4-disconnected-without-any-lifetime", stored(etag('"a"')), again(SPARE, unreachable=True)),
    row(
        "4.2.4-connected-again",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, unreachable=True),
        again(VALIDATED),
    ),
    row(
        "4.2.4-disconnected-heuristic-must-revalidate",
        stored(cc("must-revalidate"), modified(3600), ("Age", "600")),
        again(FAILED, unreachable=True, status=504),
    ),
    row(
        "4.2.4-disconnected-after-a-failed-validation",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(MISS, reply=Reply(503)),
        again(SPARE, unreachable=True, of=1),
    ),
    row(
        "4.2.4-disconnected-twice",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, unreachable=True),
        again(SPARE, unreachable=True),
    ),
    row(
        "4.2.4-disconnected-and-asked-for-no-cache",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(FAILED, unreachable=True, asks=(cc("no-cache"),), status=502),
    ),
    row(
        "4.2.4-disconnected-and-asked-for-max-age",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(FAILED, unreachable=True, asks=(cc("max-age=600"),), status=502),
    ),
    row(
        "4.2.4-disconnected-head",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, unreachable=True, method="HEAD"),
    ),
    row(
        "4.2.4-disconnected-post",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(FAILED, unreachable=True, method="POST", content=b"x", status=502),
    ),
    row("4.2.4-disconnected-and-nothing-stored", Turn(FAILED, unreachable=True, status=502)),
    row("4.2.4-dropped-and-nothing-stored", Turn(FAILED, DROPPED, status=502)),
    row("4.2.4-fresh-while-disconnected", stored(cc("max-age=60")), again(HIT, unreachable=True)),
    row(
        "4.2.4-disconnected-other-variant",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"'), vary("X-A"), asks=(("X-A", "1"),)),
        again(FAILED, unreachable=True, status=502, asks=(("X-A", "2"),)),
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_freshness(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
