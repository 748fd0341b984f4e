"""SIGTERM from outside: what was accepted is answered, then the process ends with 0; a second one does not wait."""

import asyncio
import signal

import pytest
from support.answers import tokens
from support.config import KEY, config, key_field, plan, product_route, route
from support.gateway import RunningGateway, StartGateway
from support.load import answers, connections, read_by_now
from support.polling import eventually
from support.scripts import Gate, answer, head, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"


def drainable(upstream: ScriptedUpstream) -> dict[str, object]:
    plans = {"pro": plan(2000)}
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    return config(upstream.url, product_route(), route("/pass/{id}", "pass"), plans=plans, keys=keys)


def draining(running: RunningGateway) -> bool:
    return running.readiness(running.admin_port, "/readyz") == 503


async def terminated(running: RunningGateway) -> None:
    running.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(eventually, lambda: draining(running))


async def test_requests_in_flight_are_answered(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running, gate = gateway(drainable(upstream)), Gate()
    upstream.script("/v1/products/1", gate, json_answer({"a": 1}))
    upstream.script("/pass/1", head(200, "Content-Length: 8"), b"half", gate, b"half")
    async with connections(running.address, 40) as callers:
        for number, caller in enumerate(callers):
            caller.request("GET", ("/v1/products/1", "/pass/1")[number % 2], AUTHORIZED)
        await upstream.arrived("/pass/1", 20)
        await read_by_now(running.address)
        await terminated(running)
        gate.open()
        replies = await answers(callers)
    assert [reply.status for reply in replies] == [200] * 40
    assert all(reply.complete for reply in replies)
    assert {reply.body for reply in replies[1::2]} == {b"halfhalf"}
    assert await asyncio.to_thread(running.ended) == 0
    running.start()
    assert tokens(running.client(key_field()).get("/v1/products/2")) == (1, 2000 - 40 - 1)


async def test_what_was_sent_before_the_signal_is_answered(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    """New connections, many of which the gateway has not even accepted when the signal comes."""
    running, count = gateway(drainable(upstream)), 1000
    callers = [await Connection.open(running.address) for _ in range(count)]
    for number, caller in enumerate(callers):
        caller.request("GET", f"/v1/products/{number % 50}", AUTHORIZED)
    running.process.send_signal(signal.SIGTERM)
    replies = await answers(callers)
    for caller in callers:
        caller.writer.transport.abort()
    assert {reply.status for reply in replies} == {200}
    assert await asyncio.to_thread(running.ended) == 0
    running.start()
    assert tokens(running.client(key_field()).get("/v1/products/0")) == (1, 2000 - count - 1)


async def test_a_request_whose_body_is_still_arriving_is_answered(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running = gateway(drainable(upstream))
    async with await Connection.open(running.address) as connection:
        connection.request("POST", "/pass/1", AUTHORIZED, "Content-Length: 8", body=b"half")
        await upstream.arrived("/pass/1")
        await terminated(running)
        connection.send(b"half")
        reply = await connection.answer()
    assert reply.status == 200
    assert upstream.calls("/pass/1")[0].size == 8
    assert await asyncio.to_thread(running.ended) == 0


async def test_idle_connections_do_not_hold_the_end_up(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(drainable(upstream))
    async with connections(running.address, 20):
        await asyncio.to_thread(running.stop)


async def test_readyz_turns_503_while_draining_and_livez_does_not(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running, gate = gateway(drainable(upstream)), Gate()
    upstream.script("/pass/1", gate, answer("late"))
    assert running.readiness(running.admin_port, "/readyz") == 200
    async with await Connection.open(running.address) as connection:
        connection.request("GET", "/pass/1", AUTHORIZED)
        await upstream.arrived("/pass/1")
        await terminated(running)
        assert await asyncio.to_thread(running.readiness, running.admin_port, "/livez") == 200
        gate.open()
        assert (await connection.answer()).body == b"late"
    assert await asyncio.to_thread(running.ended) == 0


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_stops_at_once(
    gateway: StartGateway, upstream: ScriptedUpstream, first: signal.Signals
) -> None:
    running = gateway(drainable(upstream))
    upstream.script("/pass/1", Gate(), answer("never"))
    async with await Connection.open(running.address) as connection:
        connection.request("GET", "/pass/1", AUTHORIZED)
        await upstream.arrived("/pass/1")
        running.process.send_signal(first)
        await asyncio.to_thread(eventually, lambda: draining(running))
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(running.ended)
        assert await connection.ended() == b""
    running.start()
    assert running.client(key_field()).get("/v1/products/2").status_code == 200


def test_the_store_of_a_drained_gateway_is_free_for_the_next(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(drainable(upstream))
    for expected in (1999, 1998):
        running.stop()
        running.start()
        assert tokens(running.client(key_field()).get("/v1/products/1"))[1] == expected
