"""What Redis has lost and a node knows comes back, each record once."""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from struct import pack, unpack
from unittest.mock import Mock

import pytest
from ledger.fleets import ACME, Money, following, granted
from ledger.samples import CHARGE, FORCED, reserve
from structlog.testing import capture_logs
from support.columns import packed
from support.polling import eventually

from gateway.fleet import names
from gateway.fleet.connection import Unreachable
from gateway.ledger import draining
from gateway.ledger.balance import Balance
from gateway.ledger.follower import Follower
from gateway.ledger.journal import Journal
from gateway.ledger.records import FLEET_CLOCK, Record, Release, Renamed, Settle, Term
from gateway.ledger.shard_book import booked

pytestmark = pytest.mark.slow

POSTS: tuple[tuple[Record, ...], ...] = (
    (granted(1000),),
    (CHARGE, CHARGE),
    (reserve(1), reserve(2), reserve(3)._replace(period=None, holder="free")),
    (Settle(reserve(1), 4, False, "refreshed", 51.0), Release(reserve(2), True, "upstream_error", 52.0)),
    (CHARGE._replace(holder="free", unlimited=True), FORCED, FORCED),
    (FORCED._replace(boot=FLEET_CLOCK, uptime=3e9), FORCED._replace(boot=FLEET_CLOCK, uptime=3e9 + 0.5)),
)
ALL = len(POSTS)


@pytest.fixture
def money(redis_url: str) -> Iterator[Money]:
    with closing(Money(redis_url)) as money:
        yield money


def posted(money: Money) -> list[dict[bytes, bytes]]:
    """A bit of everything; copies of Redis before, in between and after."""
    copies = [money.copy()]
    for records in POSTS:
        money.post(*records)
        copies.append(money.copy())
    return copies


async def agreed(follower: Follower) -> None:
    await follower._recovery.agree()


async def without_drift(follower: Follower) -> None:
    assert [await follower.drift() for _ in range(names.SHARDS)][-1] == 0


@pytest.mark.parametrize("kept", range(ALL + 1))
async def test_what_was_lost_is_put_back_as_it_was(redis_url: str, tmp_path: Path, money: Money, kept: int) -> None:
    async with following(redis_url, tmp_path) as follower:
        copies = posted(money)
        await follower.booked()
        before = money.all()
        money.lose(copies[kept])
        assert (money.all() == before) is (kept == ALL)
        await agreed(follower)
        assert money.all() == before
        await without_drift(follower)
        money.post(CHARGE)
        found = await follower.read(lambda db: booked(db, ACME))
        assert found.place.number == ALL + 1
        await without_drift(follower)


async def test_a_redis_that_came_back_empty_gets_its_balances_from_the_book(
    redis_url: str, tmp_path: Path, money: Money
) -> None:
    async with following(redis_url, tmp_path) as follower:
        posted(money)
        await follower.booked()
        before = money.all()
    # Started anew, nothing is in memory any more.
    money.lose({})
    async with following(redis_url, tmp_path) as follower:
        after = money.all()
        stream = names.records(ACME).encode()
        last = before.pop(stream)[-1][0]
        [(id_, fields)] = after.pop(stream)
        assert (id_, fields) == (last, {b"s": b"%d" % ALL, b"g": b"[]"})
        assert after == before
        assert {money.redis.hget(names.HOMES, holder) for holder in ("acme", "free")} == {
            names.somewhere(ACME).encode()
        }
        await without_drift(follower)
        money.post(CHARGE)
        await follower.booked()
        await without_drift(follower)


@pytest.mark.parametrize("kept", [0, ALL - 1], ids=["all lost", "some lost"])
@pytest.mark.parametrize(
    ("clock", "after"),
    [(None, 3_000_000_000_500_000), (8, 3_000_000_000_500_000), (4_000_000_000_000_000, 4_000_000_000_000_000)],
    ids=["clock lost", "clock set back", "clock further"],
)
async def test_the_clock_goes_on_no_earlier_than_the_windows_put_back(
    redis_url: str, tmp_path: Path, money: Money, kept: int, clock: int | None, after: int
) -> None:
    async with following(redis_url, tmp_path) as follower:
        copies = posted(money)
        await follower.booked()
        money.lose(copies[kept])
        money.redis.delete(names.CLOCK)
        if clock is not None:
            money.redis.set(names.CLOCK, pack(">dd", 7, clock))
        await agreed(follower)
        at, moment = unpack(">dd", money.redis.get(names.CLOCK))
        assert (at if clock else 7, moment) == (7, after)


async def test_a_window_that_was_not_lost_counts_nothing_twice(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path) as follower:
        posted(money)
        await follower.booked()
        before = money.all()
        money.redis.delete(names.sequence(ACME), names.records(ACME), names.EPOCH)
        await agreed(follower)
        window = names.forced(ACME, "acme").encode()
        assert money.all()[window] == before[window]


async def test_nodes_that_know_different_parts_put_all_of_it_back_once(
    redis_url: str, tmp_path: Path, money: Money
) -> None:
    async with AsyncExitStack() as nodes:
        followers = [
            await nodes.enter_async_context(following(redis_url, tmp_path / str(number))) for number in range(3)
        ]
        copies = posted(money)
        for follower in followers:
            await follower.booked()
        before = money.all()
        money.lose(copies[1])
        await asyncio.gather(*map(agreed, followers))
        assert money.all() == before
        for follower in followers:
            await without_drift(follower)


async def test_a_ring_that_does_not_reach_back_is_added_to_the_book(
    redis_url: str, tmp_path: Path, money: Money
) -> None:
    async with following(redis_url, tmp_path) as follower:
        posted(money)
        await follower.booked()
        assert follower._drainer is not None
        follower._drainer._drain.ring._most = 1500
        money.post(CHARGE)
        await follower.booked()
        before = money.all()
        money.lose({})
        await agreed(follower)
        after = money.all()
        stream = names.records(ACME).encode()
        assert after.pop(stream) == before.pop(stream)[-2:]
        assert after == before


async def test_another_fleet_in_its_place_is_not_touched(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path) as follower:
        posted(money)
        await follower.booked()
        money.lose({})
        money.redis.set(names.IDENTITY, "other")
        with pytest.raises(Unreachable, match="another fleet"):
            await agreed(follower)
        assert money.all() == {}


async def test_a_node_that_comes_too_late_with_what_it_knows_says_so(
    redis_url: str, tmp_path: Path, money: Money
) -> None:
    async with following(redis_url, tmp_path) as follower:
        money.post(granted(1000))
        copy = money.copy()
        money.post(CHARGE)
        await follower.booked()
        server = money.redis.get(names.EPOCH)
        money.lose(copy)
        # The others agreed while it was away, and went on.
        money.redis.set(names.EPOCH, server)
        money.post(CHARGE, CHARGE)
        assert follower.healthy
        with capture_logs() as logs:
            await follower._prove()
        assert [line["reason"] for line in logs] == [f"its book has another record 2 of shard {ACME} than Redis"]
        await asyncio.to_thread(eventually, lambda: not follower.healthy)


async def test_a_disk_that_is_full_holds_the_book_up_and_loses_nothing(
    redis_url: str, tmp_path: Path, money: Money, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(redis_url, tmp_path) as follower:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        monkeypatch.setattr(draining, "_AGAIN", 0.01)
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(Journal, "sync", Mock(side_effect=full))
            money.post(granted(1000), CHARGE)
            await asyncio.to_thread(eventually, lambda: not follower.healthy)
        found = await follower.read(lambda db: booked(db, ACME))
        assert found.balances["acme"].charged == 6
        assert follower.healthy
        assert [line["reason"] for line in logs] == ["No space left on device"]


@pytest.mark.parametrize("kept", [0, 1], ids=["all lost", "some lost"])
async def test_whoever_reserved_is_looked_after_again(redis_url: str, tmp_path: Path, money: Money, kept: int) -> None:
    async with following(redis_url, tmp_path) as follower:
        copies = [{}, money.copy()]
        money.post(granted(1000), reserve(7 << 32))
        await follower.booked()
        money.lose(copies[kept])
        await agreed(follower)
        assert money.redis.sismember(names.NODES, 7)


async def test_a_balance_taken_over_across_shards_is_put_back_where_it_is(
    redis_url: str, tmp_path: Path, money: Money
) -> None:
    elsewhere = (ACME + 1) % names.SHARDS
    with closing(Money(redis_url, elsewhere)) as other:
        async with following(redis_url, tmp_path) as follower:
            other.post(granted(100, "old"))
            money.post(granted(1000))
            await follower.booked()
            copy = money.copy()
            money.post(Renamed("old", "acme", 100, 0, 0, 100, Term(7, 1000), Term(7, 100), Term(7, 1000), 50.0))
            money.redis.set(names.balance(elsewhere, "old"), packed(Balance()))
            money.redis.srem(names.holders(ACME), "old")
            money.redis.delete(names.balance(ACME, "old"))
            await follower.booked()
            before = money.all() | other.all()
            money.lose(copy)
            await agreed(follower)
            assert money.all() | other.all() == before
