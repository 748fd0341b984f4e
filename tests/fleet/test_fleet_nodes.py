"""Who is alive: a node that was missed while Redis was there, and not one that Redis could not hear."""

from fleet.doors import States, connected
from support.between import Between
from support.clock import FakeClock
from support.redis_server import RedisServer

from gateway.fleet import names
from gateway.fleet.enlisting import HEARTBEAT
from gateway.fleet.nodes import Nodes


async def test_nodes_come_and_go_and_are_forgotten(redis_url: str) -> None:
    clock = FakeClock()
    async with connected(redis_url) as one:
        nodes = Nodes(one, clock)
        async with connected(redis_url) as other:
            number = other.incarnation
            assert await nodes.alive() == {one.incarnation, number}
        assert await nodes.alive() == {one.incarnation}
        assert await nodes.dead() == set()
        clock.advance(HEARTBEAT - 0.1)
        assert await nodes.dead() == set()
        clock.advance(0.1)
        assert await nodes.dead() == {number}
        assert await nodes.dead() == {number}
        await nodes.forget(number)
        assert await nodes.dead() == set()


async def test_one_that_comes_back_is_not_dead(redis_url: str) -> None:
    clock = FakeClock()
    async with connected(redis_url) as one, connected(redis_url) as other:
        nodes, heartbeat = Nodes(one, clock), names.node(other.incarnation)
        word = await one.ask("GETDEL", heartbeat)
        assert await nodes.dead() == set()
        clock.advance(HEARTBEAT)
        await one.ask("SET", heartbeat, word)
        assert await nodes.dead() == set()
        await one.ask("DEL", heartbeat)
        assert await nodes.dead() == set()


async def test_nobody_is_missed_while_redis_itself_was_away(redis_server: RedisServer) -> None:
    clock = FakeClock()
    async with Between(redis_server.port) as between, connected(between.url) as one:
        await one.ask("SADD", names.NODES, 7)
        nodes, states = Nodes(one, clock), States(one)
        assert 7 not in await nodes.dead()
        clock.advance(HEARTBEAT)
        between.cut()
        assert [await states.next(), await states.next()] == [False, True]
        assert 7 not in await nodes.dead()
        clock.advance(HEARTBEAT)
        assert 7 in await nodes.dead()
        await nodes.forget(7)
