"""Stored responses to fill stores with."""

from typing import Any, TypedDict, Unpack

from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse, Terms


class Parts(TypedDict, total=False):
    """What a test may want to be different in a sample."""

    body: bytes
    began: float
    etag: str | None
    forced: bool
    groups: tuple[str, ...]
    head: bytes
    received: float
    selecting: tuple[tuple[str, str], ...]
    splice: Splice | None
    terms: Terms


def sample(key: str = "api /v1/products/1", **parts: Unpack[Parts]) -> StoredResponse:
    """A stored response under `key`, received one second after its fetch began unless said otherwise."""
    given: dict[str, Any] = {
        "body": b'{"title":"Cookware"}',
        "began": 1000.0,
        "etag": '"v1"',
        "head": b"Content-Type: application/json\r\n",
        "selecting": (),
        "terms": Terms(lifetime=60.0),
        **parts,
    }
    given.setdefault("received", given["began"] + 1)
    return StoredResponse(
        key=key, status=200, reason="OK", last_modified=None, initial_age=given["received"] - given["began"], **given
    )


def variant(language: str) -> tuple[tuple[str, str], ...]:
    """Selecting header fields of a response that varies on Accept-Language."""
    return (("accept-language", language),)
