"""Request heads, and what aiohttp's C parser, as the listener sets it, reads from them."""

import asyncio
from collections.abc import Iterable
from typing import cast

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

_LOOP = asyncio.new_event_loop()
_LOOP.close()


def head(line: str, *lines: str, host: str = "gw.example") -> bytes:
    """One head with this request line, Host and the other field lines."""
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


def all_parsed(data: bytes) -> list[RawRequestMessage]:
    """Every head that is complete in `data`; raises HttpProcessingError."""
    parser = HttpRequestParser(
        BaseProtocol(_LOOP),
        _LOOP,
        1 << 16,
        max_line_size=8 << 10,
        max_field_size=32 << 10,
        max_headers=256,
        payload_exception=web.RequestPayloadError,
        auto_decompress=False,
        max_msg_queue_size=16,
    )
    messages, _, _ = parser.feed_data(data)
    return [cast("RawRequestMessage", message) for message, _ in cast("Iterable[tuple[object, object]]", messages)]


def parsed(data: bytes) -> RawRequestMessage:
    """The one head that `data` is; raises HttpProcessingError and ValueError for anything else."""
    (message,) = all_parsed(data)
    return message


def is_refused(data: bytes) -> bool:
    """Whether the parser takes it for no request."""
    try:
        all_parsed(data)
    except HttpProcessingError:
        return True
    return False
