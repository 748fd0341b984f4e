"""Bodies on their way from outside (RFC 9112 §6, §7): streamed in both directions, framed anew, cut when cut."""

import asyncio
from collections.abc import Iterator
from hashlib import sha256

import pytest
from support.config import KEY, config, route
from support.config import origin as own
from support.gateway import RunningGateway, StartGateway
from support.load import connections
from support.polling import eventually
from support.scripts import End, Endless, Gate, Received, head
from support.upstream import ScriptedUpstream
from support.wire import Connection, exchange, values

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"
MIB = 1 << 20


@pytest.fixture(scope="module")
def passing(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    whole = config(origin.url, route("/{rest:.*}", "all"), limits={"body": "100MiB"})
    with RunningGateway(tmp_path_factory.mktemp("passing"), whole, alone=True) as running:
        yield running


async def test_an_upload_streams(passing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    """The upstream has the first half before the client has sent the second."""
    async with await Connection.open(passing.address) as connection:
        connection.request("PUT", f"/{item}", AUTHORIZED, "Content-Length: 200000", body=b"a" * 100_000)
        (received,) = await origin.arrived(f"/{item}")
        await asyncio.to_thread(eventually, lambda: received.size == 100_000)
        connection.send(b"b" * 100_000)
        assert (await connection.answer()).status == 200
    assert (received.size, received.complete) == (200_000, True)
    assert received.field("Content-Length") == "200000"


async def test_a_download_streams(passing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    """The client has the first half before the upstream has sent the second."""
    gate = Gate()
    origin.script(f"/{item}", head(200, "Content-Length: 8"), b"half", gate, b"more")
    async with await Connection.open(passing.address) as connection:
        connection.request("GET", f"/{item}", AUTHORIZED)
        status, fields = await connection.head()
        assert (status, values(fields, "Content-Length")) == (200, ["8"])
        assert await asyncio.wait_for(connection.reader.readexactly(4), 20) == b"half"
        gate.open()
        assert await asyncio.wait_for(connection.reader.readexactly(4), 20) == b"more"


async def test_a_chunked_upload_with_trailers(passing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    async with await Connection.open(passing.address) as connection:
        body = b"4;ext=1\r\nbody\r\n5\r\n text\r\n0\r\nX-Trailer: 1\r\n\r\n"
        connection.request(
            "POST", f"/{item}", AUTHORIZED, "Transfer-Encoding: chunked", "Trailer: X-Trailer", body=body
        )
        assert (await connection.answer()).status == 200
        assert await connection.ended() == b""
    assert origin.calls(f"/{item}")[0].body == b"body text"


@pytest.mark.parametrize("trailer", [b"", b"X-Trailer: 1\r\n"], ids=["plain", "trailers"])
async def test_a_chunked_download(passing: RunningGateway, origin: ScriptedUpstream, item: str, trailer: bytes) -> None:
    origin.script(f"/{item}", head(200, "Transfer-Encoding: chunked") + b"4\r\nbody\r\n0\r\n" + trailer + b"\r\n")
    async with await Connection.open(passing.address) as connection:
        for _ in range(2):
            connection.request("GET", f"/{item}", AUTHORIZED)
            reply = await connection.answer()
            assert (reply.status, reply.body, reply.complete) == (200, b"body", True)


async def test_a_close_delimited_download(passing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/{item}", head(200), b"body", End.close)
    async with await Connection.open(passing.address) as connection:
        connection.request("GET", f"/{item}", AUTHORIZED)
        reply = await connection.answer()
    assert (reply.body, reply.complete) == (b"body", True)


async def test_expect_100_continue(passing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    async with await Connection.open(passing.address) as connection:
        connection.request("POST", f"/{item}", AUTHORIZED, "Content-Length: 4", "Expect: 100-continue")
        assert (await connection.head())[0] == 100
        connection.send(b"body")
        assert (await connection.answer()).status == 200
    assert origin.calls(f"/{item}")[0].body == b"body"


async def test_http_1_0_clients_get_a_whole_answer_and_the_end(
    passing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/{item}", head(200, "Transfer-Encoding: chunked") + b"4\r\nbody\r\n0\r\n\r\n")
    reply = await exchange(passing.address, f"GET /{item} HTTP/1.0\r\nHost: a\r\n{AUTHORIZED}\r\n\r\n".encode())
    assert (reply.status, reply.body) == (200, b"body")
    assert reply.field("Transfer-Encoding") is None


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_the_upstream_is_told_what_protocol_the_client_spoke(
    passing: RunningGateway, origin: ScriptedUpstream, item: str, version: str
) -> None:
    head = f"GET /{item} HTTP/{version}\r\nHost: a\r\nVia: 1.1 before\r\nConnection: close\r\n{AUTHORIZED}\r\n\r\n"
    await exchange(passing.address, head.encode())
    assert origin.calls(f"/{item}")[0].field("Via") == f"1.1 before, {version} gateway"


async def test_pipelined_requests_are_answered_in_order(
    passing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    async with await Connection.open(passing.address) as connection:
        for number in range(5):
            connection.request("GET", f"/{item}-{number}", AUTHORIZED)
        paths = [(await connection.answer()).json()["path"] for _ in range(5)]
    assert paths == [f"/{item}-{number}" for number in range(5)]


async def test_a_broken_stream_is_cut_for_the_client_too(
    passing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    """Neither a whole chunked body nor a full Content-Length may be feigned."""
    origin.script(f"/{item}-length", head(200, "Content-Length: 1000") + b"part", End.reset)
    origin.script(f"/{item}-chunked", head(200, "Transfer-Encoding: chunked") + b"4\r\npart\r\n", End.close)
    for kind in ("length", "chunked"):
        async with await Connection.open(passing.address) as connection:
            connection.request("GET", f"/{item}-{kind}", AUTHORIZED)
            assert not (await connection.answer()).complete


async def test_clients_that_hang_up_on_a_stream_end_the_upstreams(
    passing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/{item}", head(200), Endless(b"x" * 10_000))
    async with connections(passing.address, 5) as callers:
        for caller in callers:
            caller.request("GET", f"/{item}", AUTHORIZED)
            await caller.reader.readexactly(100_000)
            caller.hang_up()
        await asyncio.to_thread(origin.wait, lambda: origin.in_flight[f"/{item}"] == 0)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 201)])
async def test_every_answer_gives_its_upstream_connection_back(
    gateway: StartGateway, upstream: ScriptedUpstream, method: str, status: int
) -> None:
    """With one connection and no queue, a single one that is kept would refuse the next request."""
    upstream.script("/a", head(status, *([] if status in (204, 304) else ["Content-Length: 0"])))
    limits = {"connections": 1, "queue": 0}
    whole = config(upstream.url, route("/a", "a"), upstreams={"origin": own(upstream.url, limits=limits)})
    running = gateway(whole)
    async with await Connection.open(running.address) as connection:
        for _ in range(3):
            connection.request(method, "/a", AUTHORIZED, 'If-None-Match: "a"')
            assert (await connection.answer(method)).status == status


def large(request: Received) -> bytes:
    return b"z" * (50 * MIB)


async def test_50_mib_each_way_in_flat_memory(passing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    size = 50 * MIB
    origin.script(f"/{item}-down", head(200, f"Content-Length: {size}"), large)
    async with connections(passing.address, 2) as (down, up):
        before = passing.resident()
        down.request("GET", f"/{item}-down", AUTHORIZED)
        assert len((await down.answer()).body) == size
        up.request("PUT", f"/{item}-up", AUTHORIZED, f"Content-Length: {size}")
        for _ in range(50):
            up.send(b"u" * MIB)
            await up.writer.drain()
        assert (await up.answer()).status == 200
    (received,) = origin.calls(f"/{item}-up")
    assert (received.size, received.digest) == (size, sha256(b"u" * size).hexdigest())
    assert passing.resident() - before < 20 * MIB
