"""A Redis that is ill: calls end in time, one line says why, and the connection is back once Redis is well."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from fleet.doors import States, connected
from structlog.testing import capture_logs
from support.between import Between
from support.polling import PATIENCE
from support.redis_server import RedisServer

from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable

pytestmark = pytest.mark.slow

Order = Callable[[str], None]

QUICK = 0.2
"""Seconds for calls of which some are not to be answered."""


class Told:
    """The lines of the log and the changes of state from here on, of a connection that falls ill and gets well."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._states = States(connection)

    async def ill(self) -> None:
        """It is down, and calls fail at once."""
        assert await self._states.next() is False
        with pytest.raises(Unreachable):
            await self._connection.ask("SET", "a", 1)

    async def stays(self) -> None:
        """It is up for a heartbeat, which the log waits for."""
        await asyncio.wait_for(self._beaten(), PATIENCE)

    async def well(self) -> None:
        """It is up again, once and for good."""
        assert await self._states.next() is True
        assert await self._connection.ask("SET", "a", 1) == b"OK"
        await self.stays()
        assert self._states.empty

    async def _beaten(self) -> None:
        heartbeat = names.node(self._connection.incarnation)
        await self._connection.ask("DEL", heartbeat)
        while not await self._connection.ask("EXISTS", heartbeat):  # noqa: ASYNC110 - Redis tells no event of it
            await asyncio.sleep(0.01)


def _lines(reason: str) -> list[dict[str, Any]]:
    """What is logged of an illness from its beginning to its end."""
    return [
        {"log_level": "warning", "event": "store unreachable", "reason": reason},
        {"log_level": "info", "event": "store reached again"},
    ]


def _told(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "server"} for line in lines]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for tests to make ill, who leave it well."""
    with RedisServer(tmp_path_factory.mktemp("ill")) as running:
        yield running


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.fleet.connection.BEAT", 0.2)


@pytest.fixture
def admin(server: RedisServer) -> Iterator[Order]:
    """Somebody who may do everything, and is known by a name of his own."""
    with server.client() as client:

        def order(line: str) -> None:
            client.execute_command(*line.split(" "))

        order("ACL SETUSER admin on nopass ~* +@all")
        order("AUTH admin ")
        yield order


ILLS = {
    "read-only": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "it is read-only"),
    "too few replicas": (
        "CONFIG SET min-replicas-to-write 1",
        "CONFIG SET min-replicas-to-write 0",
        "it has too few replicas",
    ),
    "full": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "it is out of memory"),
    "permission": ("ACL SETUSER default -set", "ACL SETUSER default +set", "its user lacks a permission"),
}


@pytest.mark.parametrize(("ill", "well", "reason"), ILLS.values(), ids=ILLS)
async def test_what_it_answers_puts_it_down(
    server: RedisServer, admin: Order, ill: str, well: str, reason: str
) -> None:
    async with connected(server.url) as connection:
        told = Told(connection)
        with capture_logs() as lines:
            admin(ill)
            with pytest.raises(Unreachable, match=reason):
                await connection.ask("SET", "a", 1)
            await told.ill()
            admin(well)
            await told.well()
        assert _told(lines) == _lines(reason)


async def test_a_password_that_was_changed(server: RedisServer, admin: Order) -> None:
    async with connected(server.url) as connection:
        told = Told(connection)
        with capture_logs() as lines:
            admin("ACL SETUSER default resetpass >another")
            admin("CLIENT KILL USER default")
            await told.ill()
            admin("ACL SETUSER default nopass")
            await told.well()
        assert _told(lines) == _lines("it closed the connection")


async def test_a_script_of_somebody_elses_that_does_not_end(server: RedisServer, admin: Order) -> None:
    admin("CONFIG SET busy-reply-threshold 20")
    async with connected(server.url) as connection:
        told = Told(connection)
        with capture_logs() as lines:
            endless = asyncio.create_task(asyncio.to_thread(_run_for_ever, server))
            await told.ill()
            admin("SCRIPT KILL")
            await endless
            await told.well()
        assert _told(lines) == _lines("it is busy with a script")


def _run_for_ever(server: RedisServer) -> None:
    with server.client() as client, pytest.raises(Exception, match="killed by user"):
        client.eval("while true do end", 0)


async def test_frozen_for_a_while(server: RedisServer) -> None:
    async with connected(server.url, timeout=QUICK) as connection:
        told = Told(connection)
        with capture_logs() as lines:
            server.stop()
            with pytest.raises(Unreachable, match="no answer in time"):
                await connection.ask("SET", "a", 1)
            await told.ill()
            server.go_on()
            await told.well()
        assert _told(lines) == _lines("no answer in time")


async def test_one_that_is_slow_is_down_until_it_is_quick(server: RedisServer) -> None:
    async with Between(server.port) as between, connected(between.url, timeout=QUICK) as connection:
        told, before = Told(connection), between.connections
        with capture_logs() as lines:
            between.late = 1.5 * QUICK
            await told.ill()
            while between.connections < before + 2:  # noqa: ASYNC110 - the proxy knows no event of it
                await asyncio.sleep(0.01)
            between.late = 0.0
            await told.well()
        assert _told(lines) == _lines("no answer in time")


async def test_one_that_is_back_for_a_moment_each_time_has_one_line(server: RedisServer) -> None:
    async with Between(server.port) as between, connected(between.url) as connection:
        told, states = Told(connection), States(connection)
        with capture_logs() as lines:
            for _ in range(3):
                between.cut()
                assert [await states.next(), await states.next()] == [False, True]
            await told.stays()
        assert _told(lines) == _lines("it closed the connection")


async def test_frozen_without_anyone_asking(server: RedisServer) -> None:
    async with connected(server.url, timeout=QUICK) as connection:
        told = Told(connection)
        server.stop()
        await told.ill()
        server.go_on()
        await told.well()


async def test_killed_and_started_again(server: RedisServer) -> None:
    async with connected(server.url) as connection:
        told, before, number = Told(connection), connection.server, connection.incarnation
        with capture_logs() as lines:
            server.kill9()
            await told.ill()
            following = asyncio.create_task(connection.follow({"a stream": "0"}, 1, 20.0))
            server.start()
            await told.well()
            await connection.ask("XADD", "a stream", "1-1", "g", "1")
            assert await following == [("a stream", [("1-1", {b"g": b"1"})])]
        assert _told(lines) == _lines("it closed the connection")
        assert connection.server != before
        assert connection.incarnation == number


async def test_who_follows_a_redis_that_is_down_is_told_after_a_while(server: RedisServer) -> None:
    async with Between(server.port) as between, connected(between.url) as connection:
        told = Told(connection)
        await connection.follow({"none": "$"}, 1, 0.001)
        following = asyncio.create_task(connection.follow({"none": "$"}, 1, 20.0))
        await asyncio.sleep(0)
        between.instead = b""
        between.cut()
        await told.ill()
        with pytest.raises(Unreachable):
            await following
        with pytest.raises(Unreachable):
            await connection.follow({"none": "$"}, 1, 0.01)
        between.instead = None
        between.cut()
        await told.well()


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-7\r\n", b":1\r\n" * 50], ids=["http", "broken", "numbers"]
)
async def test_somebody_else_in_its_place(server: RedisServer, said: bytes) -> None:
    async with Between(server.port) as between, connected(between.url, timeout=QUICK) as connection:
        told = Told(connection)
        between.instead = said
        between.cut()
        await told.ill()
        while between.connections < 3:  # noqa: ASYNC110 - the proxy knows no event of it
            await asyncio.sleep(0.01)
        assert not connection.up
        between.instead = None
        between.cut()
        await told.well()


async def test_answers_nobody_asked_for_end_the_connection(server: RedisServer) -> None:
    async with Between(server.port) as between, connected(between.url) as connection:
        told = Told(connection)
        with capture_logs() as lines:
            between.say(b"+OK\r\n")
            await told.ill()
            await told.well()
        assert _told(lines) == _lines("it does not speak Redis's protocol")


async def test_a_layout_of_another_version_while_it_runs(server: RedisServer) -> None:
    async with connected(server.url) as connection:
        told = Told(connection)
        with capture_logs() as lines:
            await connection.ask("SET", "gateway:{fleet}:version", "other")
            await told.ill()
            with server.client() as client:
                client.delete("gateway:{fleet}:version")
            await told.well()
        assert _told(lines) == _lines("its data has layout 'other', and this version needs '2'")


async def test_what_nobody_expected_of_a_hook_does_not_end_the_connection_for_good(redis_server: RedisServer) -> None:
    faults = [ValueError("a bug"), RuntimeError("the handler is closed")]

    async def hook() -> None:
        if faults:
            raise faults.pop()

    async with Between(redis_server.port) as between, connected(between.url) as connection:
        connection.before_up(hook)
        told = Told(connection)
        with capture_logs() as lines:
            between.cut()
            await told.ill()
            await told.well()
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["store not reached, tried again"] * 2
