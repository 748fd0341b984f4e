"""Which folders a follower takes, and with whom it shares one."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from ledger.fleets import ACME, Money, following, granted
from ledger.samples import CHARGE
from support.clock import FakeClock
from support.polling import eventually

from gateway.errors import BadStart
from gateway.fleet import names
from gateway.ledger.backup import backup
from gateway.ledger.follower import Follower
from gateway.ledger.ledger import Ledger
from gateway.ledger.shard_book import booked


@pytest.fixture
def money(redis_url: str) -> Iterator[Money]:
    with closing(Money(redis_url)) as money:
        yield money


async def charged(follower: Follower) -> int:
    found = await follower.read(lambda db: booked(db, ACME))
    return found.balances["acme"].charged


async def test_a_second_process_reads_and_takes_over(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with AsyncExitStack() as one:
        first = await one.enter_async_context(following(redis_url, tmp_path))
        async with following(redis_url, tmp_path) as second:
            money.post(granted(1000), CHARGE)
            assert await charged(second) == await charged(first) == 6
            await one.aclose()
            money.post(CHARGE)
            async with asyncio.timeout(10):
                await asyncio.wait(second._tasks, return_when=asyncio.FIRST_COMPLETED)
            assert await charged(second) == 12
            assert second.healthy


async def test_an_embedded_ledger_is_no_book_of_a_fleet(redis_url: str, tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    ledger.post(granted())
    await ledger.close()
    with pytest.raises(BadStart, match="gateway ledger move"):
        async with following(redis_url, tmp_path):
            pass


async def test_a_fleets_book_is_no_embedded_ledger(redis_url: str, tmp_path: Path) -> None:
    async with following(redis_url, tmp_path):
        pass
    with pytest.raises(BadStart, match="kind redis"):
        Ledger.open(tmp_path, "process", FakeClock())


async def test_another_fleets_book_is_refused(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path):
        pass
    money.redis.set(names.IDENTITY, "other")
    with pytest.raises(BadStart, match="another fleet"):
        async with following(redis_url, tmp_path):
            pass


async def test_a_backup_of_another_node_goes_on(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path / "a") as first:
        money.post(granted(1000), CHARGE)
        await first.booked()
        (tmp_path / "b").mkdir()
        backup(tmp_path / "a", tmp_path / "b" / "book.sqlite3")
        money.post(CHARGE)
        async with following(redis_url, tmp_path / "b") as second:
            assert await charged(second) == 12
            assert await charged(first) == 12


async def test_a_book_the_streams_do_not_reach_back_to_is_refused(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path) as follower:
        money.post(granted(1000))
        await follower.booked()
    for _ in range(3):
        money.post(CHARGE)
    money.redis.xtrim(names.records(ACME), maxlen=1, approximate=False)
    with pytest.raises(BadStart, match=f"lacks records 2 to 3 of shard {ACME}"):
        async with following(redis_url, tmp_path):
            pass


async def test_a_book_that_knows_of_records_redis_has_lost_is_refused(
    redis_url: str, tmp_path: Path, money: Money
) -> None:
    async with following(redis_url, tmp_path) as follower:
        money.post(granted(1000))
        money.post(CHARGE)
        await follower.booked()
    lost = money.redis.xrange(names.records(ACME))[-1][0]
    money.redis.xdel(names.records(ACME), lost)
    money.redis.set(names.sequence(ACME), 1)
    with pytest.raises(BadStart, match="Redis has lost those after 1"):
        async with following(redis_url, tmp_path):
            pass
    money.post(CHARGE)
    with pytest.raises(BadStart, match="another record 2"):
        async with following(redis_url, tmp_path):
            pass


async def test_a_gap_that_opens_while_it_runs_makes_it_ill(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path) as follower:
        money.post(granted(1000))
        await follower.booked()
        money.redis.incr(names.sequence(ACME))
        money.post(CHARGE)
        await asyncio.to_thread(eventually, lambda: not follower.healthy)


async def test_a_move_that_has_not_arrived_is_refused(redis_url: str, tmp_path: Path, money: Money) -> None:
    money.redis.set(names.MOVING, "elsewhere")
    with pytest.raises(BadStart, match="run `gateway ledger move` once more"):
        async with following(redis_url, tmp_path):
            pass
