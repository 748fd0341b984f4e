"""RFC 9110 §14 and §15.5.17: parts of a stored whole, and ranges that are asked of the upstream."""

from collections.abc import Sequence

import pytest
from conformance.exchange import HIT, MISS, VALIDATED, Reply, Scene, Turn, again, etag, fetched, row, stored, vary
from conformance.narrowed import FRESH, TEN, A, part, provided, wanted, whole
from conformance.playing import play
from support.wire import Connection

PARTS = [
    part("14.1.2-first-byte", "bytes=0-0", b"0", "bytes 0-0/10"),
    part("14.1.2-first-bytes", "bytes=0-4", b"01234", "bytes 0-4/10"),
    part("14.1.2-middle", "bytes=3-6", b"3456", "bytes 3-6/10"),
    part("14.1.2-last-byte", "bytes=9-9", b"9", "bytes 9-9/10"),
    part("14.1.2-last-bytes", "bytes=5-9", b"56789", "bytes 5-9/10"),
    part("14.1.2-beyond-the-end", "bytes=5-100", b"56789", "bytes 5-9/10"),
    part("14.1.2-far-beyond-the-end", f"bytes=5-{'9' * 40}", b"56789", "bytes 5-9/10"),
    part("14.1.2-open-ended", "bytes=5-", b"56789", "bytes 5-9/10"),
    part("14.1.2-open-ended-from-the-last", "bytes=9-", b"9", "bytes 9-9/10"),
    part("14.1.2-open-ended-from-the-first", "bytes=0-", TEN, "bytes 0-9/10"),
    part("14.1.2-all", "bytes=0-9", TEN, "bytes 0-9/10"),
    part("14.1.2-suffix", "bytes=-3", b"789", "bytes 7-9/10"),
    part("14.1.2-suffix-of-one", "bytes=-1", b"9", "bytes 9-9/10"),
    part("14.1.2-suffix-of-all", "bytes=-10", TEN, "bytes 0-9/10"),
    part("14.1.2-suffix-longer-than-all", "bytes=-100", TEN, "bytes 0-9/10"),
    part("14.1.2-leading-zeros", "bytes=0003-0006", b"3456", "bytes 3-6/10"),
    part("14.1-unit-in-capitals", "BYTES=3-6", b"3456", "bytes 3-6/10"),
    part("14.1-unit-mixed", "Bytes=3-6", b"3456", "bytes 3-6/10"),
    part("14.2-without-validators", "bytes=3-6", b"3456", "bytes 3-6/10", ("Content-Type", "text/plain")),
]

UNMET = [
    whole("14.2-no-unit", *wanted("3-6")),
    whole("14.2-other-unit", *wanted("lines=3-6")),
    whole("14.2-other-unit-with-a-like-name", *wanted("bytess=3-6")),
    whole("14.1.1-first-after-last", *wanted("bytes=6-3")),
    whole("14.1.1-first-after-last-beyond", *wanted("bytes=20-10")),
    whole("14.2-nothing", *wanted("bytes=")),
    whole("14.2-dash-alone", *wanted("bytes=-")),
    whole("14.2-number-alone", *wanted("bytes=3")),
    whole("14.2-two-dashes", *wanted("bytes=--3")),
    whole("14.2-three-numbers", *wanted("bytes=1-2-3")),
    whole("14.2-letters", *wanted("bytes=a-b")),
    whole("14.2-hexadecimal", *wanted("bytes=0x1-0x2")),
    whole("14.2-signed", *wanted("bytes=+1-2")),
    whole("14.2-fraction", *wanted("bytes=1.0-2.0")),
    whole("14.2-colon", *wanted("bytes:1-2")),
    whole("14.2-like-content-range", *wanted("bytes 1-2/10")),
    whole("14.2-empty", *wanted("")),
    whole("14.2-several", *wanted("bytes=0-1,5-6")),
    whole("14.2-several-overlapping", *wanted("bytes=0-5, 3-9")),
    whole("14.2-several-one-unsatisfiable", *wanted("bytes=0-1, 100-200")),
    whole("14.2-two-lines", *wanted("bytes=0-1"), *wanted("bytes=5-6")),
    whole("14.2-head", *wanted("bytes=3-6"), method="HEAD"),
    row(
        "14.2-not-of-an-error",
        stored(FRESH, A, status=404, content=TEN),
        again(HIT, asks=wanted("bytes=3-6"), shown={"Content-Range": None}),
    ),
    row("14.2-not-of-nothing", stored(FRESH, content=b""), again(HIT, asks=wanted("bytes=0-"))),
    row("14.2-not-the-end-of-nothing", stored(FRESH, content=b""), again(HIT, asks=wanted("bytes=-5"))),
]

UNSATISFIABLE = [
    pytest.param(value, id=f"15.5.17-{name}")
    for name, value in (
        ("first-after-the-end", "bytes=10-"),
        ("both-after-the-end", "bytes=10-20"),
        ("far-after-the-end", f"bytes={'9' * 40}-"),
        ("suffix-of-nothing", "bytes=-0"),
        ("suffix-of-nothing-zeros", "bytes=-000"),
    )
]


@pytest.mark.parametrize("value", UNSATISFIABLE)
async def test_a_range_that_no_part_satisfies_is_416(pure: Scene, value: str) -> None:
    await play(pure, [stored(FRESH, A, content=TEN)])
    async with await Connection.open(pure.gateway) as connection:
        connection.request("GET", pure.path, f"Range: {value}")
        part = await connection.answer()
        connection.request("GET", pure.path)
        after = await connection.answer()
    assert (part.status, part.field("Content-Range")) == (416, "bytes */10")
    assert (after.status, after.body) == (200, TEN)
    assert len(pure.origin.calls(pure.path)) == 1


OF_THE_VARIANT = [
    row(
        "14.2-of-the-selected-variant",
        stored(FRESH, vary("Foo"), asks=(("Foo", "1"),), content=TEN),
        stored(FRESH, vary("Foo"), asks=(("Foo", "2"),), content=b"abcdefghijkl"),
        again(HIT, asks=(("Foo", "1"), *wanted("bytes=-2")), of=1, status=206, got=b"89"),
        again(HIT, asks=(("Foo", "2"), *wanted("bytes=-2")), of=2, status=206, got=b"kl"),
    ),
    row(
        "14.2-of-what-is-validated",
        stored(FRESH, ("Age", "600"), A, content=TEN),
        again(VALIDATED, A, asks=wanted("bytes=3-6"), sent={"Range": None}, status=206, got=b"3456"),
        again(HIT, got=TEN),
    ),
    row(
        "14.2-of-what-replaces-the-stale",
        stored(FRESH, ("Age", "600"), A, content=TEN),
        again(
            MISS,
            reply=Reply(200, (FRESH, etag('"b"')), b"abcdefghij"),
            asks=wanted("bytes=3-6"),
            status=206,
            got=b"defg",
            shown={"ETag": '"b"'},
        ),
        again(HIT, got=b"abcdefghij"),
    ),
]

SENT_ON = [
    row(
        "14.2-miss-is-sent-on",
        again(
            MISS,
            reply=Reply(206, (FRESH, A, ("Content-Range", "bytes 3-6/10")), b"3456"),
            asks=wanted("bytes=3-6"),
            sent={"Range": "bytes=3-6"},
            shown={"Content-Range": "bytes 3-6/10", "ETag": '"a"'},
        ),
    ),
    row(
        "14.2-miss-answered-whole",
        again(
            MISS,
            reply=Reply(200, (FRESH, A), TEN),
            asks=wanted("bytes=3-6"),
            status=206,
            got=b"3456",
            kept=True,
        ),
        again(HIT, status=200, got=TEN),
    ),
    row(
        "14.2-if-range-is-sent-on",
        again(MISS, FRESH, asks=(*wanted("bytes=3-6"), *provided('"a"')), sent={"If-Range": '"a"'}),
    ),
    row(
        "3.3-part-is-no-whole",
        again(
            MISS,
            reply=Reply(206, (FRESH, A, ("Content-Range", "bytes 0-4/10")), b"01234"),
            asks=wanted("bytes=0-4"),
        ),
        fetched(FRESH, etag('"b"'), content=b"another whole"),
        again(HIT),
    ),
    row(
        "3.3-part-of-unknown-whole-is-no-whole",
        again(
            MISS,
            reply=Reply(206, (FRESH, A, ("Content-Range", "bytes 0-4/*")), b"01234"),
            asks=wanted("bytes=0-4"),
            kept=False,
        ),
        fetched(FRESH, etag('"b"'), content=b"another whole"),
    ),
    row(
        "3.3-all-bytes-in-a-weak-part-are-no-whole",
        again(
            MISS,
            reply=Reply(206, (FRESH, etag('W/"a"'), ("Content-Range", "bytes 0-4/10")), b"01234"),
            asks=wanted("bytes=0-4"),
        ),
        fetched(FRESH, content=TEN),
        again(HIT),
    ),
    row(
        "3.3-several-parts-pass-and-are-not-stored",
        again(
            MISS,
            reply=Reply(206, (FRESH, A, ("Content-Type", "multipart/byteranges; boundary=x")), b"--x--"),
            asks=wanted("bytes=0-1,5-6"),
            sent={"Range": "bytes=0-1,5-6"},
            kept=False,
        ),
        fetched(FRESH, content=TEN),
    ),
    row(
        "15.5.17-416-of-the-origin-is-not-stored",
        again(
            MISS,
            reply=Reply(416, (FRESH, ("Content-Range", "bytes */10"))),
            asks=wanted("bytes=20-"),
            shown={"Content-Range": "bytes */10"},
            kept=False,
        ),
        fetched(FRESH, content=TEN),
        again(HIT),
    ),
    row(
        "14.2-other-unit-is-sent-on",
        again(MISS, FRESH, asks=wanted("lines=1-2"), sent={"Range": "lines=1-2"}),
    ),
]


@pytest.mark.parametrize("turns", [*PARTS, *UNMET, *OF_THE_VARIANT, *SENT_ON])
async def test_ranges(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
