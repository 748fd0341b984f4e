"""Calls to a Redis that is well: each gets its own answer, whatever became of the one before."""

import asyncio
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvloop
from fleet.doors import States, connected
from support.between import Between
from support.polling import PATIENCE, eventually
from support.redis_server import RedisServer

from gateway.fleet import names
from gateway.fleet.connection import Refused, Unreachable
from gateway.fleet.script import Script
from gateway.fleet.settings import Settings
from gateway.fleet.wire import Wire


async def test_a_command_and_its_reply(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        assert await connection.ask("SET", "a", 1) == b"OK"
        assert await connection.ask(b"GET", "a") == b"1"
        assert await connection.ask("LRANGE", "none", 0, -1) == []
        assert await connection.ask("GET", "none") is None


async def test_what_redis_calls_wrong_is_refused_and_harms_nobody(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        with pytest.raises(Refused, match="wrong number of arguments"):
            await connection.ask("GET")
        with pytest.raises(Refused, match="wrong number"):
            await connection.pipeline(["GET"], ["SET", "a", 1])
        assert await connection.pipeline(["GET", "a"], ["INCR", "a"]) == [b"1", 2]
        assert connection.up


async def test_what_is_no_command_harms_nobody(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        nothing: Any = None
        assert await connection.pipeline() == []
        with pytest.raises(TypeError):
            await connection.ask("SET", "a", nothing)
        assert await connection.ask("ECHO", "mine") == b"mine"


async def test_a_script_is_loaded_when_redis_does_not_know_it(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        for _ in range(2):
            await connection.ask("SCRIPT", "FLUSH")
            alive, gone = await connection.run(Script("nodes"), [names.NODES], [names.NODE])
            assert (alive, gone) == ([connection.incarnation], [])


def test_a_script_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        Script("none")


async def test_each_of_many_callers_gets_its_own_answer(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        asked = [asyncio.create_task(connection.ask("ECHO", number)) for number in range(500)]
        await asyncio.sleep(0)
        for hung_up in asked[::3]:
            hung_up.cancel()
        await asyncio.wait(asked)
        answered = {number: task.result() for number, task in enumerate(asked) if not task.cancelled()}
        assert answered == {number: b"%d" % number for number in range(500) if number % 3}
        assert await connection.ask("ECHO", "next") == b"next"


async def test_a_caller_who_is_gone_leaves_no_answer_for_the_next(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between, connected(between.url) as connection:
        between.answers.clear()
        for number in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.ask("ECHO", f"left {number}"), 0.01)
        between.answers.set()
        assert await connection.ask("ECHO", "mine") == b"mine"
        assert between.connections == 1


async def test_an_answer_that_comes_too_late_is_nobodys(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between, connected(between.url, timeout=0.2) as connection:
        states = States(connection)
        between.answers.clear()
        late = [asyncio.create_task(connection.ask("ECHO", f"late {number}")) for number in range(3)]
        for task in late:
            with pytest.raises(Unreachable, match="no answer in time"):
                await task
        assert await states.next() is False
        with pytest.raises(Unreachable, match="no answer in time"):
            await connection.ask("ECHO", "while it is down")
        between.answers.set()
        assert await states.next() is True
        assert [await connection.ask("ECHO", f"{number}") for number in range(3)] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_an_answer_that_lies_there_when_the_process_was_held_up_counts(
    redis_url: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def ask() -> bytes:
        async with connected(redis_url, timeout=0.1) as connection:
            asked = asyncio.create_task(connection.ask("ECHO", "there"))
            await asyncio.sleep(0)
            _hold_up(0.2)
            answer: bytes = await asked
            return answer

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(ask()) == b"there"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_calls_without_any_time_left_are_in_nobodys_way(
    redis_url: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A loop's timer for what is due at once may be another object than one for later."""

    async def ask() -> list[Any]:
        async with connected(redis_url) as connection:
            call = Script("sums"), ("a", "b"), ("c", "0", 1)
            asked = (connection.run(*call, within=within) for within in (0.0001, 0.0001, None))
            return list(await asyncio.gather(*asked, return_exceptions=True))

    with asyncio.Runner(loop_factory=loop) as runner:
        assert all(isinstance(end, list | Unreachable) for end in runner.run(ask()))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_calls_whose_time_is_over_at_once_have_nobody_given_another_s_reply(
    redis_url: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A deadline less than half a millisecond ahead is no timer of uvloop's."""

    async def ask() -> list[object]:
        wire = await Wire.open(Settings(redis_url), 5.0)
        calls = [wire.ask(["ECHO", f"{number}"], within) for number, within in enumerate((0.0003, 0.0001, 5.0))]
        replies = await asyncio.gather(*calls, return_exceptions=True)
        await wire.close()
        return replies

    with asyncio.Runner(loop_factory=loop) as runner:
        for number, reply in enumerate(runner.run(ask())):
            assert isinstance(reply, Unreachable) or reply == f"{number}".encode()


def _hold_up(seconds: float) -> None:
    """Have the process do nothing, as a collection of garbage or a stopped machine would."""
    time.sleep(seconds)


async def test_a_caller_who_is_gone_while_he_writes_ends_no_more_than_that_connection(
    redis_server: RedisServer,
) -> None:
    """More than fits into the socket's buffers makes a call wait as it writes."""
    async with Between(redis_server.port) as between, connected(between.url) as connection:
        states = States(connection)
        between.answers.clear()
        large = [asyncio.create_task(connection.ask("ECHO", b"x" * 4_000_000)) for _ in range(4)]
        await asyncio.sleep(0)
        large[-1].cancel()
        between.answers.set()
        ended = await asyncio.gather(*large, return_exceptions=True)
        assert isinstance(ended[-1], asyncio.CancelledError)
        assert all(isinstance(end, bytes | Unreachable) for end in ended[:-1])
        if not connection.up or not states.empty:
            assert [await states.next(), await states.next()] == [False, True]
        assert await connection.ask("ECHO", "mine") == b"mine"


_BUSY = """
local begun = redis.call('TIME')
repeat local now = redis.call('TIME') until (now[1] - begun[1]) * 1000000 + now[2] - begun[2] > 200000
"""


async def test_a_long_script_may_take_its_time(redis_url: str) -> None:
    async with connected(redis_url) as other, connected(redis_url, timeout=0.05) as connection:
        busy = asyncio.create_task(other.ask("EVAL", _BUSY, 0))
        await asyncio.sleep(0)
        assert await connection.run(Script("sums"), ("a", "b"), ("c", "0", 1), within=PATIENCE) is not None
        await busy


async def test_new_entries_of_streams_are_followed(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        first = (await connection.ask("XADD", "a", "1-1", "g", "one")).decode()
        assert await connection.follow({"a": "0", "b": "0"}, 10, 5.0) == [("a", [(first, {b"g": b"one"})])]
        assert await connection.follow({"a": first, "b": "0"}, 10, 0.01) == []
        waiting = asyncio.create_task(connection.follow({"a": first, "b": "0"}, 1, 20.0))
        await connection.pipeline(["XADD", "b", "2-1", "g", "two"], ["XADD", "b", "2-2", "g", "three"])
        assert await waiting == [("b", [("2-1", {b"g": b"two"})])]
        assert await connection.follow({"a": first, "b": "2-1"}, 10, 5.0) == [("b", [("2-2", {b"g": b"three"})])]


async def test_one_who_follows_holds_up_nobody_and_may_go(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between, connected(between.url) as connection:
        followers = [asyncio.create_task(connection.follow({"none": "$"}, 1, 20.0)) for _ in range(2)]
        assert await connection.ask("ECHO", "at once") == b"at once"
        for follower in followers:
            follower.cancel()
        await asyncio.wait(followers)
        assert await connection.follow({"none": "$"}, 1, 0.001) == []


async def test_a_client_of_its_own_for_libraries(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        client = connection.client()
        await asyncio.gather(*[client.set(f"key {number}", number) for number in range(20)])
        assert await connection.ask("GET", "key 19") == b"19"


async def test_incarnations_go_up_and_never_come_again(redis_url: str) -> None:
    seen = list[int]()
    for _ in range(3):
        async with connected(redis_url) as connection:
            seen.append(connection.incarnation)
            await connection.ask("DEL", names.INCARNATIONS)
    async with connected(redis_url) as first, connected(redis_url) as second:
        seen += [first.incarnation, second.incarnation]
        assert second.incarnation > first.incarnation
    assert all(0 < incarnation < 2**31 for incarnation in seen)


async def test_a_number_that_another_has_after_a_failover_is_given_up(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between, connected(between.url) as connection:
        states, former = States(connection), connection.incarnation
        await connection.ask("SET", names.node(former), "another's word")
        between.cut()
        assert [await states.next(), await states.next()] == [False, True]
        assert connection.incarnation > former
        assert await connection.ask("GET", names.node(former)) == b"another's word"


async def test_a_server_that_has_lost_the_numbers_is_told_them(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between, connected(between.url) as connection:
        states = States(connection)
        await connection.ask("SET", names.INCARNATIONS, 2**30)
        async with connected(between.url) as other:
            assert other.incarnation == 2**30 + 1
            others = States(other)
            await connection.ask("FLUSHALL")
            between.cut()
            assert [await states.next(), await states.next()] == [False, True]
            assert [await others.next(), await others.next()] == [False, True]
            assert int(await other.ask("GET", names.INCARNATIONS)) == 2**30 + 1
            await connection.ask("FLUSHALL")


async def test_hooks_ask_before_everyone_else_at_each_reconnect(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between, connected(between.url) as connection:
        states, runs, others = States(connection), count(1), list[str]()

        async def hook() -> None:
            assert await connection.ask("ECHO", "hook") == b"hook"
            with pytest.raises(Unreachable):
                await stranger
            others.append("refused")
            if next(runs) < 3:
                raise Unreachable("not yet")

        connection.before_up(hook)
        assert others == []

        async def ask() -> None:
            await down.wait()
            await connection.ask("ECHO", "stranger")

        down = asyncio.Event()
        connection.listen(lambda up: None if up else down.set())
        stranger = asyncio.create_task(ask())
        between.cut()
        assert [await states.next(), await states.next()] == [False, True]
        assert others == ["refused"] * 3


async def test_after_it_was_closed_calls_fail(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        incarnation = connection.incarnation
    with pytest.raises(Unreachable):
        await connection.ask("ECHO", 1)
    async with connected(redis_url) as another:
        assert await another.ask("EXISTS", names.node(incarnation)) == 0


async def test_a_node_renews_its_heartbeat(redis_server: RedisServer) -> None:
    async with connected(redis_server.url) as connection:
        heartbeat = names.node(connection.incarnation)
        with redis_server.client() as client:
            client.delete(heartbeat)
            assert await asyncio.to_thread(eventually, lambda: client.exists(heartbeat))


async def test_a_replica_that_takes_over_is_another_server_with_the_same_nodes(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as primary:
        async with Between(primary.port) as between, connected(between.url) as connection:
            states, server, number = States(connection), connection.server, connection.incarnation
            replica = primary.replica()
            await connection.ask("WAIT", 1, 1000)
            between.to = replica.port
            primary.kill9()
            replica.promote()
            assert [await states.next(), await states.next()] == [False, True]
            assert connection.server != server
            assert connection.incarnation == number
