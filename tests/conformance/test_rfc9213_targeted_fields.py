"""RFC 9213: CDN-Cache-Control and the gateway's own Gateway-Cache-Control, structured fields both (RFC 9651 §3.2)."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    BRIDGED,
    FAILED,
    HIT,
    MISS,
    SPARE,
    VALIDATED,
    Field,
    Scene,
    Turn,
    again,
    ago,
    ahead,
    cc,
    etag,
    modified,
    row,
    stored,
    unstored,
)
from conformance.playing import play

WRONG_TYPES = {
    "string": 'max-age="60"',
    "decimal": "max-age=60.5",
    "whole-decimal": "max-age=60.0",
    "negative": "max-age=-60",
    "token": "max-age=abc",
    "flag": "max-age",
    "false": "max-age=?0",
    "bytes": "max-age=:YWJj:",
    "inner-list": "max-age=(60)",
}
NO_DICTIONARIES = {
    "trailing-comma": "max-age=60,",
    "empty-member": "public,, max-age=60",
    "leading-comma": ", max-age=60",
    "upper-case": "Max-Age=60",
    "space-before-equals": "max-age =60",
    "space-after-equals": "max-age= 60",
    "no-value": "max-age=",
    "no-comma": "public max-age=60",
    "sixteen-digits": "max-age=1000000000000000",
    "unclosed-string": 'max-age=60, foo="bar',
    "bad-escape": 'max-age=60, foo="b\\ar"',
    "single-quotes": "max-age='60'",
    "signed": "max-age=+60",
    "digit-first": "9=1, max-age=60",
    "non-ascii": "max-age=60, foo=\xe4",
    "unclosed-list": "max-age=60, foo=(1 2",
}


def cdn(value: str) -> Field:
    return "CDN-Cache-Control", value


def own(value: str) -> Field:
    return "Gateway-Cache-Control", value


ROWS = [
    row("2.2-wins-over-no-store", stored(cdn("max-age=60"), cc("no-store")), again(HIT, ttl=60)),
    row("2.2-wins-over-private", stored(cdn("max-age=60"), cc("private")), again(HIT, ttl=60)),
    row("2.2-wins-over-no-cache", stored(cdn("max-age=60"), cc("no-cache"), etag('"a"')), again(HIT, ttl=60)),
    row("2.2-wins-over-max-age", stored(cdn("max-age=60"), cc("max-age=3600")), again(HIT, ttl=60)),
    row("2.2-wins-over-s-maxage", stored(cdn("max-age=60"), cc("s-maxage=3600")), again(HIT, ttl=60)),
    row("2.2-wins-over-max-age-zero", stored(cdn("max-age=60"), cc("max-age=0")), again(HIT, ttl=60)),
    row("2.2-zero-wins-over-max-age", stored(cdn("max-age=0"), cc("max-age=60"), etag('"a"')), again(VALIDATED)),
    row("2.2-no-store-wins", unstored(cdn("no-store"), cc("max-age=60")), again(MISS)),
    row("2.2-private-wins", unstored(cdn("private"), cc("max-age=60")), again(MISS)),
    row("2.2-no-cache-wins", stored(cdn("no-cache"), cc("max-age=60"), etag('"a"')), again(VALIDATED)),
    row("2.2-no-store-beats-max-age", unstored(cdn("no-store, max-age=60")), again(MISS)),
    row("2.2-no-cache-beats-max-age", stored(cdn("max-age=60, no-cache"), etag('"a"')), again(VALIDATED)),
    row("2.2-s-maxage", stored(cdn("s-maxage=60, max-age=3600")), again(HIT, ttl=60)),
    row("2.2-wins-over-expires", stored(cdn("max-age=60"), ("Expires", ago(60))), again(HIT, ttl=60)),
    row(
        "2.2-expires-does-not-count",
        stored(cdn("must-revalidate"), ("Expires", ahead(60)), etag('"a"')),
        again(VALIDATED),
    ),
    row(
        "2.2-expires-does-not-count-for-none",
        stored(cdn("none"), ("Expires", ahead(60)), etag('"a"')),
        again(VALIDATED),
    ),
    row(
        "2.2-cache-control-does-not-count-for-none",
        stored(cdn("none"), cc("no-store"), modified(36000)),
        again(HIT, ttl=3600),
    ),
    row("2.2-lifetime-of-cache-control-does-not-count", unstored(cdn("none"), cc("max-age=60")), again(MISS)),
    row("2.2-heuristic-without-a-lifetime", stored(cdn("must-revalidate"), modified(36000)), again(HIT, ttl=3600)),
    row("2.2-alone", stored(cdn("max-age=60")), again(HIT, ttl=60)),
    row("2.2-age-counts", stored(cdn("max-age=60"), ("Age", "90"), etag('"a"')), again(VALIDATED)),
    row("2.2-unknown-directive", stored(cdn("max-age=60, foo, bar=baz"), cc("no-store")), again(HIT, ttl=60)),
    row(
        "2.2-must-revalidate-stale",
        stored(cdn("max-age=60, must-revalidate"), ("Age", "90"), etag('"a"')),
        again(FAILED, unreachable=True, status=504),
    ),
    row(
        "2.2-must-revalidate-of-cache-control",
        stored(cdn("max-age=60, stale-if-error=60"), cc("must-revalidate"), ("Age", "90"), etag('"a"')),
        again(SPARE),
    ),
    row(
        "2.2-stale-while-revalidate",
        stored(cdn("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(BRIDGED),
    ),
    row(
        "2.2-stale-while-revalidate-of-cache-control",
        stored(cdn("max-age=60"), cc("stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED),
    ),
    row("2.2-stale-if-error", stored(cdn("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')), again(SPARE)),
    row(
        "2.2-authorization-public", stored(cdn("public, max-age=60"), asks=(("Authorization", "Bearer x"),)), again(HIT)
    ),
    row(
        "2.2-authorization-public-of-cache-control",
        unstored(cdn("max-age=60"), cc("public"), asks=(("Authorization", "Bearer x"),)),
        again(MISS),
    ),
    row("2.2-must-understand", unstored(cdn("must-understand, max-age=60"), status=299), again(MISS)),
    row(
        "2.2-must-understand-wins-over-no-store",
        stored(cdn("must-understand, no-store, max-age=60")),
        again(HIT, ttl=60),
    ),
    row(
        "2.2-set-cookie-withheld",
        stored(cdn('no-cache="set-cookie", max-age=60'), ("Set-Cookie", "a=b")),
        again(HIT, shown={"Set-Cookie": None}),
    ),
    row(
        "2.2-set-cookie-withheld-of-cache-control",
        unstored(cdn("max-age=60"), cc('no-cache="set-cookie"'), ("Set-Cookie", "a=b")),
        again(MISS, shown={"Set-Cookie": None}),
    ),
    row(
        "2.2-of-the-validation",
        stored(cdn("max-age=0"), etag('"a"')),
        again(VALIDATED, cdn("max-age=60")),
        again(HIT, ttl=60),
    ),
    row(
        "2.2-stays-after-a-validation-without-it",
        stored(cdn("max-age=60"), cc("no-store"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, cc("no-store")),
        again(HIT, ttl=60),
    ),
    row(
        "2.2-no-store-of-the-validation",
        stored(cdn("max-age=0"), etag('"a"')),
        again(VALIDATED, cdn("no-store")),
        again(MISS, sent={"If-None-Match": None}),
    ),
    row(
        "2.2-passed-on",
        stored(
            cdn("max-age=60"), cc("no-store"), shown={"CDN-Cache-Control": "max-age=60", "Cache-Control": "no-store"}
        ),
    ),
    row(
        "2.2-cache-control-kept",
        stored(cdn("max-age=60"), cc("no-store")),
        again(HIT, shown={"Cache-Control": "no-store"}),
    ),
    row("2.2-own-wins", stored(own("max-age=60"), cdn("no-store"), cc("no-store")), again(HIT, ttl=60)),
    row("2.2-own-no-store-wins", unstored(own("no-store"), cdn("max-age=60"), cc("max-age=60")), again(MISS)),
    row("2.2-own-alone", stored(own("max-age=60")), again(HIT, ttl=60)),
    row("2.2-own-invalid", stored(own("max-age=60,,"), cdn("max-age=30"), cc("no-store")), again(HIT, ttl=30)),
    row("2.2-own-empty", stored(own(""), cdn("max-age=30"), cc("no-store")), again(HIT, ttl=30)),
    row("2.2-both-invalid", stored(own("max-age=60,,"), cdn("="), cc("max-age=20")), again(HIT, ttl=20)),
    row("2.2-both-invalid-and-no-store", unstored(own("="), cdn("="), cc("no-store")), again(MISS)),
    row("2.2-order-of-lines-does-not-matter", stored(cdn("no-store"), own("max-age=60")), again(HIT, ttl=60)),
    row("2.2-others-are-not-ours", unstored(("X-CDN-Cache-Control", "max-age=60")), again(MISS)),
    row(
        "2.2-others-do-not-forbid",
        stored(("Example-Cache-Control", "no-store"), cc("max-age=60")),
        again(HIT, shown={"Example-Cache-Control": "no-store"}),
    ),
    row("2.2-surrogate-control-is-not-ours", stored(("Surrogate-Control", "no-store"), cc("max-age=60")), again(HIT)),
    row("2.1-empty", stored(cdn(""), cc("max-age=60")), again(HIT, ttl=60)),
    row("2.1-only-spaces", stored(cdn("  "), cc("max-age=60")), again(HIT, ttl=60)),
    row("2.1-field-name-case", stored(("cdn-CACHE-control", "max-age=60"), cc("no-store")), again(HIT)),
    row("2.1-lines", stored(cdn("max-age=60"), cdn("no-cache"), etag('"a"')), again(VALIDATED)),
    row("2.1-spaces-around-comma", stored(cdn("public  ,\tmax-age=60"), cc("no-store")), again(HIT, ttl=60)),
    row("2.1-parameters-ignored", stored(cdn("max-age=60;foo=bar;baz"), cc("no-store")), again(HIT, ttl=60)),
    row("2.1-parameters-on-a-flag", unstored(cdn("no-store;foo=1"), cc("max-age=60")), again(MISS)),
    row("2.1-true", unstored(cdn("no-store=?1"), cc("max-age=60")), again(MISS)),
    row("2.1-last-of-two", stored(cdn("max-age=0, max-age=60"), cc("no-store")), again(HIT, ttl=60)),
    row("2.1-last-of-two-is-stale", stored(cdn("max-age=60, max-age=0"), etag('"a"')), again(VALIDATED)),
    row("2.1-fifteen-digits", stored(cdn("max-age=999999999999999"), cc("no-store")), again(HIT)),
    row("2.1-leading-zeros", stored(cdn("max-age=0060"), cc("no-store")), again(HIT, ttl=60)),
    row(
        "2.1-names", stored(cdn('no-cache="x-user", max-age=60'), ("X-User", "me")), again(HIT, shown={"X-User": None})
    ),
    row(
        "2.1-private-names",
        stored(cdn('private="x-a, x-b", max-age=60'), ("X-A", "1"), ("X-B", "2")),
        again(HIT, shown={"X-A": None, "X-B": None}),
    ),
    *(
        row(f"2.1-wrong-type-{name}", stored(cdn(value), cc("max-age=3600"), etag('"a"')), again(VALIDATED))
        for name, value in WRONG_TYPES.items()
    ),
    *(
        row(f"2.1-no-dictionary-{name}", stored(cdn(value), cc("max-age=20")), again(HIT, ttl=20))
        for name, value in NO_DICTIONARIES.items()
    ),
    *(
        row(f"2.1-no-dictionary-{name}-hides-no-store", unstored(cdn(value), cc("no-store, max-age=20")), again(MISS))
        for name, value in NO_DICTIONARIES.items()
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_targeted_fields(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
