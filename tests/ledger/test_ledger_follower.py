import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger.auditing import audit
from ledger.fleets import ACME, Money, following, granted
from ledger.samples import CHARGE, FORCED, reserve

from gateway.fleet import names
from gateway.ledger import shards
from gateway.ledger.accounts import Balance
from gateway.ledger.records import Refund, Release, Settle, Term
from gateway.ledger.shard_book import Booked, booked
from gateway.ledger.verify import verify


@pytest.fixture
def money(redis_url: str) -> Iterator[Money]:
    with closing(Money(redis_url)) as money:
        yield money


def book_of(db: sqlite3.Connection) -> Booked:
    return booked(db, ACME)


def audited(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "book.sqlite3")) as db:
        audit(db)


async def test_what_is_posted_is_in_the_book_that_is_read(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path) as follower:
        money.post(granted(1000))
        money.post(CHARGE, CHARGE, FORCED)
        money.post(reserve(1), reserve(2), reserve(3))
        money.post(Settle(reserve(1), 9, False, "refreshed", 51.0), Release(reserve(2), True, "upstream_error", 52.0))
        money.post(Refund(reserve(1), 9, False, "truncated", 53.0))
        found = await follower.read(book_of)
        assert found.balances == {"acme": Balance(1000, 12, 9, 9, 970, Term(7, 1000))}
        assert found.open == [reserve(3)]
        assert found.place.number == 5
        assert [await follower.drift() for _ in range(names.SHARDS)] == [0] * names.SHARDS
        assert follower.healthy
    verify(tmp_path / "book.sqlite3", tmp_path)
    audited(tmp_path)


@pytest.mark.parametrize("later", [0, 1], ids=["in its minute", "in the next"])
@pytest.mark.parametrize("together", [True, False], ids=["in one group", "in two"])
async def test_charges_that_were_given_back_are_no_damage(
    redis_url: str, tmp_path: Path, money: Money, later: int, together: bool
) -> None:
    charge = CHARGE._replace(minute=40_000_000)
    async with following(redis_url, tmp_path) as follower:
        money.post(granted(1000), charge)
        money.count((charge, 3))
        if not together:
            await follower.booked()
        money.count((charge._replace(minute=charge.minute + later), -4))
        assert (await follower.read(book_of)).balances == {"acme": Balance(1000, 0, 0, 0, 1000, Term(7, 1000))}
        assert [await follower.drift() for _ in range(names.SHARDS)] == [0] * names.SHARDS
    verify(tmp_path / "book.sqlite3", tmp_path)
    audited(tmp_path)


async def test_a_restart_reads_on_where_it_was(redis_url: str, tmp_path: Path, money: Money) -> None:
    for _ in range(3):
        async with following(redis_url, tmp_path) as follower:
            money.post(granted(1000), CHARGE)
            await follower.booked()
        money.post(CHARGE)
    async with following(redis_url, tmp_path) as follower:
        found = await follower.read(book_of)
    assert (found.place.number, found.balances["acme"].charged) == (6, 36)
    audited(tmp_path)


async def test_a_new_folder_begins_with_the_balances_there_are(redis_url: str, tmp_path: Path, money: Money) -> None:
    money.post(granted(1000), CHARGE, reserve(1), reserve(2)._replace(period=None))
    async with following(redis_url, tmp_path) as follower:
        money.post(Settle(reserve(1), 4, False, "refreshed", 51.0), CHARGE)
        found = await follower.read(book_of)
        assert await follower.drift() == 0
    assert found.balances == {"acme": Balance(1009, 16, 9, 0, 984, Term(7, 1000))}
    proof = verify(tmp_path / "book.sqlite3", tmp_path)
    assert proof.sums == (1009, 16, 9, 0, 984)
    audited(tmp_path)


async def test_books_of_several_nodes_are_the_same(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path / "a") as first:
        money.post(granted(1000), CHARGE)
        async with following(redis_url, tmp_path / "b") as second:
            money.post(CHARGE)
            assert await first.read(book_of) == await second.read(book_of)


async def test_drift_is_what_book_and_redis_differ_by(redis_url: str, tmp_path: Path, money: Money) -> None:
    async with following(redis_url, tmp_path) as follower:
        money.post(granted(1000), CHARGE)
        await follower.booked()
        money.overcharge("acme", 3)
        drifts = [await follower.drift() for _ in range(names.SHARDS)]
        # Its columns do not add up, and the book has another sum.
        assert drifts[-1] == 6


async def test_drift_in_a_large_shard_is_found_a_part_at_a_time(
    redis_url: str, tmp_path: Path, money: Money, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_SUMMED", 50)
    async with following(redis_url, tmp_path) as follower:
        money.post(*(granted(1000, f"key{number}") for number in range(600)))
        await follower.booked()
        for number in (7, 500):
            money.overcharge(f"key{number}", 3)
        drifts = [await follower.drift() for _ in range(names.SHARDS)]
        assert drifts[-1] == 0
        drifts += [await follower.drift() for _ in range(names.SHARDS)]
        assert drifts[-1] == 12
