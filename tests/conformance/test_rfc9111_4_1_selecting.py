"""RFC 9111 §4.1: which requests a stored response with Vary answers, and which of several it is."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    VALIDATED,
    Field,
    Scene,
    Turn,
    again,
    ago,
    ahead,
    cc,
    etag,
    fetched,
    row,
    stored,
    vary,
)
from conformance.playing import play

FRESH = cc("max-age=600")

Asks = tuple[Field, ...]


def foo(value: str) -> Field:
    return "Foo", value


def bar(value: str) -> Field:
    return "Bar", value


def languages(value: str) -> Asks:
    return (("Accept-Language", value),)


def codings(value: str) -> Asks:
    return (("Accept-Encoding", value),)


def types(value: str) -> Asks:
    return (("Accept", value),)


def same(name: str, varies: str | Sequence[str], first: Asks, second: Asks) -> Any:
    """Both requests have the same selecting header fields."""
    return row(name, stored(FRESH, *_lines(varies), asks=first), again(HIT, asks=second))


def other(name: str, varies: str | Sequence[str], first: Asks, second: Asks) -> Any:
    """They do not: the second is fetched, and the first still has its own answer."""
    return row(
        name,
        stored(FRESH, *_lines(varies), asks=first),
        again(MISS, FRESH, *_lines(varies), asks=second, fwd="vary-miss"),
        again(HIT, asks=first, of=1),
    )


def _lines(varies: str | Sequence[str]) -> list[Field]:
    return [vary(line) for line in ([varies] if isinstance(varies, str) else varies)]


SAME = [
    same("4.1-value", "Foo", (foo("1"),), (foo("1"),)),
    same("4.1-absent-in-both", "Foo", (), ()),
    same("4.1-empty-in-both", "Foo", (foo(""),), (foo(""),)),
    same("4.1-two-fields", "Foo, Bar", (foo("1"), bar("2")), (bar("2"), foo("1"))),
    same("4.1-two-fields-one-absent", "Foo, Bar", (foo("1"),), (foo("1"),)),
    same("4.1-two-lines", ["Foo", "Bar"], (foo("1"), bar("2")), (foo("1"), bar("2"))),
    same("4.1-field-named-twice", "Foo, foo", (foo("1"),), (foo("1"),)),
    same("4.1-vary-name-in-capitals", "FOO", (foo("1"),), (foo("1"),)),
    same("4.1-request-name-in-capitals", "foo", (foo("1"),), (("FOO", "1"),)),
    same("4.1-vary-without-spaces", "Foo,Bar", (foo("1"),), (foo("1"),)),
    same("4.1-vary-with-empty-members", ", Foo,, ", (foo("1"),), (foo("1"),)),
    same("4.1-vary-empty", "", (foo("1"),), (foo("2"),)),
    same("4.1-vary-only-commas", " , ,", (foo("1"),), (foo("2"),)),
    same("4.1-field-not-named", "Foo", (foo("1"), bar("1")), (foo("1"), bar("2"))),
    same("4.1-space-around-value", "Foo", (foo("1"),), (foo("  1\t"),)),
    same("4.1-lines-combined", "Foo", (foo("1"), foo("2")), (foo("1, 2"),)),
    same("4.1-lines-as-they-were", "Foo", (foo("1"), foo("2")), (foo("1"), foo("2"))),
    same("4.1-language-same", "Accept-Language", languages("de"), languages("de")),
    same("4.1-language-case", "Accept-Language", languages("en-GB"), languages("EN-gb")),
    same("4.1-language-order", "Accept-Language", languages("en, de"), languages("de, en")),
    same("4.1-language-spaces", "Accept-Language", languages("en,de"), languages("en ,\tde")),
    same("4.1-language-empty-members", "Accept-Language", languages("en, de"), languages("en,, de,")),
    same("4.1-language-two-lines", "Accept-Language", languages("en, de"), languages("de") + languages("en")),
    same("4.1-language-weight-spaces", "Accept-Language", languages("en, de;q=0.5"), languages("en, de ; q=0.5")),
    same("4.1-language-weight-zeros", "Accept-Language", languages("en, de;q=0.5"), languages("en, de;q=0.500")),
    same("4.1-language-weight-of-one", "Accept-Language", languages("en, de"), languages("en;q=1.0, de")),
    same("4.1-language-weight-name-case", "Accept-Language", languages("en, de;q=0.5"), languages("en, de;Q=0.5")),
    same("4.1-language-weighted-order", "Accept-Language", languages("en;q=0.9, de"), languages("de, en;q=0.9")),
    same("4.1-coding-same", "Accept-Encoding", codings("gzip"), codings("gzip")),
    same("4.1-coding-case", "Accept-Encoding", codings("gzip, br"), codings("GZIP, Br")),
    same("4.1-coding-order", "Accept-Encoding", codings("gzip, br"), codings("br, gzip")),
    same("4.1-coding-spaces", "Accept-Encoding", codings("gzip, br"), codings("gzip,br")),
    same("4.1-coding-weight", "Accept-Encoding", codings("gzip;q=1, *;q=0"), codings("*;q=0.0, gzip")),
    same("4.1-coding-present-empty", "Accept-Encoding", codings(""), codings("")),
    same("4.1-type-case", "Accept", types("text/html"), types("Text/HTML")),
    same("4.1-type-order", "Accept", types("text/html, image/png"), types("image/png, text/html")),
    same("4.1-type-weights", "Accept", types("a/b, */*;q=0.1"), types("*/*; q=0.10, a/b")),
    same("4.1-charset-case", "Accept-Charset", (("Accept-Charset", "utf-8"),), (("Accept-Charset", "UTF-8"),)),
    same("4.1-cookie", "Cookie", (("Cookie", "a=1; b=2"),), (("Cookie", "a=1; b=2"),)),
    same("4.1-user-agent", "User-Agent", (("User-Agent", "one/1.0 (a, b)"),), (("User-Agent", "one/1.0 (a, b)"),)),
    same("4.1-host", "Host", (), ()),
    same("4.1-origin", "Origin", (("Origin", "https://a.example"),), (("Origin", "https://a.example"),)),
    same("4.1-added-by-the-proxy", "Via", (), ()),
    same("4.1-whence-added-by-the-proxy", "X-Forwarded-For, Forwarded, X-Forwarded-Proto", (), ()),
    same("4.1-nominated-by-connection", "Foo", (), (("Connection", "Foo"), foo("1"))),
]

OTHER = [
    other("4.1-other-value", "Foo", (foo("1"),), (foo("2"),)),
    other("4.1-absent-then-present", "Foo", (), (foo("1"),)),
    other("4.1-present-then-absent", "Foo", (foo("1"),), ()),
    other("4.1-empty-is-not-absent", "Accept-Encoding", (), codings("")),
    other("4.1-one-of-two-differs", "Foo, Bar", (foo("1"), bar("2")), (foo("1"), bar("3"))),
    other("4.1-one-of-two-absent", "Foo, Bar", (foo("1"), bar("2")), (foo("1"),)),
    other("4.1-second-line-differs", ["Foo", "Bar"], (foo("1"), bar("2")), (foo("1"), bar("3"))),
    other("4.1-three-fields", "Foo, Bar, Baz", (foo("1"), bar("2"), ("Baz", "3")), (foo("1"), bar("2"), ("Baz", "4"))),
    other("4.1-value-case-of-unknown-field", "Foo", (foo("a"),), (foo("A"),)),
    other("4.1-order-in-unknown-field", "Foo", (foo("1, 2"),), (foo("2, 1"),)),
    other("4.1-lines-in-another-order", "Foo", (foo("1"), foo("2")), (foo("2"), foo("1"))),
    other("4.1-value-repeated", "Foo", (foo("1"),), (foo("1"), foo("1"))),
    other("4.1-language-other", "Accept-Language", languages("en"), languages("de")),
    other("4.1-language-part-of", "Accept-Language", languages("en"), languages("en-GB")),
    other("4.1-language-one-more", "Accept-Language", languages("en"), languages("en, de")),
    other("4.1-language-weights-swapped", "Accept-Language", languages("en;q=0.5, de"), languages("en, de;q=0.5")),
    other("4.1-language-refused", "Accept-Language", languages("en, de"), languages("en, de;q=0")),
    other("4.1-coding-other", "Accept-Encoding", codings("gzip"), codings("br")),
    other("4.1-coding-any-or-none", "Accept-Encoding", codings("*"), codings("*;q=0")),
    other("4.1-type-parameter-value", "Accept", types("text/html;level=A"), types("text/html;level=a")),
    other("4.1-type-parameter-quoted", "Accept", types('text/html;a="X"'), types('text/html;a="x"')),
    other("4.1-cookie-other", "Cookie", (("Cookie", "a=1"),), (("Cookie", "a=2"),)),
    other("4.1-cookie-case", "Cookie", (("Cookie", "a=b"),), (("Cookie", "a=B"),)),
    other("4.1-user-agent-case", "User-Agent", (("User-Agent", "one/1"),), (("User-Agent", "One/1"),)),
]


def starred(name: str, *lines: str) -> Any:
    """What varies on everything answers no second request, not even the same."""
    return row(name, fetched(FRESH, *_lines(lines)), again(MISS, FRESH, *_lines(lines)), again(MISS))


STAR = [
    starred("4.1-star", "*"),
    starred("4.1-star-first", "*, Foo"),
    starred("4.1-star-last", "Foo, *"),
    starred("4.1-star-between", "Foo,*,Bar"),
    starred("4.1-star-with-spaces", " , * "),
    starred("4.1-star-on-the-second-line", "Foo", "*"),
    starred("4.1-star-on-the-first-line", "*", "Foo"),
    row(
        "4.1-star-spoils-no-other-variant",
        stored(FRESH, vary("Foo"), asks=(foo("1"),)),
        fetched(FRESH, vary("*"), asks=(foo("2"),)),
        again(HIT, asks=(foo("1"),), of=1),
    ),
]

SEVERAL = [
    row(
        "4.1-several-kept",
        stored(FRESH, vary("Foo"), asks=(foo("1"),)),
        stored(FRESH, vary("Foo"), asks=(foo("2"),)),
        stored(FRESH, vary("Foo"), asks=(foo("3"),)),
        stored(FRESH, vary("Foo")),
        again(HIT, asks=(foo("2"),), of=2),
        again(HIT, asks=(foo("1"),), of=1),
        again(HIT, of=4),
        again(HIT, asks=(foo("3"),), of=3),
    ),
    row(
        "4.1-only-the-stale-one-is-validated",
        stored(FRESH, vary("Foo"), etag('"1"'), asks=(foo("1"),)),
        stored(FRESH, vary("Foo"), etag('"2"'), ("Age", "600"), asks=(foo("2"),)),
        again(VALIDATED, vary("Foo"), etag('"2"'), asks=(foo("2"),), of=2, sent={"Foo": "2"}),
        again(HIT, asks=(foo("1"),), of=1),
    ),
    row(
        "4.1-one-replaced-alone",
        stored(FRESH, vary("Foo"), asks=(foo("1"),)),
        stored(FRESH, vary("Foo"), asks=(foo("2"),)),
        stored(FRESH, vary("Foo"), asks=(foo("2"), cc("no-cache"))),
        again(HIT, asks=(foo("2"),), of=3),
        again(HIT, asks=(foo("1"),), of=1),
    ),
    row(
        "4.1-most-recent-by-date",
        stored(FRESH, vary("Foo"), ("Date", ago(30)), asks=(foo("1"),)),
        stored(FRESH, vary("Bar"), ("Date", ago(20)), asks=(bar("1"),)),
        again(HIT, asks=(foo("1"), bar("1")), of=2),
    ),
    row(
        "4.1-most-recent-by-date-not-by-arrival",
        stored(FRESH, vary("Foo"), ("Date", ago(20)), asks=(foo("1"),)),
        stored(FRESH, vary("Bar"), ("Date", ago(30)), asks=(bar("1"),)),
        again(HIT, asks=(foo("1"), bar("1")), of=1),
    ),
    row(
        "4.1-most-recent-by-date-ahead",
        stored(FRESH, vary("Foo"), ("Date", ahead(30)), asks=(foo("1"),)),
        stored(FRESH, vary("Bar"), asks=(bar("1"),)),
        again(HIT, asks=(foo("1"), bar("1")), of=1),
    ),
    row(
        "4.1-same-date-the-last-to-arrive",
        stored(FRESH, vary("Foo"), ("Date", ago(20)), asks=(foo("1"),)),
        stored(FRESH, vary("Bar"), ("Date", ago(20)), asks=(bar("1"),)),
        again(HIT, asks=(foo("1"), bar("1")), of=2),
    ),
    row(
        "4.1-one-with-vary-before-a-later-one-without",
        stored(FRESH, vary("Foo"), ("Date", ago(30)), asks=(foo("1"),)),
        stored(FRESH, ("Date", ago(20))),
        again(HIT, asks=(foo("1"),), of=1),
        again(HIT, of=2),
    ),
    row(
        "4.1-vary-widens",
        stored(FRESH, vary("Foo"), asks=(foo("1"), bar("1"))),
        stored(FRESH, vary("Foo, Bar"), asks=(foo("2"), bar("1"))),
        again(MISS, FRESH, vary("Foo, Bar"), asks=(foo("2"), bar("2"))),
        again(HIT, asks=(foo("2"), bar("1")), of=2),
        again(HIT, asks=(foo("1"), bar("9")), of=1),
    ),
    row(
        "4.1-vary-is-shown",
        stored(FRESH, vary("Foo, Bar")),
        again(HIT, shown={"Vary": "Foo, Bar"}),
    ),
    row(
        "4.1-request-fields-reach-the-origin",
        stored(FRESH, vary("Foo"), asks=(foo("1"),), sent={"Foo": "1"}),
        again(MISS, asks=(foo("a b"),), sent={"Foo": "a b"}),
    ),
]


@pytest.mark.parametrize("turns", [*SAME, *OTHER, *STAR, *SEVERAL])
async def test_selecting(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
