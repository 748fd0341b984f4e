"""RFC 9111 §4.3.1 and §4.3.3: the gateway's own conditional requests, and what it makes of each answer."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    BRIDGED,
    HIT,
    MISS,
    SPARE,
    VALIDATED,
    Field,
    Reply,
    Scene,
    Turn,
    about,
    again,
    ago,
    cc,
    containing,
    etag,
    fetched,
    modified,
    row,
    stored,
)
from conformance.playing import play
from support.scripts import Received, answer, head
from support.wire import Connection

FRESH = cc("max-age=600")
# Fresh when it was made, stale when it arrives: it says what is to be validated, and that only age is against it.
STALE = (FRESH, ("Age", "600"))
A, B = etag('"a"'), etag('"b"')
NOTHING = {"If-None-Match": None, "If-Modified-Since": None}


def unless(tags: str) -> Field:
    return "If-None-Match", tags


SENT = [
    row(
        "4.3.1-entity-tag",
        stored(*STALE, A),
        again(VALIDATED, sent={"If-None-Match": '"a"', "If-Modified-Since": None}),
    ),
    row(
        "4.3.1-weak-entity-tag",
        stored(*STALE, etag('W/"a"')),
        again(VALIDATED, sent={"If-None-Match": 'W/"a"'}),
    ),
    row(
        "4.3.1-last-modified",
        stored(*STALE, modified(3600)),
        again(VALIDATED, sent={"If-Modified-Since": ago(3600), "If-None-Match": None}),
    ),
    row(
        "4.3.1-both-validators",
        stored(*STALE, A, modified(3600)),
        again(VALIDATED, sent={"If-None-Match": '"a"', "If-Modified-Since": ago(3600)}),
    ),
    row(
        "4.3.1-last-modified-word-for-word",
        stored(*STALE, ("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT")),
        again(VALIDATED, sent={"If-Modified-Since": "Sunday, 06-Nov-94 08:49:37 GMT"}),
    ),
    row("4.3.1-empty-tag", stored(*STALE, etag('""')), again(VALIDATED, sent={"If-None-Match": '""'})),
    row("4.3.1-tag-with-comma", stored(*STALE, etag('"a,b"')), again(VALIDATED, sent={"If-None-Match": '"a,b"'})),
    row("4.3.1-no-validator", fetched(*STALE), again(MISS, sent=NOTHING)),
    row("4.3.1-nothing-stored", fetched(FRESH, A, sent=NOTHING)),
    row("4.3.1-fresh-is-not-asked-about", stored(FRESH, A), again(HIT)),
    row("4.3.1-no-cache", stored(FRESH, cc("no-cache"), A), again(VALIDATED, sent={"If-None-Match": '"a"'})),
    row(
        "4.3.1-request-fields-go-along",
        stored(*STALE, A),
        again(VALIDATED, asks=(("Foo", "1"),), sent={"Foo": "1", "If-None-Match": '"a"'}),
    ),
    row(
        "4.3.1-the-origins-preconditions-go-along",
        stored(*STALE, A),
        again(
            VALIDATED,
            asks=(("If-Match", '"x"'), ("If-Unmodified-Since", ago(9999))),
            sent={"If-Match": '"x"', "If-Unmodified-Since": ago(9999), "If-None-Match": '"a"'},
        ),
    ),
    row(
        "4.3.1-the-origins-preconditions-stay-out-of-the-background",
        stored(cc("max-age=600, stale-while-revalidate=600"), ("Age", "900"), A),
        again(BRIDGED, asks=(("If-Match", '"x"'),), sent={"If-Match": None, "If-None-Match": '"a"'}),
    ),
    row(
        "4.3.1-whole-not-range",
        stored(*STALE, A, content=b"0123456789"),
        again(
            VALIDATED,
            asks=(("Range", "bytes=2-3"),),
            sent={"Range": None, "If-None-Match": '"a"'},
            status=206,
            got=b"23",
        ),
    ),
]

CLIENTS = [
    row(
        "4.3.2-stale-and-the-client-has-another",
        stored(*STALE, A),
        again(VALIDATED, A, asks=(unless('"x"'),), sent={"If-None-Match": containing('"a"')}, status=200),
    ),
    row(
        "4.3.2-stale-and-the-client-has-the-same",
        stored(*STALE, A),
        again(VALIDATED, A, asks=(unless('"a"'),), sent={"If-None-Match": containing('"a"')}, status=304),
        again(HIT),
    ),
    row(
        "4.3.2-stale-and-changed",
        stored(*STALE, A),
        again(MISS, FRESH, B, asks=(unless('"a"'),), sent={"If-None-Match": containing('"a"')}, kept=True),
        again(HIT),
    ),
    row(
        "4.3.2-stale-by-date",
        stored(*STALE, modified(3600)),
        again(VALIDATED, asks=(("If-Modified-Since", ago(60)),), sent={"If-Modified-Since": ago(3600)}, status=304),
    ),
    row(
        "4.3.2-stale-and-the-client-has-an-older-one",
        stored(*STALE, modified(3600)),
        again(VALIDATED, asks=(("If-Modified-Since", ago(9999)),), sent={"If-Modified-Since": ago(3600)}, status=200),
    ),
]

ANSWERED = [
    row("4.3.3-not-modified", stored(*STALE, A), again(VALIDATED, A), again(HIT)),
    row("4.3.3-not-modified-and-bare", stored(*STALE, A), again(VALIDATED), again(HIT)),
    row("4.3.3-not-modified-says-its-age", stored(*STALE, A), again(VALIDATED, ("Age", "30")), again(HIT)),
    row(
        "4.3.3-age-counts-from-the-validation",
        stored(*STALE, A),
        again(VALIDATED, ("Age", "30"), shown={"Age": about(30)}),
    ),
    row(
        "4.3.3-date-is-the-validations",
        stored(*STALE, A, ("Date", ago(9999))),
        again(VALIDATED, ("Date", ago(5)), shown={"Date": ago(5)}),
    ),
    row("4.3.3-full-response", stored(*STALE, A), again(MISS, FRESH, B, kept=True), again(HIT)),
    row("4.3.3-full-response-same-tag", stored(*STALE, A), again(MISS, FRESH, A, kept=True), again(HIT)),
    row(
        "4.3.3-full-response-not-to-be-stored",
        stored(*STALE, A),
        again(MISS, cc("no-store"), B, kept=False),
        again(MISS, FRESH),
    ),
    row(
        "4.3.3-full-response-is-an-error",
        stored(*STALE, A),
        again(MISS, reply=Reply(404, (FRESH,)), kept=True),
        again(HIT, status=404),
    ),
    row(
        "4.3.3-server-error-forwarded",
        stored(*STALE, A),
        again(MISS, reply=Reply(500)),
        again(VALIDATED, of=1),
    ),
    # An upstream that says 504 answers; it used to count as one that cannot be reached.
    row(
        "4.3.3-gateway-timeout-forwarded",
        stored(*STALE, A),
        again(MISS, reply=Reply(504)),
        again(VALIDATED, of=1),
    ),
    row(
        "4.3.3-gateway-timeout-and-must-revalidate",
        stored(cc("max-age=600, must-revalidate"), ("Age", "600"), A),
        again(MISS, reply=Reply(504)),
    ),
    row(
        "4.3.3-server-error-then-well",
        stored(*STALE, A),
        again(MISS, reply=Reply(503, (("Retry-After", "1"),)), shown={"Retry-After": "1"}),
        again(VALIDATED, A, of=1),
        again(HIT, of=1),
    ),
    row(
        "4.3.3-server-error-and-stale-if-error",
        stored(cc("max-age=600, stale-if-error=600"), ("Age", "600"), A),
        again(SPARE, sent={"If-None-Match": '"a"'}),
        again(SPARE, reply=Reply(500)),
        again(VALIDATED),
        again(HIT),
    ),
    row("4.3.3-validated-each-time", stored(cc("no-cache"), A), again(VALIDATED), again(VALIDATED), again(VALIDATED)),
    row(
        "4.3.3-content-stays-through-many",
        stored(*STALE, A, content=b"first"),
        *[again(VALIDATED, ("Age", "600"), A, got=b"first") for _ in range(4)],
    ),
]


@pytest.mark.parametrize("turns", [*SENT, *CLIENTS, *ANSWERED])
async def test_validating(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)


def _of_another(request: Received) -> bytes:
    """An origin that says 304 of what nobody asked about, and is right when it is asked without condition."""
    if request.field("If-None-Match") or request.field("If-Modified-Since"):
        return head(304, 'ETag: "other"')
    return answer("whole", Cache_Control="max-age=600", ETag='"other"')


@pytest.mark.parametrize(
    "validator",
    [
        pytest.param('ETag: "a"', id="4.3.4-strong-entity-tag"),
        pytest.param('ETag: W/"a"', id="4.3.4-weak-entity-tag"),
        pytest.param("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", id="4.3.4-last-modified"),
    ],
)
async def test_a_304_of_another_entity_tag_is_fetched_again_whole(pure: Scene, validator: str) -> None:
    old = head(200, "Cache-Control: max-age=600", "Age: 600", validator, "Content-Length: 3") + b"old"
    pure.origin.then(pure.path, old)
    pure.origin.script(pure.path, _of_another)
    bodies = []
    async with await Connection.open(pure.gateway) as connection:
        for _ in range(3):
            connection.request("GET", pure.path)
            bodies.append((await connection.answer()).body)
    assert bodies == [b"old", b"whole", b"whole"]
    assert len(pure.origin.calls(pure.path)) == 3


def _real(request: Received) -> bytes:
    """An origin that knows what it is asked for."""
    if request.field("If-None-Match") == '"a"':
        return head(304, 'ETag: "a"', "Cache-Control: max-age=600")
    return answer("whole", Cache_Control="max-age=600", ETag='"a"')


@pytest.mark.parametrize(
    ("tag", "status"),
    [pytest.param('"a"', 304, id="4.3.2-miss-same"), pytest.param('"b"', 200, id="4.3.2-miss-other")],
)
async def test_a_precondition_on_a_miss_is_answered_as_the_origin_would(pure: Scene, tag: str, status: int) -> None:
    pure.origin.script(pure.path, _real)
    async with await Connection.open(pure.gateway) as connection:
        connection.request("GET", pure.path, f"If-None-Match: {tag}")
        first = await connection.answer()
        connection.request("GET", pure.path)
        second = await connection.answer()
    assert (first.status, first.field("ETag")) == (status, '"a"')
    assert (second.status, second.body) == (200, b"whole")
