"""What the operators' port bears: bytes that are no request, connections that ask nothing, failures of ours."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import StringIO

import pytest
import structlog
from aiohttp import web
from support.addresses import HOST, free_port
from support.in_process import no_gauges

from gateway.admin import Admin
from gateway.admin.content import read_order
from gateway.admin.endpoints import Endpoint
from gateway.health import Health
from gateway.keys.orders import Rotation
from gateway.metrics import Metrics

SECRET = b"operators-own-token"
ASKED = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

UNREADABLE = {
    "a space before the colon": b"GET /-/keys HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer %b\r\n\r\n",
    "a control character": b"GET /-/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\x01\r\n\r\n",
    "in the target": b"GET /-/keys?token=%b\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no method": b"%b\r\n\r\n",
}


@asynccontextmanager
async def opened(endpoints: Sequence[Endpoint] = ()) -> AsyncIterator[int]:
    port = free_port()
    admin = Admin(Metrics(no_gauges(), "0"), Health({}), SECRET.decode(), endpoints)
    await admin.open(HOST, port)
    try:
        yield port
    finally:
        await admin.close()


async def told(port: int, request: bytes) -> bytes:
    """All that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("request_", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_token_in_what_cannot_be_read_is_not_echoed(request_: bytes) -> None:
    async with opened() as port:
        answer = await told(port, request_ % SECRET)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b'"reason":"malformed"' in answer
    assert SECRET not in answer


async def test_content_that_is_not_coded_as_it_says_is_malformed() -> None:
    async def taken(request: web.Request) -> web.Response:
        await read_order(request, Rotation)
        return web.Response()

    lines = b"POST /-/order HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nConnection: close\r\n" % SECRET
    coded = lines + b"Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n{}x"
    async with opened([Endpoint("POST", "/-/order", taken, "Order.", Rotation, order=Rotation)]) as port:
        answer = await told(port, coded)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b'"reason":"malformed"' in answer


async def test_a_failure_of_ours_is_logged_and_tells_nothing() -> None:
    async def failing(request: web.Request) -> web.Response:
        raise RuntimeError("a bug")

    logged = StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(logged),
    )
    try:
        async with opened([Endpoint("GET", "/-/bug", failing, "Fail.", Rotation)]) as port:
            fields = b"Host: x\r\nAuthorization: Bearer %b\r\n" % SECRET
            answer = await told(port, b"GET /-/bug HTTP/1.1\r\n" + fields + b"\r\n")
    finally:
        structlog.configure(**before)
    assert b'"reason":"internal_error"' in answer
    assert b"a bug" not in answer
    assert "RuntimeError: a bug" in logged.getvalue()
    assert SECRET.decode() not in logged.getvalue()


@pytest.mark.parametrize("begun", [b"", b"GET /livez HT", ASKED], ids=["nothing", "half a head", "no more"])
async def test_a_connection_that_asks_nothing_ends(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.connection._LOOKS", 0.05)
    async with opened() as port, asyncio.timeout(10):
        answer = await told(port, begun)
    assert answer.count(b" 200 ") == (begun == ASKED)


async def test_there_are_only_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.connection._MOST", 1)
    async with opened() as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(ASKED)
        assert b" 200 " in await reader.readline()
        assert await told(port, b"") == b""
        writer.close()
