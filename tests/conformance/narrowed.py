"""Rows of a stored whole that a client asks a part of (RFC 9110 §14), for the tables that have them."""

from collections.abc import Sequence
from typing import Any

from conformance.exchange import HIT, Field, Value, again, cc, etag, modified, row, stored

FRESH = cc("max-age=600")
A = etag('"a"')
HOUR = modified(3600)
TEN = b"0123456789"


def wanted(value: str) -> tuple[Field, ...]:
    return (("Range", value),)


def provided(value: Value) -> tuple[Field, ...]:
    return (("If-Range", value),)


def part(
    name: str, value: str, got: bytes, content_range: str, *kept: Field, asks: Sequence[Field] = (), **shown: Any
) -> Any:
    """206 from the store; afterwards it still is the whole that is stored."""
    fields = {field.replace("_", "-"): expected for field, expected in shown.items()}
    fields |= {"Content-Range": content_range, "Content-Length": str(len(got))}
    return row(
        name,
        stored(FRESH, *(kept or (A, HOUR)), content=TEN),
        again(HIT, asks=(*wanted(value), *asks), status=206, got=got, shown=fields),
        again(HIT, got=TEN),
    )


def whole(name: str, *asks: Field, kept: Sequence[Field] = (A, HOUR), method: str = "GET") -> Any:
    """200 from the store, all of it."""
    return row(
        name,
        stored(FRESH, *kept, content=TEN),
        again(HIT, asks=asks, method=method, shown={"Content-Range": None, "Content-Length": "10"}),
    )
