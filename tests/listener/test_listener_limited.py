"""A client connection's limits: the deadline of a head, and who is counted how long."""

import asyncio

import pytest
from listener.doors import door, echo, target, text
from support.wire import Connection

from gateway.messages import Answer, Request


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "], ids=len)
async def test_a_head_that_does_not_arrive_in_time_ends_its_connection(sent: bytes) -> None:
    async with door(target, head_timeout=0.05) as opened, await opened.connect() as client:
        client.send(sent)
        assert await client.ended() == b""
        await opened.empty()


async def test_the_second_head_has_a_deadline_too() -> None:
    async with door(target, head_timeout=0.05) as opened, await opened.connect() as client:
        client.request("GET", "/a")
        assert (await client.answer()).status == 200
        client.send(b"GET /b HT")
        assert await client.ended() == b""


async def test_a_head_begun_behind_a_whole_one_has_a_deadline() -> None:
    async with door(target, head_timeout=0.05) as opened, await opened.connect() as client:
        client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HT")
        assert (await client.answer()).status == 200
        assert await client.ended() == b""


async def test_content_that_is_malformed_behind_its_head_is_told_at_once() -> None:
    """It was read on until the body's deadline, and then called late."""
    async with door(echo) as opened, await opened.connect() as client:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await opened.pipeline.arrived.wait()
        client.send(b"zz\r\n")
        assert (await client.answer()).status == 400


async def test_malformed_content_is_not_logged_as_a_failure_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Any client could fill the log with tracebacks."""
    async with door(echo) as opened, await opened.connect() as client:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await opened.pipeline.arrived.wait()
        client.send(b"zz\r\n")
        assert (await client.answer()).status == 400
        assert await client.ended() == b""
        await opened.empty()
    assert not caplog.records


async def test_a_client_that_has_sent_all_it_will_still_gets_its_answers() -> None:
    async with door(target) as opened, await opened.connect() as client:
        client.request("GET", "/a")
        client.request("GET", "/b")
        client.finish()
        assert [(await client.answer()).body for _ in range(2)] == [b"/a", b"/b"]
        assert await client.ended() == b""
        await opened.empty()


async def test_a_tunnel_is_refused_and_what_follows_is_not_read() -> None:
    async with door(target) as opened, await opened.connect() as client:
        client.send(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.answer()).status == 501
        await client.ended()
        assert opened.pipeline.requests == []


async def test_an_answer_may_take_longer_than_a_head() -> None:
    gate = asyncio.Event()

    async def late(request: Request) -> Answer:
        await gate.wait()
        return text(b"late")

    async with (
        door(late, head_timeout=0.02) as opened,
        await opened.connect() as busy,
        await opened.connect() as idle,
    ):
        busy.request("GET", "/a")
        assert await idle.ended() == b""
        gate.set()
        assert (await busy.answer()).body == b"late"


async def test_a_connection_counts_until_what_it_began_has_ended() -> None:
    gate = asyncio.Event()

    async def late(request: Request) -> Answer:
        await gate.wait()
        return text(b"")

    async with door(late) as opened:
        async with await opened.connect() as client:
            client.request("GET", "/a")
            await opened.pipeline.arrived.wait()
        async with await Connection.open(opened.address) as other:
            other.request("GET", "/-/livez")
            await other.answer()
            assert opened.listener.census.total == 2
            gate.set()
        await opened.empty()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_second_request_behind_a_malformed_one_is_not_read(version: str) -> None:
    async with door(target) as opened, await opened.connect() as client:
        client.send(f"BAD\r\n\r\nGET /smuggled HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        assert (await client.answer()).status == 400
        assert await client.ended() == b""
        assert not opened.pipeline.requests


CHUNKED = b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("apart", [False, True], ids=["in one piece", "in two"])
async def test_a_trailer_field_does_not_become_the_next_requests(apart: bool) -> None:
    content = b"2\r\nab\r\n0\r\nAuthorization: Bearer stolen\r\n\r\n"
    async with door(echo) as opened, await opened.connect() as client:
        client.send(CHUNKED + content + (b"" if apart else SECOND))
        answer = await client.answer()
        assert (answer.body, answer.field("Connection")) == (b"ab", "close")
        if apart:
            client.send(SECOND)
        assert await client.ended() == b""
        assert [request.target for request in opened.pipeline.requests] == ["/first"]
