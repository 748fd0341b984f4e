"""The listener's limits from outside: late heads and bodies, clients that do not read, too many connections."""

import asyncio
from collections.abc import Iterator

import pytest
from support.config import KEY, config, route
from support.gateway import RunningGateway, StartGateway
from support.polling import eventually
from support.scripts import Endless, Gate, answer, head
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"


@pytest.fixture(scope="module")
def limited(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    limits = {"head_timeout": "300ms", "body_timeout": "300ms", "write_timeout": "300ms", "buffered": "1MiB"}
    routes = [route("/cached/{id}", "cached", cache={"ttl": "1h"}), route("/{rest:.*}", "all")]
    with RunningGateway(tmp_path_factory.mktemp("limited"), config(origin.url, *routes, limits=limits)) as running:
        yield running


@pytest.mark.parametrize("raw", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"], ids=["none", "line", "fields"])
async def test_a_head_that_does_not_arrive_ends_the_connection(limited: RunningGateway, raw: bytes) -> None:
    async with await Connection.open(limited.address) as connection:
        connection.send(raw)
        assert b"200" not in await connection.ended()


async def test_a_body_that_stops_arriving_is_refused(
    limited: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    async with await Connection.open(limited.address) as connection:
        connection.request("POST", f"/{item}", AUTHORIZED, "Content-Length: 8", body=b"half")
        reply = await connection.answer()
    assert (reply.status, reply.json()["reason"]) == (408, "request_timeout")
    await asyncio.to_thread(origin.wait, lambda: not origin.in_flight[f"/{item}"])


async def test_a_chunked_body_over_the_limit_is_refused(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, route("/{rest:.*}", "all"), limits={"body": "1KiB"}))
    async with await Connection.open(running.address) as connection:
        chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
        connection.request("POST", "/a", AUTHORIZED, "Transfer-Encoding: chunked", body=chunk + chunk + b"0\r\n\r\n")
        reply = await connection.answer()
    assert (reply.status, reply.json()["reason"]) == (413, "body_too_large")


async def test_a_client_that_does_not_read_is_cut_off(
    limited: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/{item}", head(200), Endless(b"x" * 100_000))
    async with await Connection.open(limited.address) as connection:
        connection.request("GET", f"/{item}", AUTHORIZED)
        await origin.arrived(f"/{item}")
        await asyncio.to_thread(origin.wait, lambda: not origin.in_flight[f"/{item}"])


async def test_too_much_unfinished_content_is_refused(
    limited: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    """Two answers of 700 KB are buffered at once, and only 1 MiB may be."""
    gate, size = Gate(), 700_000
    origin.script(f"/cached/{item}", head(200, f"Content-Length: {size}"), b"x" * (size - 1), gate, b"x")
    async with await Connection.open(limited.address) as first, await Connection.open(limited.address) as second:
        first.request("GET", f"/cached/{item}", AUTHORIZED)
        await origin.arrived(f"/cached/{item}")
        origin.script(f"/cached/{item}-b", answer("y" * size))
        second.request("GET", f"/cached/{item}-b", AUTHORIZED)
        refused = await second.answer()
        gate.open()
        assert len((await first.answer()).body) == size
    assert (refused.status, refused.json()["reason"]) == (503, "buffers_full")


async def test_connections_over_the_limit_of_an_address_are_closed(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    limits = {"connections_per_address": 3}
    running = gateway(config(upstream.url, route("/{rest:.*}", "all"), limits=limits))
    async with (
        await Connection.open(running.address) as first,
        await Connection.open(running.address) as second,
        await Connection.open(running.address) as third,
    ):
        for connection in (first, second, third):
            connection.request("GET", "/-/livez")
            assert (await connection.answer()).status == 200
        async with await Connection.open(running.address) as fourth:
            fourth.request("GET", "/-/livez")
            assert await fourth.ended() == b""
        third.hang_up()
        await asyncio.to_thread(eventually, lambda: running.readiness(running.port, "/-/livez") == 200)
