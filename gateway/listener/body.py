"""A request's content as the pipeline reads it: bounded in size, each piece under a deadline."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.hdrs import CONTENT_LENGTH, TRANSFER_ENCODING
from aiohttp.http import HttpVersion11

from gateway.config.schema import Limits
from gateway.errors import Problem, Reason
from gateway.messages import Fields


def declared_body(fields: Fields) -> bool:
    """Whether the head announces content (RFC 9112 §6.3)."""
    return fields.get(CONTENT_LENGTH, "0") != "0" or TRANSFER_ENCODING in fields


def refuse_oversized(fields: Fields, limits: Limits) -> None:
    """Raise 413 before anything is read where the declared length is over `limits.body`."""
    length = fields.get(CONTENT_LENGTH, "0")
    if length.isdecimal() and int(length) > limits.body:
        raise Problem(Reason.body_too_large)


async def read_body(request: web.BaseRequest, limits: Limits) -> AsyncIterator[bytes]:
    """The content in pieces; asks for it first where the client waits for that (`Expect: 100-continue`).

    Raises Problem(body_too_large) past `limits.body`, Problem(request_timeout) when a piece takes longer than
    `limits.body_timeout`, Problem(malformed_request) when it breaks off.
    """
    _invite(request)
    left = limits.body
    while chunk := await _piece(request, limits.body_timeout):
        left -= len(chunk)
        if left < 0:
            raise Problem(Reason.body_too_large)
        yield chunk


async def _piece(request: web.BaseRequest, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await request.content.readany()
    except TimeoutError:
        raise Problem(Reason.request_timeout, "The request's content stopped arriving.") from None
    except (web.RequestPayloadError, OSError):
        raise Problem(Reason.malformed_request, "The request's content broke off.") from None


def _invite(request: web.BaseRequest) -> None:
    """RFC 9110 §10.1.1: an interim answer, unless the content is already arriving."""
    expects = request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue"
    if expects and request.transport is not None and not request.content.total_bytes:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
