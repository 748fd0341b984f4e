"""RFC 9110 §7.2, §7.6 and §7.8: what a proxy strips of a message on its way, what it counts, and what it adds."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    PRESENT,
    REFUSED,
    Expected,
    Field,
    Reply,
    Scene,
    Turn,
    again,
    cc,
    etag,
    row,
    stored,
)
from conformance.playing import play

FRESH = cc("max-age=600")
VIA = "1.1 gateway"


def netloc(scene: Scene) -> str:
    """The upstream's own host and port."""
    return scene.origin.url.removeprefix("http://")


def asked_at(scene: Scene) -> str:
    """The gateway's host and port, as the client asks for it."""
    return "{}:{}".format(*scene.gateway)


def told(name: str, *asks: Field, method: str = "GET", content: bytes = b"", **sent: Expected) -> Any:
    """What the upstream sees of a request."""
    seen = {field.replace("_", "-"): expected for field, expected in sent.items()}
    return row(name, Turn(MISS, asks=asks, method=method, content=content, sent=seen))


def shown(name: str, *fields: Field, **expected: Expected) -> Any:
    """What the client sees of an answer, both as it comes and from the store."""
    seen = {field.replace("_", "-"): value for field, value in expected.items()}
    return row(name, stored(FRESH, *fields, shown=seen), again(HIT, shown=seen))


def unstored(name: str, *fields: Field, **expected: Expected) -> Any:
    """The same of an answer that streams past the cache."""
    seen = {field.replace("_", "-"): value for field, value in expected.items()}
    return row(name, Turn(MISS, Reply(fields=fields), method="POST", content=b"x", shown=seen))


def ends_here(name: str, value: str) -> Any:
    """A field that ends at each hop, whether Connection nominates it or not."""
    return row(f"7.6.1-{name}", Turn(MISS, asks=((name, value),), sent={name: None}))


def answer_ends_here(name: str, value: str) -> Any:
    """The same of an answer, as it comes and from the store."""
    seen = {name: None}
    return row(f"7.6.1-answers-{name}", stored(FRESH, (name, value), shown=seen), again(HIT, shown=seen))


def stays(name: str) -> Any:
    """A field that the gateway writes, nominated by a client that would be rid of it."""
    return row(f"7.6.1-nominated-{name}-stays", Turn(MISS, asks=(("Connection", name),), sent={name: PRESENT}))


CONNECTION = [
    told("7.6.1-nominated", ("Connection", "X-Hop"), ("X-Hop", "1"), ("X-End", "2"), X_Hop=None, X_End="2"),
    told("7.6.1-connection-itself", ("Connection", "X-Hop"), Connection=None),
    told("7.6.1-any-case", ("connection", "x-HOP"), ("X-hop", "1"), X_Hop=None),
    told(
        "7.6.1-several-lines",
        ("Connection", "X-A"),
        ("Connection", "X-B"),
        ("X-A", "1"),
        ("X-B", "1"),
        X_A=None,
        X_B=None,
    ),
    told("7.6.1-empty-members", ("Connection", " , X-Hop ,, "), ("X-Hop", "1"), X_Hop=None),
    told("7.6.1-absent", ("Connection", "X-Not-There, close"), Connection=None),
    told("7.6.1-of-content", ("Connection", "X-Hop"), ("X-Hop", "1"), method="POST", content=b"x", X_Hop=None),
    ends_here("Keep-Alive", "timeout=5"),
    ends_here("Proxy-Connection", "keep-alive"),
    ends_here("TE", "trailers"),
    ends_here("Trailer", "X-A"),
    ends_here("Proxy-Authorization", "Basic YTpi"),
    *[stays(name) for name in ("Via", "Host", "Forwarded", "X-Forwarded-For", "X-Request-Id")],
    shown("7.6.1-answer-nominates", ("Connection", "X-Hop"), ("X-Hop", "1"), ("X-End", "2"), X_Hop=None, X_End="2"),
    shown(
        "7.6.1-answer-nominates-on-several-lines",
        ("Connection", "a"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        X_Hop=None,
    ),
    shown("7.6.1-answer-nominates-what-is-for-everyone", ("Connection", "Cache-Control"), Cache_Control="max-age=600"),
    answer_ends_here("Keep-Alive", "timeout=5"),
    answer_ends_here("Proxy-Connection", "keep-alive"),
    answer_ends_here("Trailer", "X-A"),
    answer_ends_here("Upgrade", "h2c"),
    unstored(
        "7.6.1-answer-that-streams", ("Connection", "X-Hop"), ("X-Hop", "1"), ("X-End", "2"), X_Hop=None, X_End="2"
    ),
]


def ended(name: str, *asks: Field) -> Any:
    """An OPTIONS that has come far enough: answered here, with the methods, and the upstream is not asked."""
    return row(name, Turn(REFUSED, asks=asks, method="OPTIONS", status=204, shown={"Allow": PRESENT}))


HOPS = [
    ended("7.6.2-none-left", ("Max-Forwards", "0")),
    ended("7.6.2-none-left-in-several-digits", ("Max-Forwards", "000")),
    told("7.6.2-one-less", ("Max-Forwards", "3"), method="OPTIONS", Max_Forwards="2"),
    told("7.6.2-last", ("Max-Forwards", "1"), method="OPTIONS", Max_Forwards="0"),
    told("7.6.2-at-most-what-the-gateway-counts-to", ("Max-Forwards", "9" * 40), method="OPTIONS", Max_Forwards="254"),
    told("7.6.2-unlimited", method="OPTIONS", Max_Forwards=None),
    told("7.6.2-other-methods-need-not-heed-it", ("Max-Forwards", "0"), Max_Forwards="0"),
]

VIAS = [
    told("7.6.3-added", Via=VIA),
    told("7.6.3-behind-the-others", ("Via", "1.0 first, 1.1 second"), Via=f"1.0 first, 1.1 second, {VIA}"),
    told("7.6.3-behind-several-lines", ("Via", "1.0 first"), ("Via", "2 second"), Via=f"1.0 first, 2 second, {VIA}"),
    told("7.6.3-of-unsafe-methods", method="DELETE", Via=VIA),
    shown("7.6.3-answers", Via=VIA),
    shown("7.6.3-answers-behind-the-others", ("Via", "1.0 nearer"), Via=f"1.0 nearer, {VIA}"),
    row(
        "7.6.3-answers-304",
        stored(FRESH, etag('"a"'), ("Via", "1.0 nearer")),
        again(HIT, asks=(("If-None-Match", '"a"'),), status=304, shown={"Via": f"1.0 nearer, {VIA}"}),
    ),
]

REWRITTEN = [
    told("7.2-host-is-the-upstreams", Host=netloc, X_Forwarded_Host=asked_at),
    told("7.8-upgrade-is-declined", ("Connection", "Upgrade"), ("Upgrade", "websocket"), Upgrade=None, Connection=None),
    told(
        "7.8-upgrade-to-http2-is-declined",
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AA"),
        Upgrade=None,
        HTTP2_Settings=None,
    ),
    told("10.1.1-expect-ends-here", ("Expect", "100-continue"), method="POST", content=b"x", Expect=None),
]


@pytest.mark.parametrize("turns", [*CONNECTION, *HOPS, *VIAS, *REWRITTEN])
async def test_forwarding(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
