"""What hostile clients send, byte by byte: refused where two readers could differ, never sent on, never charged."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.config import KEY, OTHER_KEY, UPSTREAM_SECRET, config, product_route, route
from support.gateway import RunningGateway
from support.hostile import CHUNKED, LAST, posted, sent
from support.load import PROBE, connections
from support.odd import KEPT, READ, READ_LAST
from support.scripts import Received, answer
from support.upstream import ScriptedUpstream
from support.wire import Answer, Connection, exchange

pytestmark = pytest.mark.slow

GROWTH = 32 << 20


@pytest.fixture(scope="module")
def guarding(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        route("/cached/{id}", "cached", cache={"ttl": "1h"}, forward=["X-Api-Version"]),
        route("/pass/{rest:.*}", "pass"),
        {"name": "read", "match": {"path": "/read/{id}", "methods": ["GET"]}},
        product_route(),
    ]
    limits = {
        "target": "2KiB",
        "fields": "8KiB",
        "body": "64KiB",
        "head_timeout": "1s",
        "body_timeout": "500ms",
        "write_timeout": "500ms",
        "connections_per_address": 5000,
    }
    with RunningGateway(
        tmp_path_factory.mktemp("guarding"), config(origin.url, *routes, limits=limits), alone=True
    ) as running:
        yield running


async def goes_on(connection: Connection) -> bool:
    """Whether the connection is good for another request."""
    connection.request("GET", PROBE)
    return (await connection.answer()).status == 200


@contextmanager
def costing(guarding: RunningGateway, origin: ScriptedUpstream, calls: int) -> Iterator[None]:
    """So many calls reach the upstream meanwhile, each is charged one token, and nothing is stored."""
    before, asked = guarding.metrics(), len(origin.requests)
    yield
    after = guarding.metrics()
    assert [request.target for request in origin.requests[asked:]][calls:] == []
    assert after.total("gateway_upstream_requests_total") == before.total("gateway_upstream_requests_total") + calls
    assert after.total("gateway_tokens_charged_total") == before.total("gateway_tokens_charged_total") + calls
    for name in ("gateway_stored_responses", "gateway_ledger_drift_tokens"):
        assert after.total(name) == before.total(name), name


def holds_no_secret(reply: Answer) -> bool:
    shown = repr(reply.fields).encode() + reply.body
    return not any(secret.encode() in shown for secret in (KEY, OTHER_KEY, UPSTREAM_SECRET))


@pytest.mark.parametrize(("raw", "refusal"), LAST.values(), ids=LAST.keys())
async def test_what_cannot_be_read_is_refused_and_ends_the_connection(
    guarding: RunningGateway, origin: ScriptedUpstream, raw: bytes, refusal: tuple[int, str]
) -> None:
    with costing(guarding, origin, 0):
        async with await Connection.open(guarding.address) as connection:
            connection.send(raw)
            reply = await connection.answer()
            assert (reply.status, reply.json()["reason"]) == refusal
            assert reply.field("Connection") == "close"
            assert await connection.ended() == b""
    assert holds_no_secret(reply)


@pytest.mark.parametrize(("raw", "refusal"), KEPT.values(), ids=KEPT.keys())
async def test_what_cannot_be_granted_is_refused_on_a_connection_that_goes_on(
    guarding: RunningGateway, origin: ScriptedUpstream, raw: bytes, refusal: tuple[int, str]
) -> None:
    with costing(guarding, origin, 0):
        async with await Connection.open(guarding.address) as connection:
            connection.send(raw)
            reply = await connection.answer()
            assert (reply.status, reply.json()["reason"]) == refusal
            assert reply.field("Connection") is None
            assert await goes_on(connection)
    assert holds_no_secret(reply)


def is_whole(request: Received, target: str, size: int) -> None:
    """It is what was asked for, with the gateway's own fields and none that ends at the gateway."""
    assert (request.target, request.size) == (target, size)
    assert request.field("Authorization") == f"Bearer {UPSTREAM_SECRET}"
    names = {name.lower() for name, _ in request.fields}
    assert names.isdisjoint({"connection", "upgrade", "http2-settings", "x-api-key", "cookie", "te", "trailer"})
    assert names >= {"host", "via", "x-request-id", "forwarded", "x-forwarded-for"}


@pytest.mark.parametrize(("raw", "target", "size"), READ.values(), ids=READ.keys())
async def test_what_means_one_thing_reaches_the_upstream_once(
    guarding: RunningGateway, origin: ScriptedUpstream, raw: bytes, target: str, size: int
) -> None:
    with costing(guarding, origin, 1):
        async with await Connection.open(guarding.address) as connection:
            connection.send(raw)
            assert (await connection.answer()).status == 200
            assert await goes_on(connection)
    is_whole(origin.requests[-1], target, size)


@pytest.mark.parametrize(("raw", "target", "size"), READ_LAST.values(), ids=READ_LAST.keys())
async def test_what_follows_a_doubtful_end_is_not_read(
    guarding: RunningGateway, origin: ScriptedUpstream, raw: bytes, target: str, size: int
) -> None:
    with costing(guarding, origin, 1):
        async with await Connection.open(guarding.address) as connection:
            connection.send(raw)
            reply = await connection.answer()
            assert (reply.status, reply.field("Connection")) == (200, "close")
            assert await connection.ended() == b""
    is_whole(origin.requests[-1], target, size)


async def test_nothing_refused_is_logged_with_its_secrets(guarding: RunningGateway) -> None:
    await asyncio.gather(*[exchange(guarding.address, raw) for raw, _ in [*LAST.values(), *KEPT.values()]])
    assert all(secret not in guarding.log for secret in (KEY, OTHER_KEY, UPSTREAM_SECRET))


async def test_a_thousand_pipelined_lookups_are_answered_in_order(
    guarding: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    async with await Connection.open(guarding.address) as connection:
        ids = [f"{item}-{number}" for number in range(1000)]
        connection.send(b"".join(sent(f"/cached/{item}", f"X-Request-Id: {name}") for name in ids))
        assert [(await connection.answer()).field("X-Request-Id") for _ in ids] == ids
    assert len(origin.calls(f"/cached/{item}")) == 1


async def flood(connection: Connection, block: bytes) -> None:
    """Send until the other side has had enough."""
    while True:
        connection.send(block)
        await connection.writer.drain()


async def test_a_client_that_pipelines_and_never_reads_is_cut_off(
    guarding: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/cached/{item}"
    origin.script(path, answer(b"x" * (1 << 20)))
    assert (await exchange(guarding.address, sent(path))).status == 200
    held = guarding.resident()
    async with await Connection.open(guarding.address) as connection:
        with pytest.raises(ConnectionError):
            await flood(connection, sent(path) * 200)
    assert guarding.resident() - held < GROWTH


@pytest.mark.parametrize("first", [b"", b"G", sent("/cached/1")[:-2]], ids=["nothing", "one byte", "all but the end"])
async def test_a_head_that_does_not_end_ends_the_connection(guarding: RunningGateway, first: bytes) -> None:
    async with connections(guarding.address, 1) as (used,), await Connection.open(guarding.address) as fresh:
        for connection in (used, fresh) if first else (fresh,):
            connection.send(first)
            assert await connection.ended() == b""


async def test_many_unfinished_heads_keep_nobody_from_an_answer(guarding: RunningGateway) -> None:
    async with connections(guarding.address, 300) as opened:
        for connection in opened:
            connection.send(b"GET /cached/1 HT")
        assert (await exchange(guarding.address, sent("/pass/between"))).status == 200


STALLED = {"length": posted("Content-Length: 9", body=b"half"), "chunked": posted(CHUNKED, body=b"4\r\nhalf\r\n")}


@pytest.mark.parametrize("raw", STALLED.values(), ids=STALLED.keys())
async def test_content_that_stops_arriving_is_the_clients_failure(guarding: RunningGateway, raw: bytes) -> None:
    before = guarding.metrics()
    async with await Connection.open(guarding.address) as connection:
        connection.send(raw)
        reply = await connection.answer()
        assert (reply.status, reply.json()["reason"]) == (408, "request_timeout")
        assert await connection.ended() == b""
    after = guarding.metrics()
    assert after.total("gateway_tokens_charged_total") == before.total("gateway_tokens_charged_total")
    assert after.total("gateway_upstream_requests_total") == before.total("gateway_upstream_requests_total")


ENDLESS = {
    "a chunk extension": (b"2;", b"a" * 4096),
    "a chunk size": (b"", b"0" * 4096),
    "trailers": (b"0\r\n", (b"X-A: " + b"a" * 4000 + b"\r\n") * 4),
}


@pytest.mark.parametrize(("first", "more"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_framing_without_end_is_refused(
    guarding: RunningGateway, origin: ScriptedUpstream, first: bytes, more: bytes
) -> None:
    with costing(guarding, origin, 0):
        async with await Connection.open(guarding.address) as connection:
            connection.send(posted(CHUNKED, body=first))
            with pytest.raises(ConnectionError):
                await flood(connection, more)


async def test_fields_without_end_are_refused(guarding: RunningGateway, origin: ScriptedUpstream) -> None:
    with costing(guarding, origin, 0):
        async with await Connection.open(guarding.address) as connection:
            connection.send(sent("/pass/1")[:-2])
            with pytest.raises(ConnectionError):
                await flood(connection, b"X-A: a\r\n" * 100)


async def test_a_request_within_content_is_never_answered_as_one(
    guarding: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    """In pieces of every size, so that no reading of the framing depends on how it arrives."""
    hidden = sent(f"/pass/{item}-hidden")
    raw = posted(f"Content-Length: {len(hidden)}", f"X-Request-Id: {item}", body=hidden)
    for size in (1, 2, 7, 64, len(raw) - 1):
        async with await Connection.open(guarding.address) as connection:
            for start in range(0, len(raw), size):
                connection.send(raw[start : start + size])
                await connection.writer.drain()
            reply = await connection.answer()
            assert (reply.status, reply.field("X-Request-Id")) == (200, item)
            assert await goes_on(connection)
    assert not origin.calls(f"/pass/{item}-hidden")


async def test_content_behind_a_hit_is_no_request(
    guarding: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, hidden = f"/cached/{item}", sent(f"/pass/{item}-hidden")
    assert (await exchange(guarding.address, sent(path))).status == 200
    async with await Connection.open(guarding.address) as connection:
        connection.send(sent(path, f"Content-Length: {len(hidden)}", body=hidden))
        assert (await connection.answer()).status == 400
        assert await goes_on(connection)
        connection.send(sent(path))
        assert "hit" in str((await connection.answer()).field("Cache-Status"))
    assert [request.target for request in origin.requests if item in request.target] == [path]


async def test_what_follows_an_upgrade_that_is_declined_is_the_next_request(
    guarding: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    first = sent(f"/pass/{item}-1", "Connection: Upgrade", "Upgrade: websocket")
    async with await Connection.open(guarding.address) as connection:
        connection.send(first + sent(f"/pass/{item}-2"))
        assert [(await connection.answer()).json()["path"] for _ in range(2)] == [f"/pass/{item}-1", f"/pass/{item}-2"]


async def test_chunks_beyond_the_limit_are_refused(guarding: RunningGateway, origin: ScriptedUpstream) -> None:
    async with await Connection.open(guarding.address) as connection:
        connection.send(sent("/pass/large", CHUNKED, method="POST") + (b"8000\r\n" + b"a" * 0x8000 + b"\r\n") * 4)
        reply = await connection.answer()
        assert (reply.status, reply.json()["reason"]) == (413, "body_too_large")
    assert not any(request.complete for request in origin.calls("/pass/large"))


async def test_damaged_requests_are_answered_or_cut_off(guarding: RunningGateway) -> None:
    chance = random.Random(20_240_601)
    whole = [sent("/cached/1"), sent("/pass/1?a=b"), posted("Content-Length: 4", body=b"body"), sent("/v1/products/1")]

    async def damaged() -> None:
        raw = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 5)):
            raw[chance.randrange(4, len(raw))] = chance.randrange(256)
        async with await Connection.open(guarding.address) as connection:
            connection.send(bytes(raw))
            try:
                assert 200 <= (await connection.answer()).status < 600
            except (asyncio.IncompleteReadError, ConnectionError):
                return

    for _ in range(10):
        await asyncio.gather(*[damaged() for _ in range(50)])
    assert (await exchange(guarding.address, sent("/pass/after"))).status == 200
