"""`gateway ledger verify|export|backup` and `gateway usage` on a book that follows Redis."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ledger.fleets import ACME, Money, following, granted
from ledger.folders import lookup, reserve
from ledger.folders import settle as settled
from support.columns import packed, unpacked
from support.config import config, product_route
from support.running_fleet import shared
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.fleet import names


@pytest.fixture
def money(redis_url: str) -> Iterator[Money]:
    with closing(Money(redis_url)) as money:
        yield money


@pytest.fixture
async def folder(redis_url: str, tmp_path: Path, money: Money) -> Path:
    """A node's that follows, and all it was told is in the book; more follows in the streams."""
    whole = config("http://up.example", product_route(), keys=[{"id": "ci", "key": "secret"}])
    whole |= {"listen": "127.0.0.1:1", "admin": {"listen": "127.0.0.1:2"}}
    whole |= {"store": shared(redis_url)}
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(whole))
    async with following(redis_url, tmp_path / "var") as follower:
        money.post(granted(1000, "ci"), lookup("ci"), reserve(1 << 32, "ci"))
        await follower.booked()
    money.post(settled(reserve(1 << 32, "ci")), granted(9, "new"), lookup("new"), lookup("ci"))
    return tmp_path / "var"


async def run(folder: Path, *arguments: str) -> Result:
    command = [*arguments, "--config", str(folder.parent / "gateway.yaml")]
    return await asyncio.to_thread(CliRunner().invoke, app, command, env={"COLUMNS": "200", "NO_COLOR": "1"})


async def test_verify_holds_the_book_against_redis(folder: Path) -> None:
    ended = await run(folder, "ledger", "verify")
    assert ended.exit_code == 0, ended.output
    assert "has the same balances; 1 entries of its streams are not in the book yet" in ended.stdout


async def test_verify_tells_of_a_balance_that_redis_has_otherwise(folder: Path, money: Money) -> None:
    place = names.balance(ACME, "ci")
    had = unpacked(money.redis.get(place))
    money.redis.set(place, packed(replace(had, granted=had.granted + 5, balance=had.balance + 5)))
    ended = await run(folder, "ledger", "verify")
    assert ended.exit_code == 1
    assert "the balance of 'ci' is Balance(granted=1005" in ended.stderr


async def test_verify_tells_of_records_that_redis_has_no_more(folder: Path, money: Money) -> None:
    money.post(lookup("ci"))
    money.redis.xtrim(names.records(ACME), maxlen=1, approximate=False)
    ended = await run(folder, "ledger", "verify")
    assert ended.exit_code == 1
    assert f"records 2 to 2 of shard {ACME} are missing in Redis" in ended.stderr


async def test_export_usage_and_backup_are_of_what_the_book_has(folder: Path, redis_url: str) -> None:
    async with following(redis_url, folder) as follower:
        await follower.booked()
    exported = await run(folder, "ledger", "export", "--since", "2026-11-01", "--format", "jsonl")
    charges = [json.loads(line) for line in exported.stdout.splitlines()]
    assert {(record["account"], record["charged"]) for record in charges if record["charged"]} == {
        ("ci", 2),
        ("ci", 9),
        ("new", 1),
    }
    used = await run(folder, "usage", "--month", "2026-11", "--format", "json")
    assert json.loads(used.stdout)["total"]["tokens"] == 12
    copy = folder.parent / "copy.sqlite3"
    assert (await run(folder, "ledger", "backup", str(copy))).exit_code == 0
    assert (await run(folder, "ledger", "verify", str(copy))).exit_code == 0
