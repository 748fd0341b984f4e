"""What a fleet does about a Redis that is not the one it went by."""

import asyncio
from pathlib import Path

import pytest
from fleet.doors import connected
from ledger.fleets import Money, following, granted
from ledger.samples import CHARGE
from structlog.testing import capture_logs
from support.polling import eventually
from support.redis_server import RedisServer
from support.relay import Relay

from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.failures import CLOSED
from gateway.fleet.recovery import Recovery


class Keeper:
    """Says how often it was asked to put something back, and what the fleet went by then."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.asked: list[bool] = []

    async def put_back(self) -> None:
        self.asked.append(await self._connection.ask("EXISTS", names.EPOCH) == 1)


async def test_nothing_is_put_back_where_all_agree(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        keeper, recovery = Keeper(connection), Recovery(connection, 0.01)
        recovery.keep(keeper.put_back)
        await connection.ask("SET", names.EPOCH, connection.server)
        await recovery.agree()
        assert keeper.asked == []


async def test_everybody_puts_back_before_it_is_agreed(redis_url: str) -> None:
    async with connected(redis_url) as one, connected(redis_url) as other:
        keepers = Keeper(one), Keeper(other)
        recoveries = Recovery(one, 0.05), Recovery(other, 0.05)
        for keeper, recovery in zip(keepers, recoveries, strict=True):
            recovery.keep(keeper.put_back)
        await asyncio.gather(*(recovery.agree() for recovery in recoveries))
        assert await one.ask("GET", names.EPOCH) == one.server.encode()
        # Whoever leads asks once more, at the end of the time that the others have.
        assert sorted(map(len, (keeper.asked for keeper in keepers))) == [1, 2]
        assert not any(agreed for keeper in keepers for agreed in keeper.asked)
        assert await one.ask("EXISTS", names.RECOVERY) == 0


async def test_who_was_overtaken_by_another_does_not_decide(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        recovery = Recovery(connection, 0.0)
        await connection.ask("SET", names.RECOVERY, "another")
        await recovery._lead()
        assert not await recovery.agreed()
        await connection.ask("PEXPIRE", names.RECOVERY, 100)
        await recovery.agree()
        assert await recovery.agreed()


@pytest.mark.parametrize(
    ("before", "told"),
    [(None, ("info", "store begun with")), ("another", ("warning", "store changed"))],
    ids=["the first start of a fleet", "another server"],
)
async def test_only_another_server_than_before_is_worth_a_warning(
    redis_url: str, before: str | None, told: tuple[str, str]
) -> None:
    async with connected(redis_url) as connection:
        if before is not None:
            await connection.ask("SET", names.EPOCH, before)
        with capture_logs() as lines:
            await Recovery(connection, 0.0).agree()
    assert [(line["log_level"], line["event"]) for line in lines] == [told, ("info", "store agreed on")]


async def test_one_that_lost_what_this_node_went_by_has_changed(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        recovery = Recovery(connection, 0.0)
        await recovery.agree()
        await connection.ask("FLUSHDB")
        with capture_logs() as lines:
            await recovery.agree()
    assert lines[0]["event"] == "store changed"


async def test_every_node_says_once_that_it_has_changed_and_once_that_it_is_agreed_on(redis_url: str) -> None:
    async with connected(redis_url) as one, connected(redis_url) as other:
        await one.ask("SET", names.EPOCH, "another")
        with capture_logs() as lines:
            await asyncio.gather(*(Recovery(connection, 0.05).agree() for connection in (one, other)))
    assert [line["event"] for line in lines] == ["store changed"] * 2 + ["store agreed on"] * 2


async def test_who_loses_redis_meanwhile_says_it_no_second_time(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        await connection.ask("SET", names.EPOCH, "another")
        recovery, attempts = Recovery(connection, 0.0), iter((True, True))

        async def put_back() -> None:
            if next(attempts, False):
                raise Unreachable(CLOSED)

        recovery.keep(put_back)
        with capture_logs() as lines:
            for _ in range(2):
                with pytest.raises(Unreachable):
                    await recovery.agree()
            await Recovery(connection, 0.0).agree()
            for _ in range(2):
                await recovery.agree()
    events = [line["event"] for line in lines]
    assert events == ["store changed", "store changed", "store agreed on", "store agreed on"]


async def test_a_redis_without_an_answer_is_told(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        recovery = Recovery(connection, 0.0)
    with pytest.raises(Unreachable):
        await recovery.agree()


async def test_a_restart_that_lost_everything_has_all_of_it_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        money = Money(server.url)
        async with following(server.url, tmp_path / "node") as follower:
            for records in ([granted(1000)], [CHARGE], [CHARGE]):
                money.post(*records)
            await follower.booked()
            before = money.all()
            await asyncio.to_thread(server.restart)
            await asyncio.to_thread(eventually, lambda: money.redis.exists(names.EPOCH))
            assert money.all() == before
        money.close()


async def test_a_replica_that_lacks_the_latest_is_promoted_and_gets_it(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as primary, Relay(primary.port) as relay:
        replica, money = primary.replica(), Money(primary.url)
        async with following(relay.url("redis"), tmp_path / "node") as follower:
            money.post(granted(1000), CHARGE)
            await follower.booked()
            money.redis.wait(1, 5000)
            replica.promote()
            for _ in range(3):
                money.post(CHARGE)
            await follower.booked()
            before = money.all()
            promoted = Money(replica.url)
            assert promoted.all() != before
            relay.turn_to(replica.port)
            server = promoted.redis.info("server")["run_id"].encode()
            await asyncio.to_thread(eventually, lambda: promoted.redis.get(names.EPOCH) == server)
            assert promoted.all() == before
            assert [await follower.drift() for _ in range(names.SHARDS)][-1] == 0
        money.close()
        promoted.close()


async def test_who_empties_redis_does_not_empty_the_ledger(redis_url: str, tmp_path: Path) -> None:
    money = Money(redis_url)
    async with following(redis_url, tmp_path) as follower:
        money.post(granted(1000), CHARGE)
        await follower.booked()
        before = money.all()
        money.redis.flushdb()
        await asyncio.to_thread(eventually, lambda: money.redis.exists(names.EPOCH))
        assert money.all() == before
    money.close()
