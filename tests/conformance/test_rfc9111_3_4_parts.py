"""RFC 9111 §3.3 and §3.4: parts that were stored, served again and combined, and those that must not be."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    REFUSED,
    Field,
    Reply,
    Scene,
    Turn,
    again,
    cc,
    etag,
    fetched,
    modified,
    row,
    vary,
)
from conformance.playing import play

FRESH = cc("max-age=600")
A = etag('"a"')
TEN = b"0123456789"


def spanning(first: int, last: int) -> tuple[Field, ...]:
    return (("Range", f"bytes={first}-{last}"),)


def part(first: int, last: int, *fields: Field, asks: Sequence[Field] = (), total: str = "10") -> Turn:
    """A part that the upstream is asked for."""
    told = (FRESH, *(fields or (A,)), ("Content-Range", f"bytes {first}-{last}/{total}"))
    return Turn(MISS, Reply(206, told, TEN[first : last + 1]), (*spanning(first, last), *asks))


def served(first: int, last: int, **turn: Sequence[Field]) -> Turn:
    """A part that comes from the store."""
    shown = {"Content-Range": f"bytes {first}-{last}/10"}
    asks = (*spanning(first, last), *turn.get("asks", ()))
    return again(HIT, asks=asks, status=206, got=TEN[first : last + 1], shown=shown)


WHOLE = again(HIT, status=200, got=TEN, shown={"Content-Range": None, "Content-Length": "10"})
# The upstream has another version by now, so whatever is asked of it shows.
CHANGED = fetched(FRESH, etag('"z"'), content=b"changed")

REUSED = [
    row("3.3-same-part", part(2, 5), served(2, 5)),
    row("3.3-within-the-part", part(2, 5), served(3, 4)),
    row("3.3-from-its-beginning", part(2, 5), served(2, 3)),
    row("3.3-to-its-end", part(2, 5), served(4, 5)),
    row("3.3-suffix-of-a-known-whole", part(5, 9), again(HIT, asks=(("Range", "bytes=-2"),), status=206, got=b"89")),
    row("3.3-open-end-of-a-known-whole", part(5, 9), again(HIT, asks=(("Range", "bytes=7-"),), status=206, got=b"789")),
    row("3.3-part-that-is-the-whole", part(0, 9), served(3, 6)),
    row("3.4-part-that-is-the-whole-serves-all", part(0, 9), WHOLE),
    row("3.3-young-enough", part(2, 5), served(3, 4, asks=[cc("max-age=60")])),
    row("3.3-only-if-cached", part(2, 5), served(3, 4, asks=[cc("only-if-cached")])),
]

COMBINED = [
    row("3.4-touching", part(0, 4), part(5, 9), WHOLE),
    row("3.4-touching-backwards", part(5, 9), part(0, 4), WHOLE),
    row("3.4-overlapping", part(0, 6), part(4, 9), WHOLE),
    row("3.4-three", part(0, 2), part(3, 5), part(6, 9), WHOLE),
    row("3.4-larger-part", part(0, 2), part(3, 5), served(1, 4)),
]

KEPT_APART = [
    row("3.3-before-the-part", part(2, 5), part(0, 1)),
    row("3.3-after-the-part", part(2, 5), part(6, 7)),
    row("3.3-across-its-end", part(2, 5), part(4, 7)),
    row("3.3-part-is-no-whole", part(0, 8), CHANGED),
    row("3.3-part-answers-no-head", part(0, 8), Turn(MISS, method="HEAD")),
    row("3.4-other-tag", part(0, 4), part(5, 9, etag('"b"')), CHANGED),
    row("3.4-weak-tags", part(0, 4, etag('W/"a"')), part(5, 9, etag('W/"a"')), CHANGED),
    row("3.4-no-validators", part(0, 4, cc("public")), part(5, 9, cc("public")), CHANGED),
    row("3.4-weak-dates", part(0, 4, modified(0)), part(5, 9, modified(0)), CHANGED),
    row("3.4-gap-between", part(0, 3), part(6, 9), CHANGED),
    row("3.4-other-length-of-the-whole", part(0, 4), part(5, 9, total="11"), CHANGED),
    row("3.3-too-old", part(2, 5, A, ("Age", "30")), part(2, 5, asks=[cc("max-age=9")])),
    row("3.3-no-cache", part(2, 5), part(2, 5, asks=[cc("no-cache")])),
    row(
        "3.3-only-if-cached-beyond-the-part",
        part(2, 5),
        again(REFUSED, asks=(*spanning(4, 7), cc("only-if-cached")), status=504),
    ),
    row("3.3-unknown-length-of-the-whole", part(0, 4, total="*"), part(5, 9, total="*"), CHANGED),
    row("3.3-no-store", part(0, 4, cc("no-store"), A), part(0, 4)),
    row("3.3-private", part(0, 4, cc("private"), A), part(0, 4)),
    row(
        "3.4-other-variants",
        part(0, 4, A, vary("Foo"), asks=[("Foo", "1")]),
        part(5, 9, A, vary("Foo"), asks=[("Foo", "2")]),
        fetched(FRESH, etag('"z"'), vary("Foo"), asks=(("Foo", "1"),)),
    ),
    row("3.4-a-whole-replaces-the-part", part(0, 4), CHANGED, again(HIT)),
    row(
        "4.4-a-part-is-invalidated-too",
        part(0, 4),
        Turn(MISS, method="POST", content=b"x"),
        part(0, 4),
    ),
]


@pytest.mark.parametrize("turns", [*REUSED, *COMBINED, *KEPT_APART])
async def test_parts(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
