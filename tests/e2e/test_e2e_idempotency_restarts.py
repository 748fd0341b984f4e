"""Idempotency-Key over caps, lost connections, restarts, kill -9 and days: one refresh is paid once."""

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from crash.clocks import ShiftedClock
from crash.launched import LaunchedGateway
from support.answers import tokens
from support.config import KEY, Config, config, key_field, plan, product_route
from support.gateway import StartGateway
from support.polling import eventually
from support.scripts import Gate, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"
KEYED = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}


def capped(upstream: ScriptedUpstream, grant: int = 2000, **rest: object) -> Config:
    organizations = {"acme": {"plan": "pro", "caps": {"force_refresh": "2/min"}}}
    keys = [{"id": "a", "key": KEY, "organization": "acme"}]
    return config(
        upstream.url, product_route(), keys=keys, organizations=organizations, plans={"pro": plan(grant)}, **rest
    )


def test_a_repeat_takes_no_room_in_the_cap_and_needs_no_tokens(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    client = gateway(capped(upstream, grant=18)).client(key_field())
    for key in ("one", "two"):
        for price in (9, 0, 0):
            reply = client.post(f"{PRODUCT}/{key}/refresh", headers={"Idempotency-Key": key})
            assert (reply.status_code, tokens(reply)[0]) == (200, price)
    refused = client.post(f"{PRODUCT}/three/refresh", headers={"Idempotency-Key": "three"})
    assert (refused.status_code, refused.json()["reason"]) == (429, "force_refresh_capped")
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_an_answer_is_known_after_a_restart(gateway: StartGateway, upstream: ScriptedUpstream, end: str) -> None:
    running = gateway(capped(upstream))
    first = running.client(key_field()).post(f"{PRODUCT}/1/refresh", headers=KEYED)
    running.stop() if end == "stop" else running.kill9()
    running.start()
    again = running.client(key_field()).post(f"{PRODUCT}/1/refresh", headers=KEYED)
    assert (again.content, tokens(first), tokens(again)) == (first.content, (9, 1991), (0, 1991))
    assert again.headers["X-Receipt-Id"] == first.headers["X-Receipt-Id"]
    assert len(upstream.requests) == 1


async def test_an_answer_that_was_lost_with_its_connection_and_the_process_is_had_free(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running, gate = gateway(capped(upstream)), Gate()
    upstream.then(f"{PRODUCT}/1", gate, json_answer({"copy": "paid for"}))
    async with await Connection.open(running.address) as lost:
        lost.request("POST", f"{PRODUCT}/1/refresh", f"Authorization: Bearer {KEY}", "Idempotency-Key: k")
        await upstream.arrived(f"{PRODUCT}/1")
        lost.hang_up()
    gate.open()
    watching = running.client(key_field())
    await asyncio.to_thread(eventually, lambda: watching.get("/-/balance").json()["charged"] == 9)
    running.kill9()
    await asyncio.to_thread(running.start)
    reply = running.client(key_field()).post(f"{PRODUCT}/1/refresh", headers={"Idempotency-Key": "k"})
    assert (reply.json()["copy"], tokens(reply)) == ("paid for", (0, 1991))
    assert len(upstream.requests) == 1


async def test_what_a_kill_interrupts_is_asked_anew(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(capped(upstream))
    upstream.then(f"{PRODUCT}/1", Gate(), json_answer({}))
    async with await Connection.open(running.address) as lost:
        lost.request("POST", f"{PRODUCT}/1/refresh", f"Authorization: Bearer {KEY}", "Idempotency-Key: k")
        await upstream.arrived(f"{PRODUCT}/1")
        running.kill9()
    await asyncio.to_thread(running.start)
    reply = running.client(key_field()).post(f"{PRODUCT}/1/refresh", headers={"Idempotency-Key": "k"})
    assert (reply.status_code, tokens(reply), reply.headers.get("Idempotent-Replayed")) == (200, (9, 1991), None)
    assert len(upstream.requests) == 2


# The crash point and its pass (the second group is the settlement) -> which upstream call the repeat brings, its cost.
KILLS = {
    "reserved": ("reserved", 1, 1, 9),
    "upstream answered": ("upstream-answered", 1, 2, 9),
    "settlement unwritten": ("journal-unwritten", 2, 2, 9),
    "settlement half written": ("journal-torn", 2, 2, 9),
    "settlement written": ("journal-written", 2, 1, 0),
    "settled": ("settled", 1, 1, 0),
    "about to be answered": ("answered", 1, 1, 0),
}


@pytest.mark.parametrize(("point", "passes", "call", "cost"), KILLS.values(), ids=KILLS.keys())
def test_whenever_it_is_killed_one_refresh_is_paid_once(
    tmp_path: Path, upstream: ScriptedUpstream, point: str, passes: int, call: int, cost: int
) -> None:
    with LaunchedGateway(tmp_path, capped(upstream), point, str(passes)) as running:
        with suppress(httpx.HTTPError):
            running.client(key_field()).post(f"{PRODUCT}/1/refresh", headers=KEYED)
        running.died()
        running.patches = ()
        running.start()
        client = running.client(key_field())
        reply = client.post(f"{PRODUCT}/1/refresh", headers=KEYED)
        assert (reply.json()["call"], tokens(reply)) == (call, (cost, 1991))
        assert ("Idempotent-Replayed" in reply.headers) is (cost == 0)
        told = client.get("/-/balance").json()
        assert (told["balance"], told["reserved"], told["charged"]) == (1991, 0, 9)


def test_a_day_later_it_is_asked_anew(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    clock = ShiftedClock(tmp_path / "clock")
    with LaunchedGateway(tmp_path, capped(upstream), "clock", str(clock.path)) as running:
        client = running.client(key_field())
        paid = []
        for pause in (0, 3600, 22 * 3600, 3600, 3600):
            clock.advance(pause)
            paid.append(tokens(client.post(f"{PRODUCT}/1/refresh", headers=KEYED))[0])
        assert paid == [9, 0, 0, 9, 0]
        clock.jump(-3600)
        assert tokens(client.post(f"{PRODUCT}/1/refresh", headers=KEYED))[0] == 0
