"""RFC 9110 §13.1.5, §13.2.2 and §15.3.7: conditions on a part, and what is told with it."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    Field,
    Reply,
    Scene,
    Turn,
    about,
    again,
    ago,
    ahead,
    etag,
    modified,
    row,
    stored,
    vary,
)
from conformance.narrowed import FRESH, HOUR, TEN, A, part, provided, wanted, whole
from conformance.playing import play

IF_RANGE = [
    part("13.1.5-same-tag", "bytes=3-6", b"3456", "bytes 3-6/10", asks=provided('"a"')),
    part("13.1.5-same-date", "bytes=3-6", b"3456", "bytes 3-6/10", asks=provided(ago(3600))),
    part("13.1.5-same-date-without-tag", "bytes=3-6", b"3456", "bytes 3-6/10", HOUR, asks=provided(ago(3600))),
    part("13.1.5-tag-with-comma", "bytes=3-6", b"3456", "bytes 3-6/10", etag('"a,b"'), asks=provided('"a,b"')),
    whole("13.1.5-other-tag", *wanted("bytes=3-6"), *provided('"b"')),
    whole("13.1.5-tags-compare-with-case", *wanted("bytes=3-6"), *provided('"A"')),
    whole("13.1.5-weak-tag-asked", *wanted("bytes=3-6"), *provided('W/"a"')),
    whole("13.1.5-weak-tag-stored", *wanted("bytes=3-6"), *provided('"a"'), kept=[etag('W/"a"')]),
    whole("13.1.5-weak-tag-both", *wanted("bytes=3-6"), *provided('W/"a"'), kept=[etag('W/"a"')]),
    whole("13.1.5-no-tag-stored", *wanted("bytes=3-6"), *provided('"a"'), kept=[HOUR]),
    whole("13.1.5-list-of-tags", *wanted("bytes=3-6"), *provided('"a", "b"')),
    whole("13.1.5-any", *wanted("bytes=3-6"), *provided("*")),
    whole("13.1.5-empty", *wanted("bytes=3-6"), *provided("")),
    whole("13.1.5-later-date", *wanted("bytes=3-6"), *provided(ago(60))),
    whole("13.1.5-earlier-date", *wanted("bytes=3-6"), *provided(ago(9999))),
    whole("13.1.5-no-date-stored", *wanted("bytes=3-6"), *provided(ago(3600)), kept=[A]),
    whole("13.1.5-weak-date", *wanted("bytes=3-6"), *provided(ago(60)), kept=[modified(60), ("Date", ago(60))]),
    whole("13.1.5-not-a-date", *wanted("bytes=3-6"), *provided("lately")),
    whole("13.1.5-alone", *provided('"a"')),
    whole("13.1.5-failed-and-unsatisfiable", *wanted("bytes=20-"), *provided('"b"')),
    whole("13.1.5-invalid-range", *wanted("bytes=6-3"), *provided('"a"')),
]

REPLACED = [
    row(
        "13.1.5-replaced-so-whole",
        stored(FRESH, ("Age", "600"), A, content=TEN),
        again(
            MISS,
            reply=Reply(200, (FRESH, etag('"b"')), b"abcdefghij"),
            asks=(*wanted("bytes=3-6"), *provided('"a"')),
            shown={"ETag": '"b"', "Content-Range": None},
        ),
    ),
]

PRECEDENCE = [
    row(
        "13.2.2-not-modified-before-range",
        stored(FRESH, A, content=TEN),
        again(HIT, asks=(*wanted("bytes=3-6"), ("If-None-Match", '"a"')), status=304, shown={"Content-Range": None}),
    ),
    row(
        "13.2.2-not-modified-before-unsatisfiable",
        stored(FRESH, A, content=TEN),
        again(HIT, asks=(*wanted("bytes=20-"), ("If-None-Match", '"a"')), status=304),
    ),
    row(
        "13.2.2-not-modified-by-date-before-range",
        stored(FRESH, HOUR, content=TEN),
        again(HIT, asks=(*wanted("bytes=3-6"), ("If-Modified-Since", ago(60))), status=304),
    ),
    part("13.2.2-modified-then-range", "bytes=3-6", b"3456", "bytes 3-6/10", asks=[("If-None-Match", '"b"')]),
    part(
        "13.2.2-modified-then-if-range",
        "bytes=3-6",
        b"3456",
        "bytes 3-6/10",
        asks=[("If-None-Match", '"b"'), *provided('"a"')],
    ),
    row(
        "13.2.2-miss-not-modified-before-range",
        again(
            MISS,
            reply=Reply(206, (FRESH, A, ("Content-Range", "bytes 3-6/10")), b"3456"),
            asks=(*wanted("bytes=3-6"), ("If-None-Match", '"a"')),
            status=304,
        ),
    ),
    whole("13.2.2-modified-then-if-range-fails", *wanted("bytes=3-6"), ("If-None-Match", '"b"'), *provided('"b"')),
]


def told(name: str, *kept: Field, asks: Sequence[Field] = (), **shown: Any) -> Any:
    """What a 206 from the store says besides."""
    return part(name, "bytes=3-6", b"3456", "bytes 3-6/10", *kept, asks=asks, **shown)


TOLD = [
    told("15.3.7-etag", A, ETag='"a"'),
    told("15.3.7-weak-etag", etag('W/"a"'), ETag='W/"a"'),
    told("15.3.7-cache-control", A, Cache_Control="max-age=600"),
    told("15.3.7-date", ("Date", ago(10)), Date=ago(10)),
    told("15.3.7-expires", ("Expires", ahead(600)), Expires=ahead(600)),
    told("15.3.7-content-location", ("Content-Location", "/other"), Content_Location="/other"),
    told("15.3.7-vary", vary("Foo"), Vary="Foo"),
    told("15.3.7-content-type", ("Content-Type", "text/plain"), Content_Type="text/plain"),
    told("15.3.7-content-encoding", ("Content-Encoding", "br"), Content_Encoding="br"),
    told("15.3.7-content-language", ("Content-Language", "en"), Content_Language="en"),
    told("15.3.7-last-modified", HOUR, Last_Modified=ago(3600)),
    told("15.3.7-age", ("Age", "30"), Age=about(30)),
    told("15.3.7-no-transfer-encoding", A, Transfer_Encoding=None),
    told("15.3.7-if-range-etag", A, HOUR, asks=provided('"a"'), ETag='"a"'),
    told("15.3.7-if-range-cache-control", A, asks=provided('"a"'), Cache_Control="max-age=600"),
    told("15.3.7-if-range-no-content-type", A, ("Content-Type", "text/x"), asks=provided('"a"'), Content_Type=None),
    told("15.3.7-if-range-no-language", A, ("Content-Language", "en"), asks=provided('"a"'), Content_Language=None),
    told("15.3.7-if-range-no-last-modified", A, HOUR, asks=provided('"a"'), Last_Modified=None),
]


@pytest.mark.parametrize("turns", [*IF_RANGE, *REPLACED, *PRECEDENCE, *TOLD])
async def test_if_range(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
