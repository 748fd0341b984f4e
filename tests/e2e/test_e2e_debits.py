"""Two thousand callers, a balance of one thousand: exactly one thousand are served, whatever they ask for at once."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.config import KEY, OTHER_KEY, config, key_field, plan, route
from support.config import origin as own
from support.gateway import RunningGateway, StartGateway
from support.load import answers, connections
from support.scripts import End, Gate
from support.upstream import ScriptedUpstream
from support.wire import Answer, Connection, exchange

pytestmark = pytest.mark.slow

CALLERS = 2000
BALANCE = 1000
AUTHORIZED = f"Authorization: Bearer {KEY}"

PLANS = {"month": (429, "quota_exceeded"), "never": (402, "quota_exhausted")}
TARGETS = {"hits": "/stored", "misses": "/{number}", "collapsed misses": "/one"}


def start(gateway: StartGateway, upstream: ScriptedUpstream, every: str) -> RunningGateway:
    keys = [{"id": "a", "key": KEY, "plan": "small"}, {"id": "b", "key": OTHER_KEY}]
    patient = own(upstream.url, limits={"connections": 600, "queue": CALLERS, "wait": "60s"})
    return gateway(
        config(
            upstream.url,
            route("/{rest:.*}", "all", cache="15m", price=1),
            plans={"small": plan(BALANCE, every)},
            keys=keys,
            upstreams={"origin": patient},
        )
    )


@asynccontextmanager
async def asked_at_once(running: RunningGateway, target: str) -> AsyncIterator[list[Answer]]:
    async with connections(running.address, CALLERS) as callers:
        for number, caller in enumerate(callers):
            caller.request("GET", target.format(number=number), AUTHORIZED)
        yield await answers(callers)


@pytest.mark.parametrize("every", PLANS)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
async def test_as_many_are_served_as_were_paid_for(
    gateway: StartGateway, upstream: ScriptedUpstream, every: str, target: str
) -> None:
    running = start(gateway, upstream, every)
    assert running.client(key_field(OTHER_KEY)).get("/stored").status_code == 200
    status, reason = PLANS[every]
    async with asked_at_once(running, target) as answered:
        assert Counter(answer.status for answer in answered) == {200: BALANCE, status: CALLERS - BALANCE}
    served = [answer for answer in answered if answer.status == 200]
    assert {answer.field("X-Tokens-Consumed") for answer in served} == {"1"}
    left = sorted(int(answer.field("X-Tokens-Remaining") or -1) for answer in served)
    assert left == list(range(BALANCE)), "each answer tells the balance as of its own charge"
    refused = {answer.json()["reason"] for answer in answered if answer.status == status}
    assert refused == {reason}
    assert len(upstream.requests) - 1 == {"/stored": 0, "/{number}": BALANCE, "/one": 1}[target]
    last = await exchange(running.address, f"GET /stored HTTP/1.1\r\nHost: a\r\n{AUTHORIZED}\r\n\r\n".encode())
    assert (last.status, last.field("X-Tokens-Consumed"), last.field("X-Tokens-Remaining")) == (status, "0", "0")
    assert running.metrics().value("gateway_ledger_drift_tokens") == 0


async def test_what_a_failed_fetch_gives_back_is_spent_once(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    """Half of the balance is set aside for fetches that will fail while callers of the rest come in."""
    gate, running = Gate(), start(gateway, upstream, "never")
    async with connections(running.address, BALANCE // 2) as failing:
        for number, caller in enumerate(failing):
            upstream.script(f"/fails-{number}", gate, End.reset)
            caller.request("GET", f"/fails-{number}", AUTHORIZED)
        await upstream.arrived("/fails-0")
        upstream.wait(lambda: len({request.path for request in upstream.requests}) == BALANCE // 2)
        async with asked_at_once(running, "/{number}") as answered:
            assert Counter(answer.status for answer in answered) == {200: BALANCE // 2, 402: CALLERS - BALANCE // 2}
        gate.open()
        assert {answer.status for answer in await answers(failing)} == {502}
        async with await Connection.open(running.address) as connection:
            for remaining in range(BALANCE // 2 - 1, -1, -1):
                connection.request("GET", "/0", AUTHORIZED)
                assert (await connection.answer()).field("X-Tokens-Remaining") == str(remaining)
            connection.request("GET", "/0", AUTHORIZED)
            assert (await connection.answer()).status == 402
