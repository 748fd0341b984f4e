"""The listener over real sockets: which requests reach the pipeline, in what order, and how it ends."""

import asyncio
import socket
from typing import cast

import pytest
from listener.doors import StubOwn, StubPipeline, door, target, text, until
from support.addresses import HOST

from gateway.config.schema import Limits
from gateway.errors import BadStart
from gateway.health import Health
from gateway.listener.binding import bound
from gateway.listener.connection import Connection
from gateway.listener.server import Listener
from gateway.messages import Answer, Request
from gateway.own import Own
from gateway.pipeline import Pipeline


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with door(target) as opened, await opened.connect() as client:
        for number in range(30):
            client.request("GET", f"/{number}")
        assert [(await client.answer()).body for _ in range(30)] == [b"/%d" % number for number in range(30)]


async def test_health_is_answered_without_the_pipeline() -> None:
    async with door(target) as opened, await opened.connect() as client:
        client.request("GET", "/-/livez")
        assert (await client.answer()).body == b"ok\n"
        client.request("GET", "/-/readyz")
        assert (await client.answer()).status == 503
        assert not opened.pipeline.requests


async def test_the_gateways_own_resources_are_answered_without_the_pipeline() -> None:
    async with door(target, target=256) as opened, await opened.connect() as client:
        client.request("GET", "/-/mine?a=1")
        assert (await client.answer()).body == b"GET /-/mine?a=1"
        client.request("HEAD", "/-/mine")
        headed = await client.answer("HEAD")
        assert (headed.status, headed.field("Content-Length"), headed.body) == (200, "12", b"")
        client.request("GET", "/-/mine?" + "a" * 300)
        assert (await client.answer()).status == 414
        assert not opened.pipeline.requests


async def test_a_request_says_where_it_came_from() -> None:
    async with door(target) as opened, await opened.connect() as client:
        client.request("GET", "/a?b=%20", "X-Odd: \xff")
        await client.answer()
    (request,) = opened.pipeline.requests
    assert (request.method, request.target, request.peer, request.body) == ("GET", "/a?b=%20", HOST, None)
    assert request.fields["X-Odd"].encode("utf-8", "surrogateescape") == b"\xff"


@pytest.mark.parametrize(
    ("version", "fields", "closes"),
    [
        ("1.1", "", False),
        ("1.1", "Connection: close\r\n", True),
        ("1.0", "", True),
        ("1.0", "Connection: keep-alive\r\n", True),
    ],
)
async def test_which_requests_are_their_connections_last(version: str, fields: str, closes: bool) -> None:
    async with door(target) as opened, await opened.connect() as client:
        client.send(f"GET /a HTTP/{version}\r\nHost: a\r\n{fields}\r\n".encode())
        answer = await client.answer()
        assert (answer.field("Connection") == "close", answer.body) == (closes, b"/a")
        if closes:
            assert await client.ended() == b""


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        ("GET /" + "a" * 300 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, b"target_too_long"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A: " + "s3cret" * 200 + "\r\n\r\n", 431, b"fields_too_large"),
        ("GET / HTTP/1.1\r\nHost: a\r\n" + "X-A: b\r\n" * 300 + "\r\n", 431, b"fields_too_large"),
        ("GET / HTTP/1.1\r\nHost: a\r\n" + "X-Abc: b\r\n" * 120 + "\r\n", 431, b"fields_too_large"),
        ("GET / HTTP/1.1\r\nHost : s3cret\r\n\r\n", 400, b"malformed_request"),
        ("GET / HTTP/1.1\r\nContent-Length: s3cret\r\n\r\n", 400, b"malformed_request"),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400, b"malformed_request"),
        ("s3cret\r\n\r\n", 400, b"malformed_request"),
        ("GET / HTTP/9.s3cret\r\n\r\n", 400, b"malformed_request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413, b"body_too_large"),
    ],
    ids=[
        "long target",
        "long field",
        "many fields",
        "large section",
        "space",
        "length",
        "two framings",
        "line",
        "version",
        "content",
    ],
)
async def test_heads_that_are_refused_echo_nothing_and_end_the_connection(
    head: str, status: int, reason: bytes
) -> None:
    async with (
        door(target, target=256, fields=1024, body=1000, body_timeout=0.05) as opened,
        await opened.connect() as client,
    ):
        client.send(head.encode())
        answer = await client.answer()
        assert (answer.status, answer.body, answer.field("Connection")) == (status, reason, "close")
        assert await client.ended() == b""
    assert not opened.pipeline.requests


@pytest.mark.parametrize(("fields", "status"), [(1600, 431), (1700, 200)], ids=["over", "within"])
@pytest.mark.parametrize("cut", [0, 800], ids=["whole", "in two"])
async def test_fields_count_the_same_however_they_arrive(fields: int, status: int, cut: int) -> None:
    """A line may take a byte less than its field counts for, so that a head shorter than the limit may be over it."""
    head = b"GET /a HTTP/1.1\r\nHost:a\r\n" + b"a:bbbbbbbbbbb\r\n" * 100 + b"\r\n"
    assert len(head) < 1600 < len("Hosta") + 4 + 100 * (len("abbbbbbbbbbb") + 4) < 1700
    async with door(target, fields=fields) as opened, await opened.connect() as client:
        client.request("GET", "/b")
        await client.answer()
        (connection,) = opened.listener._protocols.connections
        if cut:
            client.send(head[:cut])
            await until(lambda: cast("Connection", connection)._head_timer is not None)
        client.send(head[cut:])
        assert (await client.answer()).status == status


async def test_a_drain_answers_what_was_accepted_and_says_so() -> None:
    gate = asyncio.Event()

    async def late(request: Request) -> Answer:
        await gate.wait()
        return text(b"late")

    async with door(late) as opened, await opened.connect() as busy, await opened.connect() as idle:
        busy.request("GET", "/a")
        await opened.pipeline.arrived.wait()
        draining = asyncio.create_task(opened.listener.drain())
        assert await idle.ended() == b""
        gate.set()
        answer = await busy.answer()
        assert (answer.body, answer.field("Connection")) == (b"late", "close")
        await draining
        with pytest.raises(OSError, match="Connect call failed"):
            await opened.connect()


async def test_a_drain_answers_every_pipelined_request() -> None:
    """The first answer said that it was the last, and those behind it were dropped."""
    gate = asyncio.Event()

    async def late(request: Request) -> Answer:
        await gate.wait()
        return text(request.target.encode())

    async with door(late) as opened, await opened.connect() as client:
        for number in range(3):
            client.request("GET", f"/{number}")
        await opened.pipeline.arrived.wait()
        draining = asyncio.create_task(opened.listener.drain())
        await until(lambda: opened.listener.draining)
        gate.set()
        answers = [await client.answer() for _ in range(3)]
        assert [answer.body for answer in answers] == [b"/0", b"/1", b"/2"]
        assert [answer.field("Connection") for answer in answers] == [None, None, "close"]
        await draining


async def test_a_request_the_kernel_holds_when_the_drain_begins_is_answered() -> None:
    """It was accepted, then closed as idle before its first byte was read."""
    async with door(target) as opened:
        with socket.create_connection(opened.address) as client:
            client.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            await opened.listener.drain()
            client.settimeout(20)
            assert client.recv(1 << 16).endswith(b"\r\n\r\n/held")


async def test_a_drain_waits_for_those_whose_client_has_left() -> None:
    """Their ledger and upstream were closed under them."""
    gate, ended = asyncio.Event(), asyncio.Event()

    async def late(request: Request) -> Answer:
        await gate.wait()
        ended.set()
        return text(b"")

    async with door(late) as opened:
        async with await opened.connect() as client:
            client.request("GET", "/a")
            await opened.pipeline.arrived.wait()
        draining = asyncio.create_task(opened.listener.drain())
        await until(lambda: opened.listener.draining)
        assert not draining.done()
        gate.set()
        await draining
        assert ended.is_set()


async def test_an_unread_upload_does_not_hold_a_drain_up_once_its_client_has_left() -> None:
    async with door(target) as opened, await opened.connect() as client:
        client.request("POST", "/a", "Content-Length: 1000")
        assert (await client.answer()).status == 200
        client.hang_up()
        await opened.empty()


async def test_connections_beyond_the_limits_are_closed_and_leave_room_when_others_end() -> None:
    async with door(target, connections=10, connections_per_address=2) as opened:
        async with await opened.connect() as first, await opened.connect() as second:
            for client in (first, second):
                client.request("GET", "/a")
                assert (await client.answer()).status == 200
            async with await opened.connect() as third:
                assert await third.ended() == b""
        await opened.empty()
        async with await opened.connect() as again:
            again.request("GET", "/b")
            assert (await again.answer()).body == b"/b"


@pytest.mark.parametrize(
    ("address", "limit", "admitted"),
    [
        pytest.param("127.0.0.1", None, 700, id="this machine"),
        pytest.param("192.0.2.1", None, 500, id="elsewhere"),
        pytest.param("10.0.0.1", None, 700, id="trusted"),
        pytest.param("127.0.0.1", 2, 2, id="this machine, limited"),
        pytest.param("10.0.0.1", 2, 700, id="trusted, limited"),
    ],
)
async def test_how_many_connections_an_address_may_have(address: str, limit: int | None, admitted: int) -> None:
    limits = Limits().model_copy(update={"connections": 700, "connections_per_address": limit})
    pipeline, own = cast("Pipeline", StubPipeline(target)), cast("Own", StubOwn())
    listener = Listener(pipeline, Health({}), own, limits, ("10.0.0.0/8",))
    while listener.admits(address):
        listener.census.arrive(address)
    assert listener.census.total == admitted


async def test_what_is_not_handed_on_keeps_its_request_id_and_accept() -> None:
    async with door(target) as opened, await opened.connect() as client:
        client.request("GET", "/-/nowhere", "X-Request-Id: mine")
        assert (await client.answer()).status == 404
        assert opened.pipeline.unread is not None
        assert opened.pipeline.unread["X-Request-Id"] == "mine"


async def test_a_taken_port_is_one_clear_line() -> None:
    with bound(HOST, 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadStart, match=f"cannot listen on {HOST}:{port}: Address already in use"):
            bound(HOST, port)


async def test_a_shared_port_is_taken_by_those_alone_that_share_it() -> None:
    with bound(HOST, 0, shared=True) as first:
        first.listen()
        port = first.getsockname()[1]
        with bound(HOST, port, shared=True) as second:
            second.listen()
        with pytest.raises(BadStart):
            bound(HOST, port)


async def test_a_failure_of_the_pipelines_own_is_a_500_that_says_nothing() -> None:
    async def failing(request: Request) -> Answer:
        raise ZeroDivisionError("s3cret")

    async with door(failing) as opened, await opened.connect() as client:
        client.request("GET", "/a")
        answer = await client.answer()
        assert (answer.status, answer.body) == (500, b"internal_error")
