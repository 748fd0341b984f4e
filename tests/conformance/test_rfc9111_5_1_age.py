"""RFC 9111 §5.1 and §4.2.3: Age as it is read and written, and the age of what is stored."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    PRESENT,
    STALE,
    VALIDATED,
    Scene,
    Turn,
    about,
    again,
    ago,
    ahead,
    cc,
    etag,
    fetched,
    row,
    stored,
    written,
)
from conformance.playing import play

ROWS = [
    row("5.1-written", stored(cc("max-age=60")), again(HIT, shown={"Age": about(0)})),
    row("5.1-counted", stored(cc("max-age=60"), ("Age", "30")), again(HIT, ttl=30, shown={"Age": about(30)})),
    row("5.1-replaced-once", stored(cc("max-age=3600"), ("Age", "1000")), again(HIT, shown={"Age": about(1000)})),
    row("5.1-passed-on", stored(cc("max-age=60"), ("Age", "30"), shown={"Age": about(30)})),
    row("5.1-none-where-just-made", stored(cc("max-age=60"), shown={"Age": None})),
    row("5.1-zero", stored(cc("max-age=60"), ("Age", "0")), again(HIT, ttl=60)),
    row("5.1-leading-zeros", stored(cc("max-age=60"), ("Age", "00030")), again(HIT, ttl=30)),
    row("5.1-over-the-lifetime", stored(cc("max-age=60"), ("Age", "100"), etag('"a"')), again(VALIDATED)),
    row("5.1-over-the-lifetime-without-validator", fetched(cc("max-age=60"), ("Age", "100")), again(MISS)),
    row("5.1-over-expires", stored(("Age", "100"), ("Expires", ahead(60)), etag('"a"')), again(VALIDATED)),
    row("5.1-over-s-maxage", stored(cc("s-maxage=60"), ("Age", "100"), etag('"a"')), again(VALIDATED)),
    row("5.1-list", stored(cc("max-age=60"), ("Age", "30, 1000")), again(HIT, ttl=30)),
    row("5.1-list-first-is-larger", stored(cc("max-age=60"), ("Age", "1000, 30"), etag('"a"')), again(VALIDATED)),
    row("5.1-lines", stored(cc("max-age=60"), ("Age", "30"), ("Age", "1000")), again(HIT, ttl=30)),
    row(
        "5.1-lines-first-is-larger",
        stored(cc("max-age=60"), ("Age", "1000"), ("Age", "30"), etag('"a"')),
        again(VALIDATED),
    ),
    row("5.1-list-first-is-invalid", stored(cc("max-age=60"), ("Age", "abc, 1000")), again(HIT, ttl=60)),
    row("5.1-list-second-is-invalid", stored(cc("max-age=60"), ("Age", "30, abc")), again(HIT, ttl=30)),
    row(
        "5.1-lines-written-as-one",
        stored(cc("max-age=3600"), ("Age", "30"), ("Age", "1000")),
        again(HIT, shown={"Age": about(30)}),
    ),
    row("5.1-word", stored(cc("max-age=60"), ("Age", "abc")), again(HIT, ttl=60)),
    row("5.1-negative", stored(cc("max-age=60"), ("Age", "-100")), again(HIT, ttl=60, shown={"Age": about(0)})),
    row("5.1-signed", stored(cc("max-age=60"), ("Age", "+100")), again(HIT, ttl=60)),
    row("5.1-fraction", stored(cc("max-age=60"), ("Age", "100.5")), again(HIT, ttl=60)),
    row("5.1-quoted", stored(cc("max-age=60"), ("Age", '"100"')), again(HIT, ttl=60)),
    row("5.1-parameter", stored(cc("max-age=60"), ("Age", "100;foo=1")), again(HIT, ttl=60)),
    row("5.1-two-numbers", stored(cc("max-age=60"), ("Age", "100 200")), again(HIT, ttl=60)),
    row("5.1-empty", stored(cc("max-age=60"), ("Age", "")), again(HIT, ttl=60)),
    row("5.1-other-digits", stored(cc("max-age=60"), ("Age", "\xb2")), again(HIT, ttl=60)),
    row(
        "1.2.2-largest-signed-32-bit", stored(cc("max-age=3600"), ("Age", "2147483647"), etag('"a"')), again(VALIDATED)
    ),
    row("1.2.2-2-to-the-31", stored(cc("max-age=3600"), ("Age", "2147483648"), etag('"a"')), again(VALIDATED)),
    row("1.2.2-wraps-32-bit", stored(cc("max-age=3600"), ("Age", "4294967297"), etag('"a"')), again(VALIDATED)),
    row(
        "1.2.2-wraps-64-bit", stored(cc("max-age=3600"), ("Age", "18446744073709551617"), etag('"a"')), again(VALIDATED)
    ),
    row(
        "1.2.2-written-at-most-so-large",
        stored(cc("max-age=60"), ("Age", "9" * 200), etag('"a"')),
        again(STALE, asks=(cc("max-stale"),), shown={"Age": about(2147483648)}),
    ),
    row("1.2.2-endless", stored(cc("max-age=3600"), ("Age", "9" * 200), etag('"a"')), again(VALIDATED)),
    row(
        "4.2.3-date-past",
        stored(cc("max-age=3600"), ("Date", ago(600))),
        again(HIT, ttl=3000, shown={"Age": about(600)}),
    ),
    row(
        "4.2.3-date-past-over-the-lifetime", stored(cc("max-age=60"), ("Date", ago(600)), etag('"a"')), again(VALIDATED)
    ),
    row(
        "4.2.3-date-older-than-age", stored(cc("max-age=3600"), ("Date", ago(600)), ("Age", "30")), again(HIT, ttl=3000)
    ),
    row(
        "4.2.3-age-older-than-date", stored(cc("max-age=3600"), ("Date", ago(30)), ("Age", "600")), again(HIT, ttl=3000)
    ),
    row(
        "4.2.3-date-ahead", stored(cc("max-age=60"), ("Date", ahead(3600))), again(HIT, ttl=60, shown={"Age": about(0)})
    ),
    row("4.2.3-date-ahead-and-age", stored(cc("max-age=60"), ("Date", ahead(3600)), ("Age", "30")), again(HIT, ttl=30)),
    row("4.2.3-no-date", stored(cc("max-age=60"), ("Date", None)), again(HIT, ttl=60, shown={"Date": PRESENT})),
    row("4.2.3-date-invalid", stored(cc("max-age=60"), ("Date", "yesterday")), again(HIT, ttl=60)),
    row(
        "4.2.3-date-rfc850",
        stored(cc("max-age=3600"), ("Date", written("%A, %d-%b-%y %H:%M:%S GMT", -600))),
        again(HIT, ttl=3000),
    ),
    row(
        "4.2.3-date-asctime",
        stored(cc("max-age=3600"), ("Date", written("%a %b %e %H:%M:%S %Y", -600))),
        again(HIT, ttl=3000),
    ),
    row(
        "4.2.3-date-lower-case",
        stored(cc("max-age=60"), ("Date", "sun, 06 nov 1994 08:49:37 gmt"), etag('"a"')),
        again(VALIDATED),
    ),
    row("4.2.3-date-kept", stored(cc("max-age=3600"), ("Date", ago(600))), again(HIT, shown={"Date": ago(600)})),
    row(
        "4.2.3-counted-from-the-validation",
        stored(cc("max-age=60"), ("Age", "100"), etag('"a"')),
        again(VALIDATED, cc("max-age=60"), etag('"a"')),
        again(HIT, ttl=60, shown={"Age": about(0)}),
    ),
    row(
        "4.2.3-age-of-the-validation-counts",
        stored(cc("max-age=60"), ("Age", "100"), etag('"a"')),
        again(VALIDATED, cc("max-age=60"), etag('"a"'), ("Age", "30")),
        again(HIT, ttl=30, shown={"Age": about(30)}),
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_age(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
