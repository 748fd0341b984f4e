"""Answers on the wire: their framing (RFC 9112 §6), slow readers, and streams that end before their time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from listener.doors import Respond, Source, door, text, until
from support.wire import values

from gateway.errors import Problem, Reason
from gateway.messages import Answer, Request

pytestmark = pytest.mark.slow

MIB = 1 << 20


def always(answer: Answer) -> Respond:
    async def respond(request: Request) -> Answer:
        return answer

    return respond


@pytest.mark.parametrize("size", [0, 1, 64 << 10, (64 << 10) + 1, 5 * MIB])
async def test_a_whole_body_arrives_whole(size: int) -> None:
    async with door(always(text(b"x" * size))) as opened, await opened.connect() as client:
        for _ in range(2):
            client.request("GET", "/")
            answer = await client.answer()
            assert (answer.field("Content-Length"), answer.body) == (str(size), b"x" * size)


@pytest.mark.parametrize(
    ("status", "method", "length"),
    [(200, "HEAD", "5"), (204, "GET", None), (304, "GET", None), (404, "HEAD", "5")],
)
async def test_heads_without_content(status: int, method: str, length: str | None) -> None:
    """RFC 9110 §8.6, §9.3.2; what follows on the connection must not be taken for content."""

    async def respond(request: Request) -> Answer:
        return text(b"" if status in (204, 304) else b"12345", status)

    async with door(respond) as opened, await opened.connect() as client:
        for _ in range(2):
            client.request(method, "/")
            answer = await client.answer(method)
            assert (answer.status, answer.field("Content-Length")) == (status, length)


@pytest.mark.parametrize(
    ("status", "length", "framing"),
    [
        (200, 8, (["8"], [])),
        (200, None, ([], ["chunked"])),
        (204, None, ([], [])),
        (304, None, ([], [])),
    ],
)
async def test_a_streams_framing(status: int, length: int | None, framing: tuple[list[str], list[str]]) -> None:
    sources: list[Source] = []

    async def respond(request: Request) -> Answer:
        sources.append(Source((b"half", b"", b"more") if status == 200 else ()))
        return sources[-1].answer(status, length)

    async with door(respond) as opened, await opened.connect() as client:
        for _ in range(2):
            client.request("GET", "/")
            answer = await client.answer()
            assert (answer.status, answer.body) == (status, b"halfmore" if status == 200 else b"")
            assert (values(answer.fields, "Content-Length"), values(answer.fields, "Transfer-Encoding")) == framing
    assert all(source.closed.is_set() for source in sources)


async def test_http_1_0_gets_a_stream_of_unknown_length_up_to_the_close() -> None:
    async with door(always(Source((b"half", b"more")).answer())) as opened, await opened.connect() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        answer = await client.answer()
        assert (answer.body, answer.field("Connection")) == (b"halfmore", "close")
        assert not values(answer.fields, "Transfer-Encoding")


async def test_a_stream_is_not_read_for_a_head() -> None:
    """All of a large answer was fetched for a HEAD, and the connection was busy until then."""
    source = Source((asyncio.Event(),))
    async with door(always(source.answer(length=10 * MIB))) as opened, await opened.connect() as client:
        client.request("HEAD", "/")
        assert (await client.answer("HEAD")).field("Content-Length") == str(10 * MIB)
        await asyncio.wait_for(source.closed.wait(), 20)


@pytest.mark.parametrize("length", [None, 100])
@pytest.mark.parametrize("error", [Problem(Reason.upstream_truncated), ZeroDivisionError()], ids=["problem", "bug"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_stream_that_breaks_is_cut_for_the_client_too(
    length: int | None, error: Exception, version: str
) -> None:
    source = Source((b"half", error))
    async with door(always(source.answer(length=length))) as opened, await opened.connect() as client:
        client.send(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        try:
            assert not (await client.answer()).complete
        except ConnectionError:
            assert (version, length) == ("1.0", None)
        await asyncio.wait_for(source.closed.wait(), 20)


async def test_a_client_that_hangs_up_on_a_silent_stream_ends_it() -> None:
    """It held its place at the upstream until the upstream spoke again."""
    source = Source((b"half", asyncio.Event()))
    async with door(always(source.answer())) as opened, await opened.connect() as client:
        client.request("GET", "/")
        await client.reader.readuntil(b"half")
        client.hang_up()
        await asyncio.wait_for(source.closed.wait(), 20)
        await opened.empty()


async def test_a_stream_that_nobody_takes_any_more_is_closed() -> None:
    """Its client left before the head: nothing of the stream was ever read, and it was never closed."""
    source, gate = Source((b"half",)), asyncio.Event()

    async def respond(request: Request) -> Answer:
        await gate.wait()
        return source.answer()

    async with door(respond) as opened, await opened.connect() as client:
        client.request("GET", "/")
        await opened.pipeline.arrived.wait()
        client.hang_up()
        (connection,) = opened.listener._protocols.connections
        await until(lambda: connection.transport is None)
        gate.set()
        await asyncio.wait_for(source.closed.wait(), 20)


async def test_a_slow_reader_of_a_stream_is_cut_off_and_little_is_read_ahead_for_it() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * MIB

    source = Source(())
    answer = Answer(200, "", b"", chunks=endless(), close=source.close)
    async with door(always(answer), write_timeout=0.2) as opened, await opened.connect() as client:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        client.request("GET", "/")
        await asyncio.wait_for(source.closed.wait(), 20)
        await opened.empty()
    assert taken < 32


async def test_a_slow_reader_of_a_whole_body_is_cut_off() -> None:
    async with door(always(text(b"x" * 32 * MIB)), write_timeout=0.2) as opened, await opened.connect() as client:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        client.request("GET", "/")
        await opened.pipeline.arrived.wait()
        await opened.empty()


async def test_a_client_that_never_takes_the_last_answers_is_cut_off() -> None:
    """Less than makes the transport pause was still to be sent, and closing waited for the client for ever."""
    body = text(b"x" * (60 << 10))
    async with door(always(body), write_timeout=0.2) as opened, await opened.connect() as client:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        (connection,) = await _connections(opened.listener._protocols)
        while not connection.get_write_buffer_size():
            client.request("GET", "/")
            await asyncio.sleep(0)
        client.request("GET", "/", "Connection: close")
        await opened.empty()


async def _connections(server: web.Server) -> list[asyncio.Transport]:
    """The transports of the server's connections, once there are any."""
    await until(lambda: server.connections)
    return [connection.transport for connection in server.connections if connection.transport is not None]
