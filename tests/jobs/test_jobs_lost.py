"""What Redis loses of the register of refreshes: a node that has it puts it back, before anything else is asked for."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from jobs.asked import NAME, REQUEST, due, known, order, single
from jobs.nodes import Node, node_on, until
from support.redis_server import RedisServer

from gateway.admission.jobs import How, Stage, State
from gateway.errors import Problem
from gateway.fleet import names

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """One of the test's own, to be killed. It comes back with what `save` has saved."""
    with RedisServer(tmp_path) as server:
        yield server


def save(server: RedisServer) -> None:
    with server.client() as client:
        client.save()


async def back(server: RedisServer, *nodes: Node) -> None:
    """Redis is killed and started again, and every node has found it."""
    former = {node.connection.server for node in nodes}
    server.restart()
    await until(lambda: all(node.connection.up and node.connection.server not in former for node in nodes))


@pytest.mark.parametrize("lost", ["all", "the latest"])
async def test_what_redis_has_lost_is_put_back(server: RedisServer, lost: str) -> None:
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(node_on(server.url)) for _ in range(2)]
        before = await one.register.accept(order("1"), 100.0)
        await one.register.begin(single("a"), REQUEST, 100.0)
        if lost == "the latest":
            save(server)
        [step] = await due(one.register, 100.0)
        await one.register.passed(step, Stage.select, 101.0, 101.0)
        after = await two.register.accept(order("2", account="other"), 102.0)
        # Whoever finds Redis first puts it back.
        await one.register.latest(None, 1)
        await back(server, one, two)
        for node in (one, two):
            assert [job.id for job in await node.register.latest(None, 5)] == [after.job, "a", before.job]
        third = await stack.enter_async_context(node_on(server.url))
        assert (await known(third.register, before.job)).state is State.running
        joined = await third.register.accept(order("2", account="other"), 103.0)
        assert joined.job == after.job
        assert (await one.register.recorded("other", NAME, "2")).attempted == 103.0


async def test_whoever_has_more_than_the_fleet_has_agreed_on_goes_by_the_fleet(server: RedisServer) -> None:
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(node_on(server.url)) for _ in range(2)]
        kept = await one.register.accept(order("1"), 100.0)
        await two.register.latest(None, 1)
        two.hang()
        save(server)
        await one.register.accept(order("2"), 100.0)
        # It comes too late, as if cut off: nobody asks it for what it knows.
        one.recovery._keepers.clear()
        await back(server, one, two)
        new = await two.register.accept(order("3"), 101.0)
        for node in (one, two):
            assert [job.id for job in await node.register.latest(None, 5)] == [new.job, kept.job]
        contents = [await node.register._replication.replica.copy() for node in (one, two)]
        assert contents[0] == contents[1]


async def test_what_a_frozen_redis_does_late_is_taken_back(server: RedisServer) -> None:
    """It has read what it was asked for, and answers nobody."""
    async with node_on(server.url, timeout=0.2) as node:
        server.stop()
        with pytest.raises(Problem):
            await node.register.accept(order("1"), 100.0)
        with pytest.raises(Problem):
            await node.register.latest(None, 1)
        server.go_on()
        await until(lambda: node.connection.up)
        assert {job.state for job in await node.register.latest(None, 5)} <= {State.cancelled}
        assert (await node.register.recorded("acme", NAME, "1")).attempted is None
        assert (await node.register.accept(order("1"), 101.0)).how is How.initiated


async def test_another_history_is_not_put_back(server: RedisServer) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(node_on(server.url))
        await one.register.accept(order("1"), 100.0)
        await one.register.accept(order("2"), 100.0)
        with server.client() as client:
            client.hset(names.JOBS_HEAD, mapping={"number": 1, "round": "another"})
            client.delete(names.EPOCH)
        await one.register.put_back()
        assert await one.connection.ask("HGET", names.JOBS_HEAD, "number") == b"1"


async def test_nothing_is_put_back_once_the_fleet_has_agreed(server: RedisServer) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(node_on(server.url))
        await one.register.accept(order("1"), 100.0)
        await one.register.accept(order("2"), 100.0)
        number, id_ = await one.connection.ask("HMGET", names.JOBS_HEAD, "number", "round")
        with server.client() as client:
            client.hset(names.JOBS_HEAD, mapping={"number": 0, "round": ""})
        await one.register.put_back()
        assert await one.connection.ask("HGET", names.JOBS_HEAD, "number") == b"0"
        assert (number, bool(id_)) == (b"2", True)
