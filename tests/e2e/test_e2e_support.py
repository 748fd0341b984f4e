"""The suites' own instruments: a scripted upstream that cannot lie on demand proves nothing."""

import asyncio
import gc
import socket
import threading
from contextlib import suppress

import pytest
from support.addresses import HOST, free_port, unanswering
from support.answers import cache_status
from support.polling import PATIENCE
from support.scripts import End, Endless, Gate, answer, head
from support.upstream import ScriptedUpstream
from support.wire import Connection, exchange


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


async def test_exact_bytes_leave_and_every_request_is_recorded(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", answer("hello", X_Odd="yes"))
    async with await Connection.open((HOST, upstream.port)) as connection:
        connection.request("POST", "/a?q=1", "X-One: 1", "Content-Length: 4", body=b"body")
        first = await connection.answer()
        connection.send(get("/b"))
        second = await connection.answer()
    assert (first.status, first.field("x-odd"), first.body) == (200, "yes", b"hello")
    assert second.json() == {"path": "/b", "call": 1}
    (received,) = upstream.calls("/a")
    assert (received.method, received.target, received.body) == ("POST", "/a?q=1", b"body")
    assert received.field("X-One") == "1"


async def test_queued_scripts_come_before_the_standing_one(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", answer("standing"))
    upstream.then("/a", answer("first"))
    upstream.then("/a", lambda request: answer(f"call {request.call}"))
    bodies = [(await exchange((HOST, upstream.port), get("/a"))).body for _ in range(3)]
    assert bodies == [b"first", b"call 2", b"standing"]


@pytest.mark.parametrize("end", [End.close, End.reset])
async def test_a_cut_answer_is_incomplete(upstream: ScriptedUpstream, end: End) -> None:
    upstream.script("/a", head(200, "Content-Length: 10"), b"half", end)
    cut = await exchange((HOST, upstream.port), get("/a"))
    assert not cut.complete
    assert b"half".startswith(cut.body)


async def test_a_gate_holds_answers_until_it_is_opened(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/a", gate, answer("late"))
    held = [asyncio.create_task(exchange((HOST, upstream.port), get("/a"))) for _ in range(3)]
    await upstream.arrived("/a", 3)
    assert upstream.in_flight["/a"] == 3
    assert not any(task.done() for task in held)
    gate.open()
    assert {reply.body for reply in await asyncio.gather(*held)} == {b"late"}
    assert upstream.peak["/a"] == 3


async def test_an_endless_body_ends_with_its_reader(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", head(200), Endless(b"x" * 1000))
    async with await Connection.open((HOST, upstream.port)) as connection:
        connection.send(get("/a"))
        await connection.head()
        assert await connection.reader.readexactly(100_000)
        connection.hang_up()
    await asyncio.to_thread(upstream.wait, lambda: upstream.in_flight["/a"] == 0)


async def test_a_refusing_upstream_listens_again_on_its_port(upstream: ScriptedUpstream) -> None:
    port = upstream.port
    upstream.refuse()
    with pytest.raises(ConnectionRefusedError):
        await Connection.open((HOST, port))
    upstream.accept()
    assert upstream.port == port
    assert (await exchange((HOST, port), get("/a"))).status == 200


def test_what_is_accepted_as_it_refuses_is_closed(upstream: ScriptedUpstream) -> None:
    """Its transport was left to the garbage collector, whose warning failed whatever test it came in."""
    accepting = threading.Event()
    upstream._loop.call_soon_threadsafe(accepting.wait)
    with socket.create_connection((HOST, upstream.port), PATIENCE) as client:
        refusing = asyncio.run_coroutine_threadsafe(upstream._close(), upstream._loop)
        accepting.set()
        refusing.result(PATIENCE)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    gc.collect()


async def test_nobody_listens_on_a_free_port() -> None:
    with pytest.raises(ConnectionRefusedError):
        await Connection.open((HOST, free_port()))


async def test_an_unanswering_port_neither_accepts_nor_refuses() -> None:
    with unanswering() as port:
        attempt = asyncio.create_task(Connection.open((HOST, port)))
        done, _ = await asyncio.wait([attempt], timeout=0.1)
        assert not done
        attempt.cancel()
        await asyncio.wait([attempt])


def test_the_gateways_member_is_the_last_one() -> None:
    status = cache_status('origin; hit, gateway; fwd=stale; fwd-status=200; stored; detail="a; b, c"')
    assert (status.fwd, status.stored, status.hit, status.detail) == ("stale", True, False, "a; b, c")
