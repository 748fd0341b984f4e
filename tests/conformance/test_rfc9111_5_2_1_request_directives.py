"""RFC 9111 §5.2.1.1 to §5.2.1.3: a request's max-age, max-stale and min-fresh on a public route."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    STALE,
    VALIDATED,
    Scene,
    Turn,
    about,
    again,
    cc,
    etag,
    modified,
    row,
    stored,
    vary,
)
from conformance.playing import play

# §4.2.4.
FORBIDDING = {
    "must-revalidate": "max-age=60, must-revalidate",
    "proxy-revalidate": "max-age=60, proxy-revalidate",
    "s-maxage": "s-maxage=60",
    "no-cache": "max-age=60, no-cache",
}

ROWS = [
    row("5.2.1.1-max-age-met", stored(cc("max-age=3600"), ("Age", "30")), again(HIT, asks=(cc("max-age=600"),))),
    row(
        "5.2.1.1-max-age-not-met",
        stored(cc("max-age=3600"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=10"),), fwd="request"),
    ),
    row(
        "5.2.1.1-max-age-without-validator",
        stored(cc("max-age=3600"), ("Age", "30")),
        again(MISS, asks=(cc("max-age=10"),), fwd="request"),
    ),
    row(
        "5.2.1.1-max-age-zero",
        stored(cc("max-age=3600"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=0"),)),
    ),
    row(
        "5.2.1.1-max-age-replaces",
        stored(cc("max-age=3600"), ("Age", "30")),
        again(MISS, cc("max-age=60"), asks=(cc("max-age=10"),), kept=True),
        again(HIT, of=2),
    ),
    row(
        "5.2.1.1-max-age-makes-nothing-fresh",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=3600"),), fwd="stale"),
    ),
    row("5.2.1.1-max-age-on-a-miss", stored(cc("max-age=60"), asks=(cc("max-age=0"),), fwd="uri-miss"), again(HIT)),
    row(
        "5.2.1.1-max-age-overflow",
        stored(cc("max-age=3600"), ("Age", "30")),
        again(HIT, asks=(cc("max-age=99999999999999999999"),)),
    ),
    row(
        "5.2.1.1-max-age-quoted",
        stored(cc("max-age=3600"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc('max-age="10"'),)),
    ),
    row(
        "5.2.1.1-max-age-and-max-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, asks=(cc("max-age=600, max-stale=60"),)),
    ),
    row(
        "5.2.1.1-max-age-not-met-and-max-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=10, max-stale"),)),
    ),
    row(
        "5.2.1.1-not-stale-while-revalidating",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=600"),)),
    ),
    row(
        "5.2.1.1-a-client-of-its-own-time",
        stored(cc("max-age=3600"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=0"),)),
        again(HIT),
    ),
    row(
        "5.2.1.2-max-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, asks=(cc("max-stale"),), ttl=-30, detail="max-stale", shown={"Age": about(90)}),
    ),
    row(
        "5.2.1.2-max-stale-enough",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, asks=(cc("max-stale=60"),)),
    ),
    row(
        "5.2.1.2-max-stale-too-little",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-stale=10"),)),
    ),
    row(
        "5.2.1.2-max-stale-zero",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-stale=0"),)),
    ),
    row(
        "5.2.1.2-max-stale-unreadable",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-stale=x"),)),
    ),
    row(
        "5.2.1.2-max-stale-negative",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-stale=-60"),)),
    ),
    row(
        "5.2.1.2-max-stale-overflow",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, asks=(cc("max-stale=99999999999999999999"),)),
    ),
    row("5.2.1.2-max-stale-fresh", stored(cc("max-age=60")), again(HIT, asks=(cc("max-stale"),))),
    row("5.2.1.2-max-stale-on-a-miss", stored(cc("max-age=60"), asks=(cc("max-stale"),)), again(HIT)),
    row("5.2.1.2-max-stale-heuristic", stored(modified(3600), ("Age", "600")), again(STALE, asks=(cc("max-stale"),))),
    row(
        "5.2.1.2-max-stale-other-variant",
        stored(cc("max-age=60"), ("Age", "90"), vary("X-A"), asks=(("X-A", "1"),)),
        again(MISS, asks=(cc("max-stale"), ("X-A", "2"))),
    ),
    *(
        row(
            f"5.2.1.2-max-stale-forbidden-by-{name}",
            stored(cc(directives), ("Age", "90"), etag('"a"')),
            again(VALIDATED, asks=(cc("max-stale"),)),
        )
        for name, directives in FORBIDDING.items()
    ),
    row("5.2.1.3-min-fresh-met", stored(cc("max-age=3600")), again(HIT, asks=(cc("min-fresh=600"),))),
    row(
        "5.2.1.3-min-fresh-not-met",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("min-fresh=600"),), fwd="request"),
    ),
    row(
        "5.2.1.3-min-fresh-counts-age",
        stored(cc("max-age=3600"), ("Age", "3500"), etag('"a"')),
        again(VALIDATED, asks=(cc("min-fresh=600"),)),
    ),
    row("5.2.1.3-min-fresh-without-validator", stored(cc("max-age=60")), again(MISS, asks=(cc("min-fresh=600"),))),
    row("5.2.1.3-min-fresh-zero", stored(cc("max-age=60")), again(HIT, asks=(cc("min-fresh=0"),))),
    row(
        "5.2.1.3-min-fresh-overflow",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("min-fresh=99999999999999999999"),)),
    ),
    row(
        "5.2.1.3-min-fresh-and-max-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("min-fresh=10, max-stale"),)),
    ),
    row("5.2.1.3-min-fresh-on-a-miss", stored(cc("max-age=60"), asks=(cc("min-fresh=600"),)), again(HIT)),
    row(
        "5.2.1.3-min-fresh-and-max-age",
        stored(cc("max-age=3600"), ("Age", "30")),
        again(HIT, asks=(cc("min-fresh=600, max-age=600"),)),
    ),
    row(
        "5.2.1.1-max-age-head",
        stored(cc("max-age=60"), ("Age", "30")),
        again(MISS, method="HEAD", asks=(cc("max-age=10"),), fwd="request"),
    ),
    row(
        "5.2.1.2-max-stale-head",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, method="HEAD", asks=(cc("max-stale"),)),
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_request_directives(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
