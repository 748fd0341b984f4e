"""RFC 9111 §4.4: what a successful unsafe request makes of the stored responses it may have changed."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from conformance.exchange import (
    DROPPED,
    FAILED,
    HIT,
    MISS,
    REFUSED,
    RESET,
    Field,
    Reply,
    Scene,
    Turn,
    Value,
    again,
    at_origin,
    cc,
    etag,
    fetched,
    here,
    row,
    stored,
    vary,
)
from conformance.playing import play
from support.scripts import Gate, answer
from support.wire import Connection

FRESH = cc("max-age=600")
A = etag('"a"')


def unsafe(*fields: Field, status: int = 200, method: str = "POST", **turn: Any) -> Turn:
    """A request that is written through, with content."""
    return Turn(MISS, Reply(status, fields), method=method, content=b"change it", **turn)


def invalid(name: str, *between: Turn) -> Any:
    """What was stored is not served any more."""
    return row(name, stored(FRESH), *between, fetched(FRESH), again(HIT))


def valid(name: str, *between: Turn) -> Any:
    """What was stored is still served."""
    return row(name, stored(FRESH), *between, again(HIT, of=1))


METHODS = [
    *[
        invalid(f"4.4-{method}", unsafe(method=method))
        for method in ("POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "PURGE", "MKCOL", "LOCK", "COPY", "NOTIFY")
    ],
    invalid("4.4-delete-without-content", Turn(MISS, Reply(204), method="DELETE")),
    valid("4.4-safe-options", Turn(MISS, Reply(200), method="OPTIONS")),
    valid("4.4-safe-head", Turn(HIT, method="HEAD")),
    valid("4.4-safe-head-sent-on", Turn(MISS, Reply(200, (FRESH,)), method="HEAD", asks=(cc("no-cache"),))),
    valid("4.4-safe-get-elsewhere", fetched(FRESH, suffix="?other")),
]

STATUSES = [
    *[invalid(f"4.4-status-{status}", unsafe(status=status)) for status in (200, 201, 202, 204, 205, 299)],
    *[
        invalid(f"4.4-status-{status}", unsafe(("Location", "/elsewhere"), status=status))
        for status in (300, 301, 302, 303, 307, 308, 399)
    ],
    *[
        valid(f"4.4-status-{status}", unsafe(status=status))
        for status in (400, 401, 403, 404, 405, 409, 410, 412, 422, 429, 499, 500, 501, 503)
    ],
]

TARGET = [
    row(
        "4.4-all-variants",
        stored(FRESH, vary("Foo"), asks=(("Foo", "1"),)),
        stored(FRESH, vary("Foo"), asks=(("Foo", "2"),)),
        unsafe(asks=(("Foo", "3"),)),
        fetched(FRESH, vary("Foo"), asks=(("Foo", "1"),)),
        fetched(FRESH, vary("Foo"), asks=(("Foo", "2"),)),
    ),
    row("4.4-target-with-query", stored(FRESH, suffix="?a=1"), unsafe(suffix="?a=1"), fetched(FRESH, suffix="?a=1")),
    # Other queries of the path may be invalidated, and are: what changes one view of a thing changes the others.
    row("4.4-other-query", stored(FRESH, suffix="?a=1"), unsafe(suffix="?a=2"), fetched(FRESH, suffix="?a=1")),
    row("4.4-every-query", stored(FRESH, suffix="?a=1"), unsafe(), fetched(FRESH, suffix="?a=1")),
    row("4.4-query-changes-the-plain-target", stored(FRESH), unsafe(suffix="?a=1"), fetched(FRESH)),
    row("4.4-not-a-sibling", stored(FRESH, suffix="/a"), unsafe(suffix="/b"), again(HIT, suffix="/a", of=1)),
    row("4.4-not-what-is-below", stored(FRESH, suffix="/a"), unsafe(), again(HIT, suffix="/a", of=1)),
    row("4.4-not-what-is-above", stored(FRESH), unsafe(suffix="/a"), again(HIT, of=1)),
    row("4.4-nothing-stored", unsafe(), stored(FRESH), again(HIT)),
    row("4.4-stored-again-afterwards", stored(FRESH), unsafe(), stored(FRESH), again(HIT), again(HIT)),
    row("4.4-twice", stored(FRESH), unsafe(), stored(FRESH), unsafe(), fetched(FRESH)),
    row("4.4-the-unsafe-answer-is-not-stored", unsafe(FRESH), fetched(FRESH)),
    row("4.4-an-unsafe-request-is-never-answered-from-the-store", stored(FRESH), unsafe(fwd="method")),
]

MANDATORY = [
    row(
        "4.4-invalid-is-not-stale-while-revalidate",
        stored(cc("max-age=600, stale-while-revalidate=600"), A),
        unsafe(),
        fetched(FRESH),
    ),
    row(
        "4.4-invalid-is-not-stale-if-error",
        stored(cc("max-age=600, stale-if-error=600"), A),
        unsafe(),
        again(MISS, reply=Reply(503)),
    ),
    row("4.4-invalid-is-not-max-stale", stored(FRESH, A), unsafe(), fetched(FRESH, asks=(cc("max-stale"),))),
    row(
        "4.4-invalid-is-not-only-if-cached",
        stored(FRESH, A),
        unsafe(),
        again(REFUSED, asks=(cc("only-if-cached"),), status=504),
    ),
    row(
        "4.4-invalid-is-not-immutable",
        stored(cc("max-age=600, immutable"), A),
        unsafe(),
        fetched(FRESH),
    ),
    row(
        "4.4-invalid-answers-no-condition",
        stored(FRESH, A),
        unsafe(),
        fetched(FRESH, etag('"b"'), asks=(("If-None-Match", '"a"'),)),
    ),
    row("4.4-invalid-answers-no-head", stored(FRESH, A), unsafe(), Turn(MISS, method="HEAD")),
    row("4.4-invalid-answers-no-range", stored(FRESH, A), unsafe(), fetched(FRESH, asks=(("Range", "lines=1-2"),))),
]


def beside(name: str) -> Callable[[Scene], str]:
    """A reference to `name` below the row's path, relative to that path."""
    return lambda scene: f"{scene.path.rpartition('/')[2]}/{name}"


def without_scheme(suffix: str) -> Callable[[Scene], str]:
    return lambda scene: scene.origin.url.removeprefix("http:") + scene.path + suffix


def at(origin: str) -> Callable[[Scene], str]:
    """The row's `/made`, at another origin; `{port}` is the upstream's."""
    return lambda scene: origin.format(port=scene.origin.port) + scene.path + "/made"


def named(name: str, field: str, value: Value, *, status: int = 201, suffix: str = "/made") -> Any:
    """What the answer names is invalidated as well."""
    return row(
        name,
        stored(FRESH, suffix=suffix),
        unsafe((field, value), status=status),
        fetched(FRESH, suffix=suffix),
        again(HIT, suffix=suffix),
    )


def spared(name: str, field: str, value: Value, *, status: int = 201, method: str = "POST") -> Any:
    """What the answer names, or seems to, is still served."""
    return row(
        name,
        stored(FRESH, suffix="/made"),
        unsafe((field, value), status=status, method=method),
        again(HIT, suffix="/made", of=1),
    )


NAMED = [
    case
    for field in ("Location", "Content-Location")
    for case in (
        named(f"4.4-{field}-path", field, here("/made")),
        named(f"4.4-{field}-absolute", field, at_origin("/made")),
        named(f"4.4-{field}-relative", field, beside("made")),
        named(f"4.4-{field}-relative-with-dots", field, beside("x/../made")),
        named(f"4.4-{field}-without-scheme", field, without_scheme("/made")),
        named(f"4.4-{field}-with-fragment", field, here("/made#part")),
        named(f"4.4-{field}-with-query", field, here("/made?q=1"), suffix="/made?q=1"),
        named(f"4.4-{field}-scheme-in-capitals", field, at("HTTP://127.0.0.1:{port}")),
        named(f"4.4-{field}-on-303", field, here("/made"), status=303),
        named(f"4.4-{field}-on-200", field, here("/made"), status=200),
        spared(f"4.4-{field}-other-port", field, at("http://127.0.0.1:1")),
        spared(f"4.4-{field}-other-host", field, at("http://other.example:{port}")),
        spared(f"4.4-{field}-other-scheme", field, at("https://127.0.0.1:{port}")),
        spared(f"4.4-{field}-other-name-of-the-host", field, at("http://localhost:{port}")),
        spared(f"4.4-{field}-host-with-a-prefix", field, at("http://x127.0.0.1:{port}")),
        spared(f"4.4-{field}-malformed", field, "http://[:::/made"),
        spared(f"4.4-{field}-empty", field, ""),
        spared(f"4.4-{field}-on-400", field, here("/made"), status=400),
        spared(f"4.4-{field}-on-404", field, here("/made"), status=404),
        spared(f"4.4-{field}-on-500", field, here("/made"), status=500),
        spared(f"4.4-{field}-on-a-safe-method", field, here("/made"), status=200, method="OPTIONS"),
    )
] + [
    row(
        "4.4-both-fields",
        stored(FRESH, suffix="/a"),
        stored(FRESH, suffix="/b"),
        unsafe(("Location", here("/a")), ("Content-Location", here("/b")), status=201),
        fetched(FRESH, suffix="/a"),
        fetched(FRESH, suffix="/b"),
    ),
    row(
        "4.4-named-and-target",
        stored(FRESH),
        stored(FRESH, suffix="/a"),
        unsafe(("Location", here("/a")), status=201),
        fetched(FRESH),
        fetched(FRESH, suffix="/a"),
    ),
    row(
        "4.4-named-with-all-its-variants",
        stored(FRESH, vary("Foo"), suffix="/a", asks=(("Foo", "1"),)),
        stored(FRESH, vary("Foo"), suffix="/a", asks=(("Foo", "2"),)),
        unsafe(("Location", here("/a")), status=201),
        fetched(FRESH, vary("Foo"), suffix="/a", asks=(("Foo", "1"),)),
        fetched(FRESH, vary("Foo"), suffix="/a", asks=(("Foo", "2"),)),
    ),
    row(
        "4.4-named-by-a-get-is-spared",
        stored(FRESH, suffix="/a"),
        fetched(FRESH, ("Location", here("/a")), ("Content-Location", here("/a")), status=302),
        again(HIT, suffix="/a", of=1),
    ),
]


# Nobody knows what became of a request that was sent and not answered.
UNANSWERED = [
    row(
        f"4.4-unanswered-{name}",
        stored(FRESH),
        Turn(FAILED, reply, method=method, content=b"change it", status=502),
        fetched(FRESH),
    )
    for name, reply, method in (("close", DROPPED, "POST"), ("reset", RESET, "PUT"), ("delete", DROPPED, "DELETE"))
]


@pytest.mark.parametrize("turns", [*METHODS, *STATUSES, *TARGET, *MANDATORY, *NAMED, *UNANSWERED])
async def test_invalidation(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)


@pytest.mark.parametrize(
    "method", [pytest.param(m, id=f"9.2.1-{m}") for m in ("POST", "PUT", "DELETE", "PATCH", "PURGE")]
)
async def test_an_unsafe_request_is_written_through_as_it_is(pure: Scene, method: str) -> None:
    asks = (("Content-Type", "text/x"), ("If-Match", '"a"'), ("X-Test", "1"))
    await play(pure, [stored(FRESH, A), unsafe(("X-Said", "so"), method=method, asks=asks, shown={"X-Said": "so"})])
    request = pure.origin.calls(pure.path)[1]
    assert (request.method, request.body, request.complete) == (method, b"change it", True)
    assert [request.field(name) for name, _ in asks] == [value for _, value in asks]


@pytest.mark.parametrize("suffix", [pytest.param("", id="4.4-target"), pytest.param("/made", id="4.4-named")])
async def test_what_was_on_its_way_is_invalid_on_arrival(pure: Scene, suffix: str) -> None:
    """A GET that the upstream got before the change may be answered with what was before it."""
    path, gate = pure.path + suffix, Gate()
    pure.origin.then(path, gate, answer("before", Cache_Control="max-age=600"))
    if suffix:
        pure.origin.then(pure.path, answer("changed", Location=path))
    else:
        pure.origin.then(path, answer("changed"))
    async with await Connection.open(pure.gateway) as one, await Connection.open(pure.gateway) as other:
        one.request("GET", path)
        await pure.origin.arrived(path)
        other.request("POST", pure.path, "Content-Length: 1", body=b"x")
        assert (await other.answer()).body == b"changed"
        gate.open()
        await one.answer()
        pure.origin.script(path, answer("after", Cache_Control="max-age=600"))
        other.request("GET", path)
        assert (await other.answer()).body == b"after"
