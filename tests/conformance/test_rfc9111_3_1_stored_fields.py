"""RFC 9111 §3.1 and §3.3: which fields of a response are stored, and that nothing incomplete is."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    FAILED,
    HIT,
    MISS,
    Reply,
    Scene,
    Turn,
    again,
    ago,
    cc,
    containing,
    etag,
    fetched,
    modified,
    row,
    stored,
    unstored,
    vary,
)
from conformance.playing import play
from support.scripts import End

CHUNKED = (("Transfer-Encoding", "chunked"), ("Content-Length", None))
CONTENT = (
    ("Content-Type", "text/plain;charset=utf-8"),
    ("Content-Language", "de, en"),
    ("Content-Disposition", 'attachment; filename="a"'),
    ("Content-Security-Policy", "default-src 'none'"),
)

ROWS = [
    row("3.1-unknown-field", stored(cc("max-age=60"), ("X-Unknown", "kept")), again(HIT, shown={"X-Unknown": "kept"})),
    row(
        "3.1-repeated-field",
        stored(cc("max-age=60"), ("X-Many", "1"), ("X-Many", "2")),
        again(HIT, shown={"X-Many": "1, 2"}),
    ),
    row("3.1-empty-field", stored(cc("max-age=60"), ("X-Empty", "")), again(HIT, shown={"X-Empty": ""})),
    row(
        "3.1-value-bytes",
        stored(cc("max-age=60"), ("X-Bytes", "\xe4\xf6\xfc")),
        again(HIT, shown={"X-Bytes": "\xe4\xf6\xfc"}),
    ),
    row("3.1-content-fields", stored(cc("max-age=60"), *CONTENT), again(HIT, shown=dict(CONTENT))),
    row(
        "3.1-obsolete-warning",
        stored(cc("max-age=60"), ("Warning", '199 - "old"')),
        again(HIT, shown={"Warning": '199 - "old"'}),
    ),
    row(
        "3.1-validators",
        stored(cc("max-age=60"), etag('W/"a"'), modified(60)),
        again(HIT, shown={"ETag": 'W/"a"', "Last-Modified": ago(60)}),
    ),
    row(
        "3.1-server-and-alt-svc",
        stored(cc("max-age=60"), ("Server", "Scripted/1")),
        again(HIT, shown={"Server": "Scripted/1"}),
    ),
    row(
        "3.1-via-of-others",
        stored(cc("max-age=60"), ("Via", "1.1 inner")),
        again(HIT, shown={"Via": containing("1.1 inner")}),
    ),
    row(
        "3.1-connection-nominated",
        stored(cc("max-age=60"), ("Connection", "X-Hop"), ("X-Hop", "1")),
        again(HIT, shown={"X-Hop": None}),
    ),
    row(
        "3.1-connection-nominates-several",
        stored(
            cc("max-age=60"), ("Connection", "x-hop, close"), ("Connection", "X-LEAP"), ("X-Hop", "1"), ("X-Leap", "1")
        ),
        again(HIT, shown={"X-Hop": None, "X-Leap": None}),
    ),
    row(
        "3.1-connection-nominated-not-passed",
        stored(cc("max-age=60"), ("Connection", "X-Hop"), ("X-Hop", "1"), shown={"X-Hop": None}),
    ),
    row(
        "3.1-connection-nominates-cache-control",
        unstored(cc("no-store, max-age=60"), ("Connection", "Cache-Control")),
        again(MISS),
    ),
    row(
        "3.1-connection-nominates-vary",
        fetched(cc("max-age=60"), vary("X-A"), ("Connection", "Vary"), asks=(("X-A", "1"),)),
        again(MISS, asks=(("X-A", "2"),)),
    ),
    row(
        "3.1-connection-nominates-set-cookie",
        fetched(cc("max-age=60"), ("Set-Cookie", "a=b"), ("Connection", "Set-Cookie"), shown={"Set-Cookie": None}),
        again(MISS, shown={"Set-Cookie": None}),
    ),
    row(
        "3.1-keep-alive", stored(cc("max-age=60"), ("Keep-Alive", "timeout=5")), again(HIT, shown={"Keep-Alive": None})
    ),
    row(
        "3.1-proxy-connection",
        stored(cc("max-age=60"), ("Proxy-Connection", "close")),
        again(HIT, shown={"Proxy-Connection": None}),
    ),
    row("3.1-upgrade", stored(cc("max-age=60"), ("Upgrade", "h2c")), again(HIT, shown={"Upgrade": None})),
    row(
        "3.1-proxy-authenticate",
        stored(cc("max-age=60"), ("Proxy-Authenticate", "Basic")),
        again(HIT, shown={"Proxy-Authenticate": None}),
    ),
    row(
        "3.1-proxy-authentication-info",
        stored(cc("max-age=60"), ("Proxy-Authentication-Info", "x=1")),
        again(HIT, shown={"Proxy-Authentication-Info": None}),
    ),
    row(
        "3.1-set-cookie",
        unstored(cc("max-age=60"), ("Set-Cookie", "a=b"), shown={"Set-Cookie": "a=b"}),
        again(MISS, shown={"Set-Cookie": None}),
    ),
    row("3.1-set-cookie-public", unstored(cc("public, max-age=60"), ("Set-Cookie", "a=b")), again(MISS)),
    row(
        "3.1-set-cookie-withheld",
        stored(cc('no-cache="Set-Cookie", max-age=60'), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")),
        again(HIT, shown={"Set-Cookie": None}),
    ),
    row(
        "3.1-set-cookie-private",
        stored(cc('private="set-cookie", max-age=60'), ("Set-Cookie", "a=b")),
        again(HIT, shown={"Set-Cookie": None}),
    ),
    row(
        "3.1-set-cookie-of-the-first-goes-to-it",
        stored(cc('private="set-cookie", max-age=60'), ("Set-Cookie", "a=b"), shown={"Set-Cookie": "a=b"}),
    ),
    row(
        "3.1-trailer-fields-are-no-header-fields",
        stored(
            cc("max-age=60"),
            *CHUNKED,
            content=b"3\r\none\r\n0\r\nX-Trailer: 1\r\n\r\n",
            got=b"one",
            shown={"X-Trailer": None},
        ),
        again(HIT, got=b"one", shown={"X-Trailer": None}),
    ),
    row(
        "3.1-trailer-fields-change-no-terms",
        stored(cc("max-age=60"), *CHUNKED, content=b"3\r\none\r\n0\r\nCache-Control: no-store\r\n\r\n", got=b"one"),
        again(HIT, got=b"one"),
    ),
    row(
        "3.3-chunked",
        stored(cc("max-age=60"), *CHUNKED, content=b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", got=b"onetwo"),
        again(HIT, got=b"onetwo", shown={"Content-Length": "6"}),
    ),
    row(
        "3.3-cut-short",
        Turn(FAILED, Reply(200, (cc("max-age=60"), ("Content-Length", "100")), b"short", after=End.close), status=502),
        again(MISS),
    ),
    row(
        "3.3-reset-short",
        Turn(FAILED, Reply(200, (cc("max-age=60"), ("Content-Length", "100")), b"short", after=End.reset), status=502),
        again(MISS),
    ),
    row(
        "3.3-chunked-cut-short",
        Turn(FAILED, Reply(200, (cc("max-age=60"), *CHUNKED), b"3\r\none\r\n", after=End.close), status=502),
        again(MISS),
    ),
    row(
        "3.3-delimited-by-the-end",
        Turn(MISS, Reply(200, (cc("max-age=60"), ("Content-Length", None)), b"open", after=End.close), kept=False),
        again(MISS),
    ),
    row(
        "3.3-delimited-by-the-end-and-complete-by-itself",
        Turn(
            MISS,
            Reply(
                200,
                (cc("max-age=60"), ("Content-Type", "application/json"), ("Content-Length", None)),
                b"{}",
                after=End.close,
            ),
            kept=True,
        ),
        again(HIT),
    ),
    row(
        "3.3-part",
        stored(
            cc("max-age=60"),
            ("Content-Range", "bytes 0-3/9"),
            status=206,
            content=b"part",
            asks=(("Range", "bytes=0-3"),),
        ),
        again(MISS),
    ),
    row(
        "3.3-unsatisfiable",
        unstored(cc("max-age=60"), ("Content-Range", "bytes */9"), status=416, asks=(("Range", "bytes=99-"),)),
        again(MISS),
    ),
]


@pytest.mark.parametrize("turns", ROWS)
async def test_stored_fields(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
