"""RFC 5861: stale answers while the gateway revalidates (§3) and after errors (§4), and what forbids them."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    BRIDGED,
    DROPPED,
    FAILED,
    HIT,
    MISS,
    RESET,
    SPARE,
    STALE,
    VALIDATED,
    Reply,
    Scene,
    Turn,
    about,
    again,
    ago,
    cc,
    etag,
    row,
    stored,
    vary,
)
from conformance.playing import play

# RFC 9111 §4.2.4.
FORBIDDING = {
    "must-revalidate": "max-age=60, must-revalidate",
    "proxy-revalidate": "max-age=60, proxy-revalidate",
    "s-maxage": "s-maxage=60",
    "no-cache": "max-age=60, no-cache",
}

WHOLE = {"Range": None}

ROWS = [
    row(
        "3-stale",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(BRIDGED, ttl=-30, shown={"Age": about(90)}),
    ),
    row("3-fresh", stored(cc("max-age=60, stale-while-revalidate=60")), again(HIT, ttl=60)),
    row(
        "3-replaced",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(BRIDGED, cc("max-age=60")),
        again(HIT, of=2),
    ),
    row(
        "3-validated",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(
            BRIDGED, cc("max-age=60"), reply=Reply(304, (cc("max-age=60"), etag('"a"'))), sent={"If-None-Match": '"a"'}
        ),
        again(HIT, of=1, ttl=60),
    ),
    row(
        "3-without-validator",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90")),
        again(BRIDGED, cc("max-age=60")),
        again(HIT, of=2),
    ),
    row(
        "3-at-once-stale",
        stored(cc("max-age=0, stale-while-revalidate=60")),
        again(BRIDGED, cc("max-age=60")),
        again(HIT, of=2),
    ),
    row("3-expires", stored(cc("stale-while-revalidate=60"), ("Expires", ago(10))), again(BRIDGED)),
    row(
        "3-failed-in-the-background",
        stored(cc("max-age=60, stale-while-revalidate=600"), ("Age", "90"), etag('"a"')),
        again(BRIDGED, reply=Reply(503)),
        again(BRIDGED, of=1),
    ),
    row(
        "3-dropped-in-the-background",
        stored(cc("max-age=60, stale-while-revalidate=600"), ("Age", "90"), etag('"a"')),
        again(STALE, unreachable=True),
    ),
    row(
        "3-window-passed",
        stored(cc("max-age=60, stale-while-revalidate=10"), ("Age", "90"), etag('"a"')),
        again(VALIDATED),
    ),
    row(
        "3-window-of-nothing",
        stored(cc("max-age=60, stale-while-revalidate=0"), ("Age", "90"), etag('"a"')),
        again(VALIDATED),
    ),
    row(
        "3-no-argument", stored(cc("max-age=60, stale-while-revalidate"), ("Age", "90"), etag('"a"')), again(VALIDATED)
    ),
    row(
        "3-unreadable", stored(cc("max-age=60, stale-while-revalidate=x"), ("Age", "90"), etag('"a"')), again(VALIDATED)
    ),
    row(
        "3-negative", stored(cc("max-age=60, stale-while-revalidate=-60"), ("Age", "90"), etag('"a"')), again(VALIDATED)
    ),
    row(
        "3-fraction",
        stored(cc("max-age=60, stale-while-revalidate=60.5"), ("Age", "90"), etag('"a"')),
        again(VALIDATED),
    ),
    row("3-quoted", stored(cc('max-age=60, stale-while-revalidate="60"'), ("Age", "90"), etag('"a"')), again(BRIDGED)),
    row(
        "3-upper-case", stored(cc("max-age=60, STALE-WHILE-REVALIDATE=60"), ("Age", "90"), etag('"a"')), again(BRIDGED)
    ),
    row(
        "3-head",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(BRIDGED, cc("max-age=60"), method="HEAD"),
        again(HIT, of=2),
    ),
    row(
        "3-other-variant",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), vary("X-A"), asks=(("X-A", "1"),)),
        again(MISS, asks=(("X-A", "2"),)),
    ),
    row(
        "3-background-asks-for-the-variant",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), vary("X-A"), asks=(("X-A", "1"),)),
        again(BRIDGED, asks=(("X-A", "1"),), sent={"X-A": "1"}),
    ),
    row(
        "3-background-is-no-condition-of-the-client",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(BRIDGED, cc("max-age=60"), asks=(("If-None-Match", '"z"'),), sent={"If-None-Match": '"a"'}),
        again(HIT, of=2),
    ),
    row(
        "3-background-is-no-part",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(
            BRIDGED, cc("max-age=60"), asks=(("Range", "bytes=0-4"),), status=206, got=b"reply", sent={"Range": None}
        ),
        again(HIT, of=2),
    ),
    row(
        "3-overflow",
        stored(cc("max-age=60, stale-while-revalidate=99999999999999999999"), ("Age", "90"), etag('"a"')),
        again(BRIDGED),
    ),
    *(
        row(
            f"3-forbidden-by-{name}",
            stored(cc(f"{directives}, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
            again(VALIDATED),
        )
        for name, directives in FORBIDDING.items()
    ),
    *(
        row(
            f"4-status-{status}",
            stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
            again(SPARE, reply=Reply(status), ttl=-30, detail="stale-if-error", shown={"Age": about(90)}),
        )
        for status in (500, 502, 503, 504)
    ),
    *(
        row(
            f"4-status-{status}-is-no-error",
            stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
            again(MISS, reply=Reply(status)),
        )
        for status in (404, 410, 429, 501, 505, 599)
    ),
    row("4-without-validator", stored(cc("max-age=60, stale-if-error=60"), ("Age", "90")), again(SPARE)),
    row(
        "4-dropped",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, reply=DROPPED),
    ),
    row("4-reset", stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')), again(SPARE, reply=RESET)),
    row(
        "4-refused",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, unreachable=True),
    ),
    row(
        "4-not-replaced-by-the-error",
        stored(cc("max-age=60, stale-if-error=600"), ("Age", "90"), etag('"a"')),
        again(SPARE),
        again(VALIDATED, of=1),
    ),
    row(
        "4-head",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, method="HEAD"),
    ),
    row(
        "4-post-is-no-lookup",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(MISS, reply=Reply(503), method="POST", content=b"x"),
    ),
    row(
        "4-range",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, asks=(("Range", "bytes=0-4"),), status=206, got=b"reply"),
    ),
    row(
        "4-condition",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, asks=(("If-None-Match", '"a"'),), status=304),
    ),
    row(
        "4-fresh-but-not-young-enough",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "30"), etag('"a"')),
        again(SPARE, asks=(cc("max-age=10"),)),
    ),
    row("4-fresh", stored(cc("max-age=60, stale-if-error=60")), again(HIT)),
    row(
        "4-window-passed",
        stored(cc("max-age=60, stale-if-error=10"), ("Age", "90"), etag('"a"')),
        again(MISS, reply=Reply(503)),
    ),
    row(
        "4-window-of-nothing",
        stored(cc("max-age=60, stale-if-error=0"), ("Age", "90"), etag('"a"')),
        again(MISS, reply=Reply(503)),
    ),
    row(
        "4-window-passed-and-refused",
        stored(cc("max-age=60, stale-if-error=10"), ("Age", "90"), etag('"a"')),
        again(FAILED, unreachable=True, status=502),
    ),
    row(
        "4-no-argument",
        stored(cc("max-age=60, stale-if-error"), ("Age", "90"), etag('"a"')),
        again(MISS, reply=Reply(503)),
    ),
    row(
        "4-unreadable",
        stored(cc("max-age=60, stale-if-error=x"), ("Age", "90"), etag('"a"')),
        again(MISS, reply=Reply(503)),
    ),
    row("4-without-it", stored(cc("max-age=60"), ("Age", "90"), etag('"a"')), again(MISS, reply=Reply(500))),
    row(
        "4-both-directives",
        stored(cc("max-age=60, stale-while-revalidate=10, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE),
    ),
    row(
        "4-other-variant",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"'), vary("X-A"), asks=(("X-A", "1"),)),
        again(MISS, reply=Reply(503), asks=(("X-A", "2"),)),
    ),
    *(
        row(
            f"4-error-passed-on-where-forbidden-by-{name}",
            stored(cc(f"{directives}, stale-if-error=60"), ("Age", "90"), etag('"a"')),
            again(MISS, reply=Reply(503)),
        )
        for name, directives in FORBIDDING.items()
    ),
    *(
        row(
            f"4-refused-and-forbidden-by-{name}",
            stored(cc(f"{directives}, stale-if-error=60"), ("Age", "90"), etag('"a"')),
            again(FAILED, unreachable=True, status=504),
        )
        for name, directives in FORBIDDING.items()
    ),
    *(
        row(
            f"4-dropped-and-forbidden-by-{name}",
            stored(cc(f"{directives}, stale-if-error=60"), ("Age", "90"), etag('"a"')),
            again(FAILED, reply=DROPPED, status=504),
        )
        for name, directives in FORBIDDING.items()
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_stale_allowed(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
