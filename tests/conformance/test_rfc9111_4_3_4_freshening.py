"""RFC 9111 §4.3.4 and §3.2: which stored response a 304 speaks of, and which of its fields that changes."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    PRESENT,
    VALIDATED,
    Expected,
    Field,
    Scene,
    Turn,
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
)
from conformance.playing import play

FRESH = cc("max-age=600")
STALE = (FRESH, ("Age", "600"))
A = etag('"a"')
HOUR = modified(3600)


def speaks(name: str, kept: Sequence[Field], said: Sequence[Field]) -> Any:
    """The 304 is of what is stored, which is fresh again."""
    return row(name, stored(*STALE, *kept), again(VALIDATED, ("Updated", "yes"), *said, shown={"Updated": "yes"}))


def shown_once(name: str, directives: str, field: str) -> Any:
    """What of the 304 is for its own caller alone reaches that one, and is not stored."""
    return row(
        name,
        stored(*STALE, A),
        again(VALIDATED, A, cc(directives), (field, "told"), shown={field: "told"}),
        again(HIT, shown={field: None}),
    )


ITS_OWN = [
    shown_once("3.1-set-cookie-is-its-callers", "max-age=600", "Set-Cookie"),
    shown_once("5.2.2.4-withheld-is-its-callers", 'no-cache="x-test", max-age=600', "X-Test"),
    shown_once("5.2.2.7-private-is-its-callers", 'private="x-test", max-age=600', "X-Test"),
    row(
        "5.2.2.5-set-cookie-where-nothing-is-kept",
        stored(*STALE, A),
        again(VALIDATED, cc("no-store"), ("Set-Cookie", "a=b"), shown={"Set-Cookie": "a=b"}),
        again(MISS, shown={"Set-Cookie": None}),
    ),
]

IDENTIFIED = [
    speaks("4.3.4-strong-tag", [A], [A]),
    speaks("4.3.4-weak-tag", [etag('W/"a"')], [etag('W/"a"')]),
    speaks("4.3.4-weak-tag-of-strong", [A], [etag('W/"a"')]),
    speaks("4.3.4-tag-alone-where-both-were-stored", [A, HOUR], [A]),
    speaks("4.3.4-both", [A, HOUR], [A, HOUR]),
    speaks("4.3.4-last-modified", [HOUR], [HOUR]),
    speaks("4.3.4-no-validator-for-tag", [A], []),
    speaks("4.3.4-no-validator-for-date", [HOUR], []),
    speaks("4.3.4-empty-tag", [etag('""')], [etag('""')]),
    row(
        "4.3.4-only-the-one-that-was-asked-about",
        stored(FRESH, vary("Foo"), A, asks=(("Foo", "1"),)),
        stored(*STALE, vary("Foo"), etag('"b"'), asks=(("Foo", "2"),)),
        again(VALIDATED, etag('"b"'), ("Updated", "yes"), asks=(("Foo", "2"),), of=2),
        again(HIT, asks=(("Foo", "1"),), of=1, shown={"Updated": None}),
        again(HIT, asks=(("Foo", "2"),), of=2, shown={"Updated": "yes"}),
    ),
]


def updates(name: str, kept: Sequence[Field], said: Sequence[Field], field: str, value: Expected) -> Any:
    """What the client sees of `field`, at once and from the store afterwards."""
    shown = {field: value}
    return row(
        name,
        stored(*STALE, A, *kept),
        again(VALIDATED, A, *said, shown=shown),
        again(HIT, shown=shown),
    )


def x(value: str) -> Field:
    return "X-Test", value


UPDATED = [
    updates("3.2-replaced", [x("old")], [x("new")], "X-Test", "new"),
    updates("3.2-added", [], [x("new")], "X-Test", "new"),
    updates("3.2-not-mentioned-stays", [x("old")], [], "X-Test", "old"),
    updates("3.2-name-in-another-case", [x("old")], [("x-test", "new")], "X-Test", "new"),
    updates("3.2-emptied", [x("old")], [x("")], "X-Test", ""),
    updates("3.2-two-lines-for-one", [x("old")], [x("1"), x("2")], "X-Test", "1, 2"),
    updates("3.2-one-line-for-two", [x("1"), x("2")], [x("new")], "X-Test", "new"),
    updates("3.2-two-lines-for-three", [x("1"), x("2"), x("3")], [x("4"), x("5")], "X-Test", "4, 5"),
    updates("3.2-cache-control", [], [cc("max-age=900")], "Cache-Control", "max-age=900"),
    updates("3.2-cache-control-lines", [], [cc("max-age=900"), cc("public")], "Cache-Control", "max-age=900, public"),
    updates("3.2-expires", [("Expires", ago(0))], [("Expires", ahead(900))], "Expires", ahead(900)),
    updates("3.2-date", [("Date", ago(60))], [("Date", ago(10))], "Date", ago(10)),
    updates("3.2-last-modified", [HOUR], [modified(60)], "Last-Modified", ago(60)),
    updates("3.2-link", [("Link", "</a>; rel=a")], [("Link", "</b>; rel=b")], "Link", "</b>; rel=b"),
    updates("3.2-allow", [("Allow", "GET")], [("Allow", "GET, PUT")], "Allow", "GET, PUT"),
    updates("3.2-server", [("Server", "one")], [("Server", "two")], "Server", "two"),
    updates("3.2-content-security-policy", [("Content-Security-Policy", "a")], [("Content-Security-Policy", "b")],
            "Content-Security-Policy", "b"),
    updates("3.2-content-foo", [("Content-Foo", "a")], [("Content-Foo", "b")], "Content-Foo", "b"),
    updates("3.2-content-language", [("Content-Language", "en")], [("Content-Language", "de")],
            "Content-Language", "de"),
    updates("3.2-content-location", [("Content-Location", "/a")], [("Content-Location", "/b")],
            "Content-Location", "/b"),
    updates("3.2-content-disposition", [("Content-Disposition", "inline")], [("Content-Disposition", "attachment")],
            "Content-Disposition", "attachment"),
    updates("3.2-content-type", [("Content-Type", "text/a")], [("Content-Type", "text/b")], "Content-Type", "text/b"),
    updates("3.2-vary", [vary("Foo")], [vary("Foo, Bar")], "Vary", "Foo, Bar"),
    updates("3.2-cache-groups", [("Cache-Groups", '"a"')], [("Cache-Groups", '"b"')], "Cache-Groups", '"b"'),
    updates("3.2-etag-stays", [], [], "ETag", '"a"'),
]  # fmt: skip

EXCEPTED = [
    updates("3.2-never-content-length", [], [("Content-Length", "7000")], "Content-Length", "7"),
    updates("3.2-never-content-length-of-zero", [], [("Content-Length", "0")], "Content-Length", "7"),
    # It would describe content that was stored without it.
    updates("3.2-never-content-encoding", [], [("Content-Encoding", "gzip")], "Content-Encoding", None),
    updates("3.2-never-content-range", [], [("Content-Range", "bytes 0-1/7")], "Content-Range", None),
    updates("3.1-never-connection", [], [("Connection", "keep-alive")], "Connection", None),
    updates("3.1-never-nominated", [x("old")], [("Connection", "X-Test"), x("new")], "X-Test", "old"),
    updates("3.1-never-nominated-and-new", [], [("Connection", "X-Test"), x("new")], "X-Test", None),
    updates("3.1-never-keep-alive", [], [("Keep-Alive", "timeout=5")], "Keep-Alive", None),
    updates("3.1-never-upgrade", [], [("Upgrade", "h2c")], "Upgrade", None),
    updates("3.1-never-proxy-authenticate", [], [("Proxy-Authenticate", "Basic")], "Proxy-Authenticate", None),
    updates("3.1-never-proxy-authentication-info", [], [("Proxy-Authentication-Info", "a=b")],
            "Proxy-Authentication-Info", None),
    updates("3.1-never-proxy-connection", [], [("Proxy-Connection", "close")], "Proxy-Connection", None),
    row(
        "3.1-age-is-of-the-validation",
        stored(*STALE, A),
        again(VALIDATED, A, ("Age", "1")),
        again(HIT, shown={"Age": PRESENT}),
    ),
]  # fmt: skip

TERMS = [
    row(
        "3.2-lifetime-is-the-304s",
        stored(cc("max-age=1"), ("Age", "1"), A),
        again(VALIDATED, FRESH, A),
        again(HIT),
    ),
    row(
        "3.2-shorter-lifetime",
        stored(*STALE, A),
        again(VALIDATED, cc("max-age=10"), A, ("Age", "10")),
        again(VALIDATED, A),
    ),
    row("3.2-lifetime-stays-where-unsaid", stored(*STALE, A), again(VALIDATED, A), again(HIT)),
    row("3.2-no-cache-from-now-on", stored(*STALE, A), again(VALIDATED, cc("no-cache"), A), again(VALIDATED, A)),
    row("3.2-no-longer-no-cache", stored(cc("no-cache"), A), again(VALIDATED, FRESH, A), again(HIT)),
    row(
        "3.2-no-store-is-not-kept",
        stored(*STALE, A),
        again(VALIDATED, cc("no-store"), A, kept=False),
        again(MISS, FRESH, sent={"If-None-Match": None}),
        again(HIT),
    ),
    row(
        "3.2-private-is-not-kept",
        stored(*STALE, A),
        again(VALIDATED, cc("private"), A, kept=False),
        again(MISS, FRESH, sent={"If-None-Match": None}),
        again(HIT),
    ),
    row(
        "3.2-last-modified-is-the-304s",
        stored(*STALE, A, HOUR),
        again(VALIDATED, A, modified(60), ("Age", "600")),
        again(VALIDATED, A, sent={"If-Modified-Since": ago(60)}),
    ),
    row(
        "3.2-vary-is-the-304s",
        stored(*STALE, A, vary("Foo"), asks=(("Foo", "1"), ("Bar", "1"))),
        again(VALIDATED, A, vary("Bar"), asks=(("Foo", "1"), ("Bar", "1"))),
        again(HIT, asks=(("Foo", "2"), ("Bar", "1"))),
        again(MISS, asks=(("Foo", "1"), ("Bar", "2"))),
    ),
    row(
        "3.2-vary-on-everything-from-now-on",
        stored(*STALE, A),
        again(VALIDATED, A, vary("*")),
        again(MISS),
    ),
    row(
        "3.2-again-and-again",
        stored(*STALE, A, x("1")),
        again(VALIDATED, A, x("2"), ("Age", "600"), shown={"X-Test": "2"}),
        again(VALIDATED, A, ("Age", "600"), shown={"X-Test": "2"}),
        again(VALIDATED, A, x("3"), shown={"X-Test": "3"}),
        again(HIT, shown={"X-Test": "3"}),
    ),
    row(
        "4.3.4-nothing-stored-nothing-updated",
        fetched(cc("no-store"), A),
        again(MISS, FRESH, sent={"If-None-Match": None}),
    ),
]


@pytest.mark.parametrize("turns", [*ITS_OWN, *IDENTIFIED, *UPDATED, *EXCEPTED, *TERMS])
async def test_freshening(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
