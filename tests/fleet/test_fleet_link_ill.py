"""A Redis that is frozen, or killed and started again: callers are refused in time, and all of it goes on after."""

import asyncio
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.fleet import Node, sound
from support.metering import FULL, LOOKUP, account
from support.redis_server import RedisServer
from support.stalls import Stopwatch

from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Every, Plan
from gateway.clock import SystemClock
from gateway.errors import Problem, Reason
from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.settings import Settings

pytestmark = pytest.mark.slow

WHO = account(Plan("p", 10_000, Every.month))


async def node(url: str) -> Node:
    """One whose connection has the deadline of a gateway's."""
    connection = await Connection.open(Settings(url), SystemClock())
    await connection.ask("SET", names.EPOCH, connection.server)
    one = Node(connection, FakeClock(), 0.05)
    one.configure(WHO)
    await one.meter.standing(WHO)
    return one


async def refused(one: Node) -> float:
    """Seconds of a quiet machine until a charge is."""
    asked = Stopwatch()
    with pytest.raises(Problem) as caught:
        await one.charge(WHO, LOOKUP)
    assert caught.value.reason is Reason.ledger_unavailable
    return asked.seconds


async def charged_again(one: Node) -> float:
    """Seconds of a quiet machine until a charge is taken."""
    ill = Stopwatch()
    while True:
        try:
            await one.charge(WHO, LOOKUP)
            return ill.seconds
        except Problem:
            await asyncio.sleep(0.01)


async def test_a_frozen_redis(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        one = await node(server.url)
        reservation = await one.reserve(WHO, FULL)
        server.stop()
        # What is sent now lies in Redis's socket, and may be executed once it goes on.
        assert max(await asyncio.gather(*(refused(one) for _ in range(20)))) < 1
        with pytest.raises(Problem):
            await one.meter.settle(reservation, Outcome.refreshed)
        assert await refused(one) < 1
        server.go_on()
        assert await charged_again(one) < 5
        await one.meter.release(reservation, "ledger_unavailable")
        balance = await one.balance()
        assert (balance.charged, balance.reserved, balance.balance) == (1, 0, 9_999)
        await sound(one.connection)
        await one.close()


async def test_a_redis_that_is_killed_and_comes_back_with_its_data(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        one = await node(server.url)

        async def agree() -> None:
            await one.connection.ask("SET", names.EPOCH, one.connection.server)

        one.connection.before_up(agree)
        taken = 0
        for _ in range(3):
            for _ in range(5):
                await one.charge(WHO, LOOKUP)
            server.restart()
            assert await charged_again(one) < 5
            taken += 6
        assert (await one.balance()).charged == taken
        await sound(one.connection)
        await one.close()
