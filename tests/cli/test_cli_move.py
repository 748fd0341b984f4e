"""`gateway ledger move --to redis://…` as it is typed."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from jobs.asked import order
from ledger.fleets import Money, connected, following
from ledger.folders import NOVEMBER, filled, lookup
from redis import Redis
from support.clock import FakeClock
from support.columns import unpacked
from support.config import config, product_route
from support.registers import register_in
from support.running_fleet import shared
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.clock import SystemClock
from gateway.errors import BadStart
from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.ledger import recovery
from gateway.ledger.balance import Balance
from gateway.ledger.ledger import Ledger
from gateway.ledger.moving import move
from gateway.ledger.records import Forced, Term
from gateway.ledger.verify import verify

SUMS = (1480, 22, 0, 0, 1458)
"""granted, charged, reserved, lapsed and balance of what `filled` leaves, its open operation released."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    whole = config("http://up.example", product_route(), keys=[{"id": "ci", "key": "secret", "organization": "acme"}])
    whole |= {"listen": "127.0.0.1:1", "admin": {"listen": "127.0.0.1:2"}, "organizations": {"acme": {}}}
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(whole))
    with closing(filled(tmp_path / "var")) as store:
        store.post(Forced("acme", NOVEMBER, NOVEMBER + 60, "boot", 1.0), booked=False)
    return tmp_path / "var"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with closing(Redis.from_url(redis_url, decode_responses=True)) as redis:
        yield redis


def run(folder: Path, url: str, *options: str) -> Result:
    command = ["ledger", "move", "--to", url, "--config", str(folder.parent / "gateway.yaml"), *options]
    return CliRunner().invoke(app, command, env={"COLUMNS": "200", "NO_COLOR": "1"})


def told(result: Result) -> tuple[int, ...]:
    assert result.exit_code == 0, result.output
    lines = {line[:9].strip(): line[10:] for line in result.stdout.splitlines()}
    return tuple(int(lines[name]) for name in ("granted", "charged", "reserved", "lapsed", "balance"))


def test_balances_terms_and_caps_are_in_redis(folder: Path, redis_url: str, redis: Redis) -> None:
    assert told(run(folder, redis_url)) == SUMS
    assert redis.hgetall(names.HOMES) == {"ci": "acme", "shop": "acme"}
    shard = names.shard("acme")
    with closing(Redis.from_url(redis_url)) as plain:
        balance = unpacked(cast("bytes", plain.get(names.balance(shard, "shop"))))
    assert balance == Balance(480, 2, 0, 0, 478, Term(7, 500))
    assert redis.zcard(names.forced(shard, "acme")) == 1
    assert not redis.exists(names.MOVING)


def verify_with_redis(folder: Path, url: str) -> Result:
    whole = yaml.safe_load((folder.parent / "gateway.yaml").read_text())
    moved = folder.parent / "moved.yaml"
    moved.write_text(yaml.safe_dump(whole | {"store": shared(url)}))
    return CliRunner().invoke(app, ["ledger", "verify", "--config", str(moved)])


def test_a_ledger_that_has_not_moved_is_not_said_to_be_what_redis_has(folder: Path, redis_url: str) -> None:
    verified = verify_with_redis(folder, redis_url)
    assert (verified.exit_code, "has not moved to Redis" in verified.stderr) == (2, True)


def test_verified_at_once_the_book_is_what_redis_has(folder: Path, redis_url: str) -> None:
    run(folder, redis_url)
    verified = verify_with_redis(folder, redis_url)
    assert verified.exit_code == 0, verified.output
    assert "has the same balances; 0 entries" in verified.stdout


async def test_the_book_goes_on_with_what_redis_records(folder: Path, redis_url: str) -> None:
    await asyncio.to_thread(run, folder, redis_url)
    with closing(Money(redis_url)) as money:
        async with following(redis_url, folder) as follower:
            money.go_on()
            money.post(lookup("ci"))
            await follower.booked()
            assert [await follower.drift() for _ in range(names.SHARDS)][-1] == 0
    assert verify(folder / "book.sqlite3", folder).sums[1] == SUMS[1] + 1


def test_the_embedded_gateway_starts_on_it_no_more(folder: Path, redis_url: str) -> None:
    run(folder, redis_url)
    with pytest.raises(BadStart, match="kind redis"):
        Ledger.open(folder, "process", SystemClock())


def test_once_more_says_so(folder: Path, redis_url: str) -> None:
    run(folder, redis_url)
    again = run(folder, redis_url)
    assert "had moved there before" in again.stdout
    assert told(again) == SUMS


@pytest.mark.parametrize("key", [names.IDENTITY, names.BOOKS, names.sequence(3)])
def test_a_redis_that_holds_a_ledger_is_refused(folder: Path, redis_url: str, redis: Redis, key: str) -> None:
    redis.set(key, "1")
    refused = run(folder, redis_url)
    assert (refused.exit_code, "moves to an empty one" in refused.output) == (2, True)
    assert not redis.exists(names.MOVING)


def test_what_is_no_redis_is_refused(folder: Path) -> None:
    refused = run(folder, "http://redis.example")
    assert (refused.exit_code, "must be a URL" in refused.output) == (2, True)


def test_a_ledger_in_use_is_refused(folder: Path, redis_url: str, redis: Redis) -> None:
    lock = recovery.lock(folder)
    refused = run(folder, redis_url)
    os.close(lock)
    assert (refused.exit_code, "in use by another process" in refused.output) == (2, True)
    assert not redis.exists(names.MOVING, names.HOMES)


def test_another_nodes_move_is_not_disturbed(folder: Path, redis_url: str, redis: Redis) -> None:
    redis.set(names.MOVING, "another")
    refused = run(folder, redis_url)
    assert (refused.exit_code, "another node's ledger" in refused.output) == (2, True)


class Interrupted(Exception):
    """The process is killed here."""


class Interrupting:
    """A connection that is asked so many times, and then no more."""

    def __init__(self, connection: Connection, calls: int) -> None:
        self._connection = connection
        self._left = calls

    def __getattr__(self, name: str) -> Any:
        if name in ("ask", "run", "pipeline"):
            self._left -= 1
            if self._left < 0:
                raise Interrupted
        return getattr(self._connection, name)


async def test_interrupted_anywhere_it_moves_the_next_time(folder: Path, redis_url: str) -> None:
    moved, calls, charged = None, 0, 0
    while moved is None:
        async with connected(redis_url) as connection:
            with suppress(Interrupted):
                interrupting: Any = Interrupting(connection, calls)
                moved = await move(folder, interrupting, {}, FakeClock())
        calls += 1
        if moved is None:
            charged += await charged_once(folder)
    assert calls > charged > 20
    assert moved.sums == (SUMS[0], SUMS[1] + charged, 0, 0, SUMS[4] - charged)


async def test_what_moves_beside_is_there_before_the_ledger_is_redis_s(folder: Path, redis_url: str) -> None:
    async def along(connection: Connection) -> None:
        raise Interrupted

    async with connected(redis_url) as connection:
        with pytest.raises(Interrupted):
            await move(folder, connection, {}, FakeClock(), [along])
    assert await charged_once(folder) == 1


async def charged_once(folder: Path) -> int:
    """A token, as the embedded gateway that goes on charges it; none once the ledger is not its own any more."""
    try:
        ledger = Ledger.open(folder, "process", FakeClock())
    except BadStart:
        return 0
    ledger.post(lookup("ci"))
    await ledger.close()
    return 1


async def leave_one(folder: Path) -> None:
    """A background refresh that is under way when its gateway is stopped."""
    async with register_in(folder) as register:
        await register.accept(order("1"), 1.0)


async def end_all(folder: Path) -> None:
    async with register_in(folder) as register:
        for job in await register.latest(None, 10):
            await register.cancel(job.id, 2.0)


def test_background_refreshes_that_would_stay_behind_keep_it_where_it_is(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    asyncio.run(leave_one(folder))
    refused = run(folder, redis_url)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("gateway: 1 refreshes have not ended and would stay behind")
    assert redis.exists(names.MOVING, names.IDENTITY) == 0
    asyncio.run(end_all(folder))
    assert told(run(folder, redis_url)) == SUMS


def test_they_may_be_left_behind(folder: Path, redis_url: str) -> None:
    asyncio.run(leave_one(folder))
    assert told(run(folder, redis_url, "--leave-refreshes")) == SUMS
    # It has gone, whatever there is here.
    assert told(run(folder, redis_url)) == SUMS


def test_a_register_that_cannot_be_read_keeps_it_where_it_is(folder: Path, redis: Redis, redis_url: str) -> None:
    (folder / "jobs.sqlite3").write_text("no register")
    refused = run(folder, redis_url)
    assert (refused.exit_code, "the register of refreshes" in refused.stderr) == (2, True)
    assert redis.exists(names.MOVING, names.IDENTITY) == 0
