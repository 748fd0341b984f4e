"""RFC 9111 §4.3.2, RFC 9110 §13 and §15.4.5: a client's conditional request, answered from the store."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import (
    BRIDGED,
    HIT,
    PRESENT,
    SPARE,
    STALE,
    VALIDATED,
    Field,
    Reply,
    Scene,
    Turn,
    Value,
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
    vary,
    written,
)
from conformance.playing import play

FRESH = cc("max-age=600")
A = etag('"a"')
HOUR = modified(3600)


def unless(*lines: str) -> tuple[Field, ...]:
    return tuple([("If-None-Match", line) for line in lines])


def since(*lines: Value) -> tuple[Field, ...]:
    return tuple([("If-Modified-Since", line) for line in lines])


def unchanged(name: str, kept: Sequence[Field], asks: Sequence[Field], **turn: Any) -> Any:
    """304 from the store, and afterwards the whole of it for who has nothing."""
    return row(name, stored(FRESH, *kept), again(HIT, asks=tuple(asks), status=304, **turn), again(HIT))


def whole(name: str, kept: Sequence[Field], asks: Sequence[Field], **turn: Any) -> Any:
    """All of it from the store: the client has something else."""
    return row(name, stored(FRESH, *kept), again(HIT, asks=tuple(asks), **turn))


BY_TAG = [
    unchanged("13.1.2-same", [A], unless('"a"')),
    unchanged("13.1.2-weak-of-strong", [A], unless('W/"a"')),
    unchanged("13.1.2-strong-of-weak", [etag('W/"a"')], unless('"a"')),
    unchanged("13.1.2-weak-of-weak", [etag('W/"a"')], unless('W/"a"')),
    unchanged("13.1.2-first-of-list", [A], unless('"a", "b"')),
    unchanged("13.1.2-last-of-list", [A], unless('"x", W/"y", "a"')),
    unchanged("13.1.2-list-without-spaces", [A], unless('"x","a","y"')),
    unchanged("13.1.2-list-with-empty-members", [A], unless(', "x",, "a",')),
    unchanged("13.1.2-second-line", [A], unless('"x"', '"a"')),
    unchanged("13.1.2-third-line-of-lists", [A], unless('"x", "y"', '"z"', '"v", W/"a"')),
    unchanged("13.1.2-any", [A], unless("*")),
    unchanged("13.1.2-any-without-tag", [], unless("*")),
    unchanged("13.1.2-any-with-spaces", [A], unless(" * ")),
    unchanged("13.1.2-empty-tag", [etag('""')], unless('""')),
    unchanged("13.1.2-tag-with-comma", [etag('"a,b"')], unless('"x", "a,b"')),
    unchanged("13.1.2-tag-with-backslash", [etag('"a\\b"')], unless('"a\\b"')),
    unchanged("13.1.2-tag-with-punctuation", [etag('"!#$%&/(){}[]"')], unless('"!#$%&/(){}[]"')),
    unchanged("13.1.2-tag-like-a-weak-one", [etag('"W/a"')], unless('"W/a"')),
    unchanged("13.1.2-quotes-missing-in-request", [A], unless("a")),
    unchanged("13.1.2-quotes-missing-in-list", [A], unless("x, a")),
    unchanged("13.1.2-quotes-missing-in-store", [etag("a")], unless('"a"')),
    unchanged("13.1.2-quotes-missing-in-both", [etag("a")], unless("a")),
    unchanged("13.2.2-tag-goes-before-date", [A, HOUR], [*unless('"a"'), *since(ago(9999))]),
    unchanged("13.2.2-tag-goes-before-bad-date", [A, HOUR], [*unless('"a"'), *since("yesterday")]),
    unchanged("13.1.2-head", [A], unless('"a"'), method="HEAD"),
    whole("13.1.2-other", [A], unless('"b"')),
    whole("13.1.2-other-list", [A], unless('"b", "c", W/"d"')),
    whole("13.1.2-tags-compare-with-case", [A], unless('"A"')),
    whole("13.1.2-part-of-tag", [etag('"abc"')], unless('"ab", "bc", "b"')),
    whole("13.1.2-more-than-tag", [A], unless('"ab"')),
    whole("13.1.2-star-in-quotes", [A], unless('"*"')),
    whole("13.1.2-empty-value", [A], unless("")),
    whole("13.1.2-part-of-a-tag-with-comma", [etag('"a,b"')], unless('"a", "b"')),
    whole("13.1.2-no-tag-stored", [], unless('"a"')),
    whole("13.1.2-lower-case-weak-mark", [A], unless('"w/a"')),
    whole("13.2.2-tag-goes-before-matching-date", [A, HOUR], [*unless('"b"'), *since(ago(0))]),
    whole("13.2.2-tag-goes-before-date-without-tag-stored", [HOUR], [*unless('"b"'), *since(ago(0))]),
    whole("13.1.2-head-other", [A], unless('"b"'), method="HEAD"),
]

BY_DATE = [
    unchanged("13.1.3-same-date", [HOUR], since(ago(3600))),
    unchanged("13.1.3-later-date", [HOUR], since(ago(60))),
    unchanged("13.1.3-date-ahead", [HOUR], since(ahead(3600))),
    unchanged("13.1.3-with-tag-stored", [A, HOUR], since(ago(3600))),
    unchanged("13.1.3-rfc850-date", [HOUR], since(written("%A, %d-%b-%y %H:%M:%S GMT", -60))),
    unchanged("13.1.3-asctime-date", [HOUR], since(written("%a %b %e %H:%M:%S %Y", -60))),
    unchanged("4.3.2-no-last-modified-but-date", [("Date", ago(60))], since(ago(60))),
    unchanged("4.3.2-no-last-modified-later-than-date", [("Date", ago(60))], since(ago(30))),
    unchanged("4.3.2-neither-so-when-received", [("Date", None)], since(ahead(60))),
    unchanged("13.1.3-head", [HOUR], since(ago(0)), method="HEAD"),
    whole("13.1.3-earlier-date", [HOUR], since(ago(3601))),
    whole("13.1.3-much-earlier-date", [HOUR], since(ago(999999))),
    whole("13.1.3-invalid-date", [HOUR], since("yesterday")),
    whole("13.1.3-empty-date", [HOUR], since("")),
    whole("13.1.3-number", [HOUR], since("4102444800")),
    whole("13.1.3-two-lines", [HOUR], since(ago(0), ago(0))),
    whole("13.1.3-wrong-zone", [HOUR], since(written("%a, %d %b %Y %H:%M:%S PST", -60))),
    whole("4.3.2-no-last-modified-earlier-than-date", [("Date", ago(60))], since(ago(61))),
    whole("4.3.2-last-modified-not-a-date", [("Last-Modified", "lately"), ("Date", ago(60))], since(ago(90))),
]

NOT_OURS = [
    whole("4.3.2-if-match-is-the-origins", [A], [("If-Match", '"b"')]),
    whole("4.3.2-if-match-any", [A], [("If-Match", "*")]),
    whole("4.3.2-if-unmodified-since-is-the-origins", [HOUR], [("If-Unmodified-Since", ago(9999))]),
    row(
        "4.3.2-if-match-fails-at-the-origin",
        fetched(FRESH, status=412, asks=(("If-Match", '"b"'),), sent={"If-Match": '"b"'}, kept=False),
        stored(FRESH, A, sent={"If-Match": None}),
    ),
    row(
        "4.3.2-if-match-fails-on-what-is-stale",
        stored(FRESH, ("Age", "600"), A),
        fetched(FRESH, status=412, asks=(("If-Match", '"b"'),), sent={"If-Match": '"b"'}, kept=False),
        again(VALIDATED, A, of=1),
    ),
    row(
        "4.3.2-if-match-holds-at-the-origin",
        stored(FRESH, A, asks=(("If-Match", '"a"'),), sent={"If-Match": '"a"'}),
        again(HIT),
    ),
    row(
        "4.3.2-if-unmodified-since-of-a-part",
        fetched(
            FRESH,
            status=412,
            asks=(("Range", "bytes=2-3"), ("If-Unmodified-Since", ago(60))),
            sent={"Range": "bytes=2-3", "If-Unmodified-Since": ago(60)},
        ),
    ),
    unchanged("4.3.2-if-match-beside", [A], [("If-Match", '"b"'), *unless('"a"')]),
    row(
        "13.2.1-only-what-would-be-2xx-not-found",
        stored(FRESH, A, status=404),
        again(HIT, asks=unless('"a"')),
    ),
    row(
        "13.2.1-only-what-would-be-2xx-moved",
        stored(FRESH, A, ("Location", "/elsewhere"), status=301),
        again(HIT, asks=unless('"a"')),
    ),
    row(
        "13.2.1-only-what-would-be-2xx-any",
        stored(FRESH, A, status=410),
        again(HIT, asks=unless("*")),
    ),
    row(
        "13.2.1-only-what-would-be-2xx-date",
        stored(FRESH, HOUR, status=404),
        again(HIT, asks=since(ago(0))),
    ),
]

WHILE = cc("max-age=600, stale-while-revalidate=600")
ON_ERROR = cc("max-age=600, stale-if-error=600")

STALE_BY_PERMISSION = [
    row(
        "4.3.2-stale-while-revalidating",
        stored(WHILE, ("Age", "601"), A),
        again(BRIDGED, reply=Reply(304, (FRESH, A)), asks=unless('"a"'), status=304),
    ),
    row("4.3.2-stale-on-error", stored(ON_ERROR, ("Age", "601"), A), again(SPARE, asks=unless('"a"'), status=304)),
    row("4.3.2-stale-on-error-other", stored(ON_ERROR, ("Age", "601"), A), again(SPARE, asks=unless('"b"'))),
    row(
        "4.3.2-max-stale",
        stored(FRESH, ("Age", "601"), A),
        again(STALE, asks=(*unless('"a"'), cc("max-stale")), status=304),
    ),
    row("4.3.2-only-if-cached", stored(FRESH, A), again(HIT, asks=(*unless('"a"'), cc("only-if-cached")), status=304)),
]

VARIANTS = [
    row(
        "4.3.2-of-the-selected-variant",
        stored(FRESH, A, vary("Foo"), asks=(("Foo", "1"),)),
        stored(FRESH, etag('"b"'), vary("Foo"), asks=(("Foo", "2"),)),
        again(HIT, asks=(("Foo", "1"), *unless('"a"')), of=1, status=304, shown={"ETag": '"a"'}),
        again(HIT, asks=(("Foo", "2"), *unless('"a"')), of=2),
        again(HIT, asks=(("Foo", "2"), *unless('"a", "b"')), of=2, status=304, shown={"ETag": '"b"'}),
    ),
]

METADATA = (
    FRESH,
    A,
    vary("Foo"),
    ("Date", ago(10)),
    ("Expires", ahead(600)),
    ("Content-Location", "/other"),
    ("Content-Type", "text/plain"),
    ("Content-Language", "en"),
    ("Content-Encoding", "identity"),
)


def told(name: str, *kept: Field, asks: Sequence[Field] = unless('"a"'), **shown: Any) -> Any:
    """What a 304 from the store says; `_` stands for the hyphen."""
    fields = {field.replace("_", "-"): value for field, value in shown.items()}
    return row(name, stored(*kept), again(HIT, asks=tuple(asks), status=304, shown=fields))


TOLD = [
    told("15.4.5-cache-control", *METADATA, Cache_Control="max-age=600"),
    told("15.4.5-etag", *METADATA, ETag='"a"'),
    told("15.4.5-weak-etag-as-it-is", FRESH, etag('W/"a"'), ETag='W/"a"'),
    told("15.4.5-vary", *METADATA, Vary="Foo"),
    told("15.4.5-date", *METADATA, Date=ago(10)),
    told("15.4.5-expires", *METADATA, Expires=ahead(600)),
    told("15.4.5-content-location", *METADATA, Content_Location="/other"),
    told("15.4.5-no-content-type", *METADATA, Content_Type=None),
    told("15.4.5-no-content-language", *METADATA, Content_Language=None),
    told("15.4.5-no-content-encoding", *METADATA, Content_Encoding=None),
    told("15.4.5-no-content-length", *METADATA, Content_Length=None),
    told("15.4.5-no-last-modified-beside-an-etag", *METADATA, HOUR, Last_Modified=None),
    told("15.4.5-last-modified-without-etag", FRESH, HOUR, asks=since(ago(0)), Last_Modified=ago(3600)),
    told("15.4.5-age", *METADATA, Age=about(10)),
    told("15.4.5-via", *METADATA, Via=PRESENT),
    told("15.4.5-no-transfer-encoding", *METADATA, Transfer_Encoding=None),
]


@pytest.mark.parametrize("turns", [*BY_TAG, *BY_DATE, *NOT_OURS, *STALE_BY_PERMISSION, *VARIANTS, *TOLD])
async def test_preconditions(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
