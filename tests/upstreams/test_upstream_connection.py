"""What a connection believes: whose answer it is, what is progress, how much a head may be, and when content is cut."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from math import inf

import pytest
from multidict import CIMultiDict
from support.early import EarlyUpstream
from support.polling import eventually
from support.scripts import End, Gate, answer, head
from support.upstream import ScriptedUpstream
from upstreams.clients import client, whole

from gateway.errors import Problem, Reason
from gateway.messages import Outgoing
from gateway.upstreams.connection import UpstreamConnection

CHUNKED = head(200, "Transfer-Encoding: chunked")


class Deaf(asyncio.Transport):
    """Takes what is written to it and says whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True

    def write(self, data: object) -> None:
        """Nobody reads it."""

    def writelines(self, list_of_data: Iterable[object]) -> None:
        """Nobody reads them."""


@pytest.fixture
async def connection() -> AsyncIterator[UpstreamConnection]:
    """One whose request was sent, under a read timeout that no test waits for."""
    waiting = UpstreamConnection(asyncio.get_running_loop())
    waiting.connection_made(Deaf())
    waiting.set_response_params(read_timeout=3600.0, read_until_eof=True)
    waiting.start_timeout()
    yield waiting
    waiting.connection_lost(None)


PROGRESS = {
    "half a status line": (b"", b"HTTP/1.1 2", False),
    "half a head": (b"HTTP/1.1 200 OK\r\n", b"X-A: a\r\n", False),
    "an interim answer": (b"", head(102), True),
    "a second interim answer": (head(102), head(102), True),
    "the head": (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 9\r\n\r\n", True),
    "content": (head(200, "Content-Length: 9"), b"a", True),
    "content until the close": (head(200), b"a", True),
    "a chunk": (CHUNKED, b"9\r\na", True),
    "half a chunk size": (CHUNKED, b"9", False),
    "a chunk extension": (CHUNKED + b"9;", b"a" * 9, False),
    "half a trailer": (CHUNKED + b"1\r\na\r\n0\r\n", b"X-A: a", False),
}


@pytest.mark.parametrize(("before", "data", "progress"), PROGRESS.values(), ids=PROGRESS.keys())
async def test_only_progress_holds_the_read_timeout_off(
    connection: UpstreamConnection, before: bytes, data: bytes, progress: bool
) -> None:
    if before:
        connection.data_received(before)
    connection.due = 0.0
    connection.data_received(data)
    assert bool(connection.due) is progress


async def test_no_answer_is_due_before_the_request_has_gone_whole() -> None:
    sending = UpstreamConnection(asyncio.get_running_loop())
    sending.connection_made(Deaf())
    sending.set_response_params(read_timeout=3600.0)
    sending.data_received(head(102))
    before = sending.due
    sending.start_timeout()
    assert (before, sending.due is None) == (None, False)
    sending.connection_lost(None)


async def test_the_whole_answer_ends_the_read_timeout(connection: UpstreamConnection) -> None:
    connection.data_received(answer("ok"))
    assert connection.due is None


async def test_a_request_sent_to_its_end_begins_the_read_timeout_anew(connection: UpstreamConnection) -> None:
    connection.data_received(b"HTTP/1.1 2")
    connection.due = 0.0
    connection.start_timeout()
    assert connection.due


async def test_a_timer_that_rings_too_early_is_set_anew(connection: UpstreamConnection) -> None:
    """It was set for an answer that has come; the one that is awaited by then has its whole time."""
    connection._alarm._rung()
    assert (connection._alarm.at, connection.exception()) == (connection.due, None)


async def test_a_timer_that_rings_in_time_ends_the_exchange(connection: UpstreamConnection) -> None:
    connection.due = 0.0
    connection._alarm._rung()
    assert isinstance(connection.exception(), TimeoutError)


async def test_a_timer_that_rings_when_nothing_is_due_is_not_set_again(connection: UpstreamConnection) -> None:
    connection.data_received(answer("ok"))
    connection._alarm._rung()
    assert connection._alarm.at == inf


@pytest.mark.parametrize("size", [1, 3 << 10, 64 << 10])
async def test_a_head_is_refused_past_256_kib(connection: UpstreamConnection, size: int) -> None:
    field = b"X-A: " + b"a" * (size % (48 << 10)) + b"\r\n"
    connection.data_received(b"HTTP/1.1 200 OK\r\n")
    sent = 0
    while connection.exception() is None:
        connection.data_received(field)
        sent += len(field)
    assert sent <= (256 << 10) + len(field)
    assert isinstance(connection.transport, Deaf)
    assert connection.transport.closed


async def test_the_content_is_no_part_of_that(connection: UpstreamConnection) -> None:
    connection.data_received(answer(b"a" * (1 << 20)))
    assert connection.exception() is None


async def test_an_answer_that_nobody_waits_for_ends_its_connection(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/a", answer("own"), gate, answer("foreign"))
    async with client(upstream.url) as to:
        assert await to.get("/a") == b"own"
        gate.open()
        await asyncio.to_thread(eventually, lambda: not upstream.kept)
        upstream.script("/b", answer("next"))
        assert await to.get("/b") == b"next"


@pytest.mark.parametrize("answered", [answer(b"own"), head(204), CHUNKED + b"0\r\n\r\n"], ids=["200", "204", "chunked"])
@pytest.mark.parametrize("unasked", [b"\r\n", b"HTTP/1.1 408 Requ", answer()], ids=["an empty line", "half", "whole"])
async def test_whatever_nobody_waits_for_ends_its_connection(
    connection: UpstreamConnection, answered: bytes, unasked: bytes
) -> None:
    connection.data_received(answered)
    transport = connection.transport
    assert isinstance(transport, Deaf)
    assert not transport.closed
    connection.data_received(unasked)
    assert transport.closed


async def test_what_was_not_read_yet_when_the_next_request_goes_out_is_not_its_answer(
    upstream: ScriptedUpstream,
) -> None:
    """RFC 9112 §9.2: it came while no request was outstanding."""
    gate = Gate()
    upstream.script("/a", answer("own"), gate, answer("foreign"))
    upstream.script("/b", answer("next"))
    async with client(upstream.url) as to:
        assert await to.get("/a") == b"own"
        gate.open()
        # Blocks the event loop on purpose: it must not read meanwhile.
        upstream.wait(lambda: not upstream.in_flight["/a"])
        assert await to.get("/b") == b"next"
    assert upstream.connections == 2


async def test_a_kept_connection_that_has_ended_is_not_tried(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/a", answer("first"), gate, End.close)
    async with client(upstream.url) as to:
        assert await to.get("/a") == b"first"
        gate.open()
        upstream.wait(lambda: not upstream.in_flight["/a"])
        assert await to.get("/b")
        assert to.counts.retries == 0


async def test_a_bad_chunk_breaks_the_content(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/a", CHUNKED, gate, b"zz\r\nshort\r\n")
    async with client(upstream.url) as to:
        stream = await to.send("/a")
        gate.open()
        with pytest.raises(Problem):
            await whole(stream)
        assert to.counts.exchanges == {"invalid": 1}


async def test_a_reset_breaks_content_that_a_close_would_end(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/a", head(200) + b"half", gate, End.reset)
    async with client(upstream.url) as to:
        stream = await to.send("/a")
        gate.open()
        with pytest.raises(Problem) as caught:
            await whole(stream)
        assert caught.value.reason is Reason.upstream_truncated
        assert to.counts.exchanges == {"truncated": 1}


@pytest.mark.parametrize("target", ["/a", "/a/close"], ids=["kept", "closed"])
async def test_an_answer_may_come_before_the_requests_content_has_gone(target: str) -> None:
    """What is still to be sent of it must not be taken for the next request."""

    async def stalled() -> AsyncIterator[bytes]:
        yield b"GET /smuggled HTTP/1.1\r\n\r\n"
        await asyncio.Event().wait()

    with EarlyUpstream() as early:
        async with client(early.url) as to:
            stream = await to.upstream.send(Outgoing("POST", target, CIMultiDict(), stalled()))
            assert await whole(stream) == f"POST {target} HTTP/1.1".encode()
            assert await to.get("/b") == b"GET /b HTTP/1.1"
