"""What the answers of these tables cost on a metered route: a 304, a part or a HEAD as much as the whole would."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    SPARE,
    VALIDATED,
    Field,
    Reply,
    Scene,
    Turn,
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
STALE = (FRESH, ("Age", "600"))
A = etag('"a"')
TEN = b"0123456789"
BASE = {"X-Tokens-Consumed": "1"}


def from_store(name: str, *asks: Field, status: int = 200, method: str = "GET", got: bytes | None = None) -> Any:
    return row(
        name,
        stored(FRESH, A, modified(3600), content=TEN, shown=BASE),
        again(HIT, asks=asks, status=status, method=method, got=got, shown=BASE),
    )


def sent_on(name: str, method: str, status: int = 200, *fields: Field) -> Any:
    """A request that is passed through costs the base price; the store is left or invalidated as ever."""
    turn = Turn(MISS, Reply(status, fields), method=method, content=b"x", shown=BASE)
    return row(name, stored(FRESH), turn, fetched(FRESH, shown=BASE) if status < 400 else again(HIT, of=1))


CHARGED = [
    from_store("4-hit"),
    from_store("4.3.2-304-by-tag", ("If-None-Match", '"a"'), status=304),
    from_store("4.3.2-304-by-date", ("If-Modified-Since", ago(0)), status=304),
    from_store("14-206", ("Range", "bytes=0-1"), status=206, got=b"01"),
    from_store("14-206-if-range", ("Range", "bytes=0-1"), ("If-Range", '"a"'), status=206, got=b"01"),
    from_store("9.3.2-head", method="HEAD"),
    from_store("9.3.2-head-304", ("If-None-Match", '"a"'), status=304, method="HEAD"),
    row("9.3.2-head-sent-on", Turn(MISS, Reply(200, (FRESH,)), method="HEAD", shown=BASE)),
    row("4.1-other-variant", stored(FRESH, vary("Foo")), fetched(FRESH, asks=(("Foo", "1"),), shown=BASE)),
    row("4.3.3-validated", stored(*STALE, A), again(VALIDATED, A, shown=BASE)),
    row(
        "4.3.3-validated-and-304",
        stored(*STALE, A),
        again(VALIDATED, A, asks=(("If-None-Match", '"a"'),), status=304, shown=BASE),
    ),
    row(
        "4.3.3-validated-and-206",
        stored(*STALE, A, content=TEN),
        again(VALIDATED, A, asks=(("Range", "bytes=0-1"),), status=206, got=b"01", shown=BASE),
    ),
    row("4.3.3-replaced", stored(*STALE, A), fetched(FRESH, etag('"b"'), shown=BASE)),
    row(
        "4.3.3-stale-if-error",
        stored(cc("max-age=600, stale-if-error=600"), ("Age", "600"), A),
        again(SPARE, shown=BASE),
    ),
    row(
        "14-206-of-the-origin",
        Turn(
            MISS,
            Reply(206, (FRESH, A, ("Content-Range", "bytes 0-1/10")), b"01"),
            asks=(("Range", "bytes=0-1"),),
            shown=BASE,
        ),
    ),
    row(
        "4.3.2-miss-and-304",
        Turn(MISS, Reply(200, (FRESH, A)), (("If-None-Match", '"a"'),), status=304, kept=True, shown=BASE),
        again(HIT, status=200, shown=BASE),
    ),
    row("3-not-found", Turn(MISS, Reply(404), shown=BASE)),
    row("3-not-found-from-the-store", stored(FRESH, status=404, shown=BASE), again(HIT, shown=BASE)),
    *[sent_on(f"4.4-{method}", method) for method in ("POST", "PUT", "DELETE", "PATCH", "PURGE")],
    sent_on("4.4-post-303", "POST", 303, ("Location", "/x")),
    sent_on("4.4-post-conflict", "POST", 409),
    row("9.3.7-options", stored(FRESH), Turn(MISS, method="OPTIONS", shown=BASE), again(HIT, of=1)),
    row(
        "15.2-interim",
        Turn(MISS, Reply(fields=(FRESH,), before=b"HTTP/1.1 103 Early Hints\r\n\r\n"), shown=BASE),
        again(HIT, shown=BASE),
    ),
]


@pytest.mark.parametrize("turns", CHARGED)
async def test_charges(metered: Scene, turns: Sequence[Turn]) -> None:
    await play(metered, turns)
