"""RFC 9111 §5.2.2, and what §4.2.1 says of conflicts: what the origin's directives make of a response."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    DROPPED,
    FAILED,
    HIT,
    MISS,
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
    modified,
    row,
    stored,
    unstored,
    vary,
)
from conformance.playing import play

ROWS = [
    row("5.2.2.1-max-age", stored(cc("max-age=60")), again(HIT, ttl=60)),
    row("5.2.2.1-max-age-zero", unstored(cc("max-age=0")), again(MISS)),
    row("5.2.2.1-max-age-zero-with-validator", stored(cc("max-age=0"), etag('"a"')), again(VALIDATED, fwd="stale")),
    row("5.2.2.1-max-age-passed", stored(cc("max-age=60"), ("Age", "61"), etag('"a"')), again(VALIDATED, fwd="stale")),
    row("5.2.2.1-max-age-reached", stored(cc("max-age=60"), ("Age", "60"), etag('"a"')), again(VALIDATED, fwd="stale")),
    row("5.2.2.1-max-age-nearly-passed", stored(cc("max-age=3600"), ("Age", "3500")), again(HIT, ttl=100)),
    row("5.2.2.1-without-cache-control", unstored(), again(MISS)),
    row("5.2.2.2-must-revalidate-fresh", stored(cc("max-age=60, must-revalidate")), again(HIT)),
    row(
        "5.2.2.2-must-revalidate-stale",
        stored(cc("max-age=60, must-revalidate"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, fwd="stale"),
    ),
    row("5.2.2.2-must-revalidate-alone", unstored(cc("must-revalidate")), again(MISS)),
    row("5.2.2.2-fresh-while-disconnected", stored(cc("max-age=60, must-revalidate")), again(HIT, unreachable=True)),
    row(
        "5.2.2.2-stale-while-disconnected",
        stored(cc("max-age=60, must-revalidate"), ("Age", "90"), etag('"a"')),
        again(FAILED, status=504, unreachable=True),
    ),
    row(
        "5.2.2.2-stale-and-the-connection-dropped",
        stored(cc("max-age=60, must-revalidate"), ("Age", "90"), etag('"a"')),
        again(FAILED, reply=DROPPED, status=504),
    ),
    row("5.2.2.3-must-understand", stored(cc("must-understand, max-age=60")), again(HIT)),
    row("5.2.2.3-wins-over-no-store", stored(cc("must-understand, no-store, max-age=60")), again(HIT)),
    row("5.2.2.3-wins-over-no-store-before-it", stored(cc("no-store, max-age=60, must-understand")), again(HIT)),
    row("5.2.2.3-404", stored(cc("must-understand, no-store, max-age=60"), status=404), again(HIT)),
    row("5.2.2.3-not-over-private", unstored(cc("must-understand, private, max-age=60")), again(MISS)),
    row("5.2.2.3-299", unstored(cc("must-understand, max-age=60"), status=299), again(MISS)),
    row("5.2.2.3-299-no-store", unstored(cc("must-understand, no-store, max-age=60"), status=299), again(MISS)),
    row("5.2.2.3-499", unstored(cc("must-understand, max-age=60"), status=499), again(MISS)),
    row("5.2.2.3-alone-gives-no-lifetime", unstored(cc("must-understand, no-store")), again(MISS)),
    row("5.2.2.4-no-cache", stored(cc("no-cache"), etag('"a"')), again(VALIDATED, sent={"If-None-Match": '"a"'})),
    row("5.2.2.4-no-cache-each-time", stored(cc("no-cache"), etag('"a"')), again(VALIDATED), again(VALIDATED)),
    row("5.2.2.4-no-cache-and-max-age", stored(cc("no-cache, max-age=60"), etag('"a"')), again(VALIDATED)),
    row("5.2.2.4-max-age-and-no-cache", stored(cc("max-age=60, no-cache"), etag('"a"')), again(VALIDATED)),
    row("5.2.2.4-no-cache-and-expires", stored(cc("no-cache"), ("Expires", ahead(60)), etag('"a"')), again(VALIDATED)),
    row("5.2.2.4-no-cache-and-s-maxage", stored(cc("s-maxage=60, no-cache"), etag('"a"')), again(VALIDATED)),
    row("5.2.2.4-no-cache-without-validator", unstored(cc("no-cache, max-age=60")), again(MISS)),
    row(
        "5.2.2.4-no-cache-while-disconnected",
        stored(cc("no-cache, max-age=60"), etag('"a"')),
        again(FAILED, status=504, unreachable=True),
    ),
    row(
        "5.2.2.4-field-withheld",
        stored(cc('no-cache="x-user", max-age=60'), ("X-User", "me"), ("X-Other", "kept"), shown={"X-User": "me"}),
        again(HIT, shown={"X-User": None, "X-Other": "kept"}),
    ),
    row(
        "5.2.2.4-several-fields-withheld",
        stored(cc('no-cache="x-a, X-B", max-age=60'), ("X-A", "1"), ("X-B", "2"), ("X-C", "3")),
        again(HIT, shown={"X-A": None, "X-B": None, "X-C": "3"}),
    ),
    row(
        "5.2.2.4-field-in-token-form",
        stored(cc("no-cache=x-user, max-age=60"), ("X-User", "me")),
        again(HIT, shown={"X-User": None}),
    ),
    row(
        "5.2.2.4-field-that-is-absent",
        stored(cc('no-cache="x-user", max-age=60')),
        again(HIT, shown={"X-User": None}),
    ),
    row(
        "5.2.2.4-etag-withheld",
        stored(cc('no-cache="etag", max-age=0'), etag('"a"'), modified(60)),
        again(VALIDATED, sent={"If-None-Match": None, "If-Modified-Since": ago(60)}, shown={"ETag": None}),
    ),
    row(
        "5.2.2.4-vary-withheld-still-selects",
        stored(cc('no-cache="vary", max-age=60'), vary("X-A"), asks=(("X-A", "1"),)),
        again(MISS, asks=(("X-A", "2"),), fwd="vary-miss"),
    ),
    row(
        "5.2.2.4-cache-control-withheld-still-counts",
        stored(cc('no-cache="cache-control", max-age=60'), ("X-Other", "kept")),
        again(HIT, ttl=60, shown={"X-Other": "kept", "Cache-Control": None}),
    ),
    row(
        "5.2.2.4-date-withheld-still-ages",
        stored(cc('no-cache="date", max-age=3600'), ("Date", ago(600))),
        again(HIT, shown={"Age": about(600)}),
    ),
    row("5.2.2.4-no-names", stored(cc('no-cache="", max-age=60'), etag('"a"')), again(VALIDATED)),
    row("5.2.2.4-no-field-names", stored(cc('no-cache="x user", max-age=60'), etag('"a"')), again(VALIDATED)),
    row(
        "5.2.2.4-qualified-and-unqualified",
        stored(cc('no-cache="x-user", no-cache, max-age=60'), etag('"a"')),
        again(VALIDATED),
    ),
    row("5.2.2.5-no-store", unstored(cc("no-store")), again(MISS)),
    row("5.2.2.5-no-store-and-max-age", unstored(cc("no-store, max-age=60")), again(MISS)),
    row("5.2.2.5-max-age-and-no-store", unstored(cc("max-age=60, no-store")), again(MISS)),
    row("5.2.2.5-no-store-and-public", unstored(cc("public, no-store, s-maxage=60")), again(MISS)),
    row("5.2.2.5-no-store-and-expires", unstored(cc("no-store"), ("Expires", ahead(60))), again(MISS)),
    row(
        "5.2.2.5-no-store-and-validator",
        unstored(cc("no-store"), etag('"a"')),
        again(MISS, sent={"If-None-Match": None}),
    ),
    row("5.2.2.5-no-store-says-why", unstored(cc("no-store"), detail="no-store"), again(MISS)),
    row(
        "5.2.2.6-no-transform",
        stored(cc("no-transform, max-age=60")),
        again(HIT, shown={"Cache-Control": "no-transform, max-age=60"}),
    ),
    row("5.2.2.7-private", unstored(cc("private, max-age=60")), again(MISS)),
    row("5.2.2.7-private-and-public", unstored(cc("public, private, max-age=60")), again(MISS)),
    row("5.2.2.7-private-and-s-maxage", unstored(cc("private, s-maxage=60")), again(MISS)),
    row(
        "5.2.2.7-field-withheld",
        stored(cc('private="x-user", max-age=60'), ("X-User", "me"), ("X-Other", "kept"), shown={"X-User": "me"}),
        again(HIT, shown={"X-User": None, "X-Other": "kept"}),
    ),
    row(
        "5.2.2.7-field-in-token-form",
        stored(cc("private=x-user, max-age=60"), ("X-User", "me")),
        again(HIT, shown={"X-User": None}),
    ),
    row(
        "5.2.2.7-etag-withheld",
        stored(cc('private="etag", max-age=0'), etag('"a"'), modified(60)),
        again(VALIDATED, sent={"If-None-Match": None}),
    ),
    row(
        "5.2.2.7-only-validator-withheld",
        fetched(cc('private="etag", max-age=0'), etag('"a"')),
        again(MISS, sent={"If-None-Match": None}),
    ),
    row(
        "5.2.2.7-field-withheld-from-a-validated-answer",
        stored(cc('private="x-user", max-age=0'), etag('"a"'), ("X-User", "me")),
        again(VALIDATED, cc('private="x-user", max-age=60'), ("X-User", "you")),
        again(HIT, shown={"X-User": None}),
    ),
    row("5.2.2.7-no-names", unstored(cc('private="", max-age=60')), again(MISS)),
    row("5.2.2.7-no-field-names", unstored(cc('private="x user", max-age=60')), again(MISS)),
    row("5.2.2.7-qualified-and-unqualified", unstored(cc('private="x-user", private, max-age=60')), again(MISS)),
    row(
        "5.2.2.7-repeated-names-add-up",
        stored(cc('private="x-a", private="x-b", max-age=60'), ("X-A", "1"), ("X-B", "2")),
        again(HIT, shown={"X-A": None, "X-B": None}),
    ),
    row("5.2.2.8-proxy-revalidate-fresh", stored(cc("max-age=60, proxy-revalidate")), again(HIT)),
    row(
        "5.2.2.8-proxy-revalidate-stale",
        stored(cc("max-age=60, proxy-revalidate"), ("Age", "90"), etag('"a"')),
        again(VALIDATED),
    ),
    row(
        "5.2.2.8-stale-while-disconnected",
        stored(cc("max-age=60, proxy-revalidate"), ("Age", "90"), etag('"a"')),
        again(FAILED, status=504, unreachable=True),
    ),
    row("5.2.2.8-alone", unstored(cc("proxy-revalidate")), again(MISS)),
    row("5.2.2.9-public", stored(cc("public, max-age=60")), again(HIT)),
    row("5.2.2.9-public-alone", unstored(cc("public")), again(MISS)),
    row("5.2.2.9-public-and-validator", stored(cc("public"), etag('"a"'), status=302), again(VALIDATED)),
    row("5.2.2.10-s-maxage", stored(cc("s-maxage=60")), again(HIT, ttl=60)),
    row("5.2.2.10-wins-over-max-age", stored(cc("max-age=0, s-maxage=60")), again(HIT, ttl=60)),
    row("5.2.2.10-wins-before-max-age", stored(cc("s-maxage=60, max-age=3600")), again(HIT, ttl=60)),
    row("5.2.2.10-zero-wins-over-max-age", stored(cc("max-age=60, s-maxage=0"), etag('"a"')), again(VALIDATED)),
    row("5.2.2.10-wins-over-expires", stored(cc("s-maxage=60"), ("Expires", ago(60))), again(HIT, ttl=60)),
    row(
        "5.2.2.10-zero-wins-over-expires",
        stored(cc("s-maxage=0"), ("Expires", ahead(60)), etag('"a"')),
        again(VALIDATED),
    ),
    row("5.2.2.10-unreadable-is-stale", stored(cc("s-maxage=x, max-age=60"), etag('"a"')), again(VALIDATED)),
    row("5.2.2.10-stale", stored(cc("s-maxage=60"), ("Age", "90"), etag('"a"')), again(VALIDATED)),
    row(
        "5.2.2.10-stale-while-disconnected",
        stored(cc("s-maxage=60"), ("Age", "90"), etag('"a"')),
        again(FAILED, status=504, unreachable=True),
    ),
    row("5.2.3-unknown", stored(cc('max-age=60, community="UCI"')), again(HIT)),
    row("5.2.3-unknown-with-private", unstored(cc('private, community="UCI", max-age=60')), again(MISS)),
    row(
        "5.2.3-unknown-that-looks-like-no-store", stored(cc("x-no-store, no-storex, no_store, max-age=60")), again(HIT)
    ),
    row("5.2-kept-as-written", stored(cc("Max-Age=60,foo")), again(HIT, shown={"Cache-Control": "Max-Age=60,foo"})),
    row(
        "5.2-lines-kept",
        stored(cc("max-age=60"), cc("foo")),
        again(HIT, shown={"Cache-Control": "max-age=60, foo"}),
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_response_directives(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)


@pytest.mark.parametrize("turns", ROWS)
async def test_response_directives_on_a_metered_route(metered: Scene, turns: Sequence[Turn]) -> None:
    await play(metered, turns)
