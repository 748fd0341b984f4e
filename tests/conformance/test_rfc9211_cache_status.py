"""RFC 9211: what Cache-Status says of a hit, a forwarded request and a collapsed one, and whom it keeps."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    BRIDGED,
    DROPPED,
    FAILED,
    HIT,
    MISS,
    REFUSED,
    SPARE,
    STALE,
    VALIDATED,
    Check,
    Field,
    Reply,
    Scene,
    Turn,
    again,
    cc,
    containing,
    etag,
    fetched,
    row,
    stored,
    unstored,
    vary,
    without,
)
from conformance.playing import play
from support.answers import cache_status
from support.load import answers, connections, read_by_now
from support.scripts import Gate, answer

SAID = "Cache-Status"


def says(*parts: str) -> dict[str, Check]:
    """Each of the parameters is in the gateway's own member."""
    return {
        SAID: Check(" and ".join(parts), lambda value: set(parts) <= set(value.rpartition("gateway; ")[2].split("; ")))
    }


OURS = Check("the gateway's member alone", lambda value: value.startswith("gateway; ") and value.count("gateway") == 1)


def told(value: str) -> Field:
    return SAID, value


def part(first: int, last: int, fwd: str) -> Turn:
    fields = (cc("max-age=60"), etag('"a"'), ("Content-Range", f"bytes {first}-{last}/10"))
    reply = Reply(206, fields, b"0123456789"[first : last + 1])
    return Turn(MISS, reply, asks=(("Range", f"bytes={first}-{last}"),), fwd=fwd)


ROWS = [
    row(
        "2.1-hit",
        stored(cc("max-age=60")),
        again(HIT, shown={SAID: Check("a plain hit", lambda value: value.startswith("gateway; hit; ttl="))}),
    ),
    row("2.1-hit-has-no-fwd", stored(cc("max-age=60")), again(HIT, shown={SAID: without("fwd")})),
    row("2.1-hit-is-not-stored-again", stored(cc("max-age=60")), again(HIT, kept=False)),
    row(
        "2.1-hit-not-modified",
        stored(cc("max-age=60"), etag('"a"')),
        again(HIT, asks=(("If-None-Match", '"a"'),), status=304, shown={SAID: containing("gateway; hit")}),
    ),
    row("2.1-hit-head", stored(cc("max-age=60")), again(HIT, method="HEAD", shown={SAID: containing("gateway; hit")})),
    row("2.2-uri-miss", stored(cc("max-age=60"), fwd="uri-miss")),
    row(
        "2.2-uri-miss-of-another-query",
        stored(cc("max-age=60"), suffix="?a"),
        stored(cc("max-age=60"), suffix="?b", fwd="uri-miss"),
    ),
    row("2.2-uri-miss-after-no-store", unstored(cc("no-store")), again(MISS, fwd="uri-miss")),
    row("2.2-partial", part(0, 4, "uri-miss"), part(3, 7, "partial")),
    row(
        "2.2-vary-miss",
        stored(cc("max-age=60"), vary("X-A"), asks=(("X-A", "1"),)),
        again(MISS, asks=(("X-A", "2"),), fwd="vary-miss"),
    ),
    row("2.2-stale", stored(cc("max-age=60"), ("Age", "90"), etag('"a"')), again(MISS, fwd="stale")),
    row("2.2-stale-and-validated", stored(cc("max-age=60"), ("Age", "90"), etag('"a"')), again(VALIDATED, fwd="stale")),
    row("2.2-stale-by-no-cache", stored(cc("no-cache"), etag('"a"')), again(VALIDATED, fwd="stale")),
    row("2.2-request", stored(cc("max-age=60"), etag('"a"')), again(VALIDATED, asks=(cc("no-cache"),), fwd="request")),
    row(
        "2.2-request-max-age",
        stored(cc("max-age=60"), ("Age", "30")),
        again(MISS, asks=(cc("max-age=1"),), fwd="request"),
    ),
    row("2.2-method-post", stored(cc("max-age=60")), again(MISS, method="POST", content=b"x", fwd="method")),
    row("2.2-method-delete", again(MISS, method="DELETE", fwd="method")),
    row("2.2-method-options", again(MISS, method="OPTIONS", fwd="method")),
    row("2.2-fwd-has-no-hit", fetched(shown={SAID: without("hit")})),
    row("2.3-fwd-status", stored(cc("max-age=60"), shown=says("fwd-status=200"))),
    row("2.3-fwd-status-of-an-error", fetched(status=503, shown=says("fwd-status=503"))),
    row(
        "2.3-fwd-status-of-a-validation",
        stored(cc("max-age=0"), etag('"a"')),
        again(VALIDATED, shown=says("fwd-status=304")),
    ),
    row(
        "2.3-fwd-status-behind-a-spare",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, shown=says("fwd=stale", "fwd-status=503")),
    ),
    row(
        "2.3-no-fwd-status-without-an-answer",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, reply=DROPPED, shown={SAID: without("fwd-status")}),
    ),
    row("2.3-no-fwd-status-on-a-hit", stored(cc("max-age=60")), again(HIT, shown={SAID: without("fwd-status")})),
    row("2.4-ttl", stored(cc("max-age=60"), ("Age", "20")), again(HIT, ttl=40)),
    row(
        "2.4-ttl-of-expires",
        stored(("Expires", "Fri, 01 Jan 2038 00:00:00 GMT")),
        again(HIT, shown={SAID: containing("ttl=")}),
    ),
    row(
        "2.4-ttl-negative",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(BRIDGED, ttl=-30),
    ),
    row(
        "2.4-ttl-negative-by-request",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, asks=(cc("max-stale"),), ttl=-30),
    ),
    row(
        "2.4-ttl-negative-of-a-spare",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, ttl=-30),
    ),
    row("2.5-stored", fetched(cc("max-age=60"), shown=says("stored"))),
    row("2.5-not-stored", fetched(cc("no-store"), shown={SAID: without("stored;")}, kept=False)),
    row(
        "2.5-stored-after-a-validation",
        stored(cc("max-age=0"), etag('"a"')),
        again(VALIDATED, cc("max-age=60"), kept=True),
    ),
    row(
        "2.5-stored-in-place-of-another",
        stored(cc("max-age=0"), etag('"a"')),
        again(MISS, cc("max-age=60"), etag('"b"'), kept=True),
    ),
    row("2.6-not-collapsed", stored(cc("max-age=60"), shown={SAID: without("collapsed")})),
    row("2.8-why-not-stored-no-store", unstored(cc("no-store"), detail="no-store")),
    row("2.8-why-not-stored-private", unstored(cc("private"), detail="private")),
    row("2.8-why-not-stored-cookie", unstored(cc("max-age=60"), ("Set-Cookie", "a=b"), detail="cookie")),
    row("2.8-why-not-stored-vary", unstored(cc("max-age=60"), vary("*"), detail="varies")),
    row(
        "2.8-why-not-stored-authorization",
        unstored(cc("max-age=60"), asks=(("Authorization", "Bearer x"),), detail="authorized"),
    ),
    row("2.8-why-not-stored-lifetime", unstored(detail="lifetime")),
    row("2.8-why-not-stored-request", unstored(cc("max-age=60"), asks=(cc("no-store"),), detail="no-store")),
    row(
        "2.8-why-stale-spare",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, detail="stale-if-error"),
    ),
    row(
        "2.8-why-stale-request",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, asks=(cc("max-stale"),), detail="max-stale"),
    ),
    row(
        "2-own-member-is-last",
        fetched(
            told("Origin; hit; ttl=5"),
            shown={
                SAID: Check("after the origin's", lambda value: value.startswith("Origin; hit; ttl=5, gateway; fwd="))
            },
        ),
    ),
    row(
        "2-lines-kept",
        fetched(
            told("Inner; hit"),
            told('"Outer Cache"; fwd=miss'),
            shown={
                SAID: Check(
                    "after both", lambda value: value.startswith('Inner; hit, "Outer Cache"; fwd=miss, gateway;')
                )
            },
        ),
    ),
    row(
        "2-kept-with-what-is-stored",
        stored(cc("max-age=60"), told("Origin; hit")),
        again(
            HIT, shown={SAID: Check("after the origin's", lambda value: value.startswith("Origin; hit, gateway; hit;"))}
        ),
    ),
    row(
        "2-kept-where-not-stored",
        unstored(
            cc("no-store"), told("Origin; fwd=uri-miss"), shown={SAID: containing("Origin; fwd=uri-miss, gateway;")}
        ),
    ),
    row(
        "2-replaced-by-the-validation",
        stored(cc("max-age=0"), etag('"a"'), told("Origin; fwd=uri-miss")),
        again(
            VALIDATED,
            told("Origin; hit"),
            shown={SAID: Check("the newer", lambda value: value.startswith("Origin; hit, gateway;"))},
        ),
    ),
    row(
        "2-kept-on-a-pass",
        fetched(
            told("Origin; hit"),
            method="POST",
            content=b"x",
            shown={SAID: containing("Origin; hit, gateway; fwd=method")},
        ),
    ),
    *(
        row(
            f"2-{name}-is-left-out",
            stored(cc("max-age=60"), told(value), shown={SAID: OURS}),
            again(HIT, shown={SAID: OURS}),
        )
        for name, value in [
            ("no-list", "MISS from cache.example (x)"),
            ("an-empty-member", "Origin; hit,"),
            ("nothing", ""),
        ]
    ),
    row(
        "2-no-list-is-left-out-of-a-pass",
        fetched(told("?"), method="POST", content=b"x", shown={SAID: OURS}),
    ),
    row("2-a-namesake-is-kept", fetched(told("gateway; hit"), shown={SAID: containing("gateway; hit, gateway; fwd=")})),
    row("2-of-a-request-is-not-kept", fetched(asks=(told("Evil; hit"),), shown={SAID: without("Evil")})),
    row("2-the-gateways-own-answer", Turn(FAILED, DROPPED, status=502, shown={SAID: without("hit")})),
    row(
        "2-the-gateways-own-504", again(REFUSED, asks=(cc("only-if-cached"),), status=504, shown={SAID: without("fwd")})
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_cache_status(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)


async def test_2_6_collapsed(pure: Scene) -> None:
    gate = Gate()
    pure.origin.script(pure.path, gate, answer("one", Cache_Control="max-age=60"))
    async with connections(pure.gateway, 3) as callers:
        for caller in callers:
            caller.request("GET", pure.path)
        await pure.origin.arrived(pure.path)
        await read_by_now(pure.gateway)
        gate.open()
        replies = await answers(callers)
    said = [cache_status(reply.field(SAID)) for reply in replies]
    assert [reply.body for reply in replies] == [b"one"] * 3
    assert sorted(status.collapsed for status in said) == [False, True, True]
    assert {status.fwd for status in said} == {"uri-miss"}
    assert len(pure.origin.calls(pure.path)) == 1
