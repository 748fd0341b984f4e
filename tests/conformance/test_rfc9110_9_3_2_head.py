"""RFC 9110 §9.3.2 and RFC 9111 §4.3.5: HEAD from a stored GET, HEAD sent on, and what its answer does to the store."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import (
    DROPPED,
    FAILED,
    HIT,
    MISS,
    SPARE,
    Field,
    Reply,
    Scene,
    Turn,
    about,
    again,
    ago,
    cc,
    etag,
    fetched,
    modified,
    row,
    stored,
    vary,
)
from conformance.playing import play

FRESH = cc("max-age=600")
AFRESH = (cc("no-cache"),)
A = etag('"a"')
HOUR = modified(3600)


def head(*fields: Field, status: int = 200, content: bytes | None = None, **turn: Any) -> Turn:
    """A HEAD that the upstream is asked for."""
    return Turn(MISS, Reply(status, fields, content), method="HEAD", **turn)


FROM_THE_STORE = [
    row("9.3.2-from-stored-get", stored(FRESH), again(HIT, method="HEAD")),
    row("9.3.2-length-of-the-get", stored(FRESH), again(HIT, method="HEAD", shown={"Content-Length": "7"})),
    row(
        "9.3.2-fields-of-the-get",
        stored(FRESH, A, HOUR, ("Content-Type", "text/plain"), ("X-Test", "1")),
        again(
            HIT,
            method="HEAD",
            shown={
                "ETag": '"a"',
                "Last-Modified": ago(3600),
                "Content-Type": "text/plain",
                "X-Test": "1",
                "Cache-Control": "max-age=600",
            },
        ),
    ),
    row("9.3.2-age-of-the-get", stored(FRESH, ("Age", "30")), again(HIT, method="HEAD", shown={"Age": about(30)})),
    row("9.3.2-error-from-the-store", stored(FRESH, status=404), again(HIT, method="HEAD")),
    row("9.3.2-redirect-from-the-store", stored(FRESH, ("Location", "/a"), status=301), again(HIT, method="HEAD")),
    row("9.3.2-get-after-head", stored(FRESH), again(HIT, method="HEAD"), again(HIT)),
    row(
        "9.3.2-of-the-selected-variant",
        stored(FRESH, vary("Foo"), asks=(("Foo", "1"),)),
        stored(FRESH, vary("Foo"), content=b"another length", asks=(("Foo", "2"),)),
        again(HIT, method="HEAD", asks=(("Foo", "1"),), of=1, shown={"Content-Length": "7"}),
        again(HIT, method="HEAD", asks=(("Foo", "2"),), of=2, shown={"Content-Length": "14"}),
    ),
    row(
        "14.2-range-is-for-get-alone",
        stored(FRESH),
        again(HIT, method="HEAD", asks=(("Range", "bytes=0-1"),), shown={"Content-Range": None, "Content-Length": "7"}),
    ),
]

SENT_ON = [
    row("9.3.2-miss", head(FRESH), fetched(FRESH)),
    row("9.3.2-miss-leaves-no-empty-get", head(FRESH, A), fetched(FRESH, A), again(HIT), again(HIT, method="HEAD")),
    row("9.3.2-miss-shows-the-length", head(FRESH, content=b"0123456789", shown={"Content-Length": "10"})),
    row("9.3.2-miss-without-length", head(FRESH, ("Content-Length", None), A, shown={"ETag": '"a"'})),
    row("9.3.2-miss-not-found", head(FRESH, status=404), fetched(FRESH)),
    row("9.3.2-stale", stored(FRESH, ("Age", "600")), head(FRESH)),
    row("9.3.2-fresh-but-asked-afresh", stored(FRESH), head(FRESH, asks=AFRESH)),
    row(
        "9.3.2-no-variant",
        stored(FRESH, vary("Foo"), asks=(("Foo", "1"),)),
        head(FRESH, vary("Foo"), asks=(("Foo", "2"),)),
        fetched(FRESH, vary("Foo"), asks=(("Foo", "2"),)),
        again(HIT, asks=(("Foo", "1"),), of=1),
    ),
]


ON_ERROR = (cc("max-age=600, stale-if-error=600"), ("Age", "601"))

ON_ERRORS = [
    row("9.3.2-as-get-on-a-dropped-connection", stored(*ON_ERROR), again(SPARE, reply=DROPPED, method="HEAD")),
    row("9.3.2-as-get-on-a-server-error", stored(*ON_ERROR), again(SPARE, method="HEAD")),
    row(
        "9.3.2-as-get-where-stale-is-forbidden",
        stored(cc("no-cache"), A),
        again(FAILED, reply=DROPPED, method="HEAD", status=504),
    ),
    row("9.3.2-as-get-where-nothing-is-stored", again(FAILED, reply=DROPPED, method="HEAD", status=502)),
]


def freshens(name: str, kept: Sequence[Field], said: Sequence[Field], **reply: Any) -> Any:
    """The HEAD's 200 speaks of what is stored: that takes its fields, and is fresh again."""
    return row(
        name,
        stored(FRESH, ("Age", "599"), ("X-Test", "old"), *kept),
        head(("X-Test", "new"), *said, asks=AFRESH, **reply),
        again(HIT, of=1, shown={"X-Test": "new", "Age": about(0)}),
    )


def outdates(name: str, kept: Sequence[Field], said: Sequence[Field], **reply: Any) -> Any:
    """It speaks of something else: what is stored is stale."""
    return row(name, stored(FRESH, *kept), head(FRESH, *said, asks=AFRESH, **reply), fetched(FRESH))


def withdraws(name: str, *said: Field) -> Any:
    """What is stored may not be kept as it would be freshened: nothing of it is left to validate."""
    return row(name, stored(FRESH, A), head(A, *said, asks=AFRESH), fetched(FRESH, A, sent={"If-None-Match": None}))


def leaves(name: str, *asks: Field) -> Any:
    """The HEAD's own answer may not be kept: what is stored stays as it was."""
    told = head(A, cc("max-age=600"), ("X-Test", "new"), asks=asks)
    return row(name, stored(FRESH, A, ("X-Test", "old")), told, again(HIT, of=1, shown={"X-Test": "old"}))


FRESHENING = [
    freshens("4.3.5-same-tag", [A], [A]),
    freshens("4.3.5-same-date", [HOUR], [HOUR]),
    freshens("4.3.5-both-same", [A, HOUR], [A, HOUR]),
    freshens("4.3.5-no-validators-anywhere", [], []),
    freshens("4.3.5-no-validators-received", [A, HOUR], []),
    freshens("4.3.5-no-length-received", [A], [A, ("Content-Length", None)]),
    freshens("4.3.5-nothing-received", [], [("Content-Length", None)]),
    freshens("4.3.5-weak-tag", [etag('W/"a"')], [etag('W/"a"')]),
    outdates("4.3.5-other-tag", [A], [etag('"b"')]),
    outdates("4.3.5-other-date", [HOUR], [modified(60)]),
    outdates("4.3.5-other-length", [A], [A], content=b"longer than before"),
    outdates("4.3.5-length-zero", [A], [A], content=b""),
    outdates("4.3.5-same-tag-other-date", [A, HOUR], [A, modified(60)]),
    outdates("4.3.5-other-tag-same-date", [A, HOUR], [etag('"b"'), HOUR]),
    outdates("4.3.5-tag-where-there-was-none", [], [A]),
    row(
        "4.3.5-cache-control-is-the-heads",
        stored(FRESH, A),
        head(cc("max-age=10"), ("Age", "10"), A, asks=AFRESH),
        fetched(FRESH, A, sent={"If-None-Match": '"a"'}),
    ),
    row(
        "4.3.5-stale-made-fresh",
        stored(FRESH, ("Age", "600")),
        head(FRESH),
        again(HIT, of=1),
    ),
    # Of other statuses the RFC says nothing: these tell that what is stored is gone, those nothing at all.
    row("4.3.5-not-found", stored(FRESH), head(status=404, asks=AFRESH), fetched(FRESH)),
    row("4.3.5-gone", stored(FRESH), head(status=410, asks=AFRESH), fetched(FRESH)),
    row("4.3.5-nothing-told-by-500", stored(FRESH), head(status=500, asks=AFRESH), again(HIT, of=1)),
    row(
        "4.3.5-nothing-told-by-302", stored(FRESH), head(("Location", "/a"), status=302, asks=AFRESH), again(HIT, of=1)
    ),
    row(
        "4.3.5-not-another-variant",
        stored(FRESH, vary("Foo"), A, asks=(("Foo", "1"),)),
        head(FRESH, vary("Foo"), etag('"b"'), asks=(("Foo", "2"),)),
        again(HIT, asks=(("Foo", "1"),), of=1),
    ),
    row(
        "4.3.5-not-another-query",
        stored(FRESH, A),
        head(FRESH, etag('"b"'), suffix="?q=1"),
        again(HIT, of=1),
    ),
    withdraws("4.3.5-withdrawn-by-no-store", cc("max-age=600, no-store")),
    withdraws("4.3.5-withdrawn-by-private", cc("max-age=600, private")),
    withdraws("4.3.5-withdrawn-by-vary-star", vary("*")),
    leaves("4.3.5-nothing-told-where-no-store-is-asked", cc("no-cache, no-store")),
    leaves("4.3.5-nothing-told-to-the-authorized", *AFRESH, ("Authorization", "Basic YTpi")),
    row(
        "3.2-content-length-stays",
        stored(FRESH, A),
        head(FRESH, A, asks=AFRESH),
        again(HIT, of=1, shown={"Content-Length": "7"}),
    ),
]


@pytest.mark.parametrize("turns", ON_ERRORS)
async def test_head_of_a_failing_upstream(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)


@pytest.mark.parametrize("turns", [*FROM_THE_STORE, *SENT_ON, *FRESHENING])
async def test_head(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
    sent = [turn.method for turn in turns if turn.want is MISS]
    assert [request.method for request in pure.origin.calls(pure.path)] == sent
