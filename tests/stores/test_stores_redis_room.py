"""The room of the shared tier on a real Redis: what is in the account, what makes room, and what never does."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import cast

import pytest
from redis.asyncio import Redis
from stores.fetches import StillClock
from stores.nodes import ROOM
from stores.samples import sample, variant
from support.redis_server import RedisServer

from gateway.fleet import names
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.redis_tier import RedisTier, backend

OWN = 280
"""What the account counts for itself with each cache key."""
KB = 1 << 10


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        await client.set(names.SEQUENCE, 100)
        yield client


def opened(redis: Redis, room: int = ROOM) -> RedisTier:
    clock = StillClock()
    clock.now = 1100.0
    return RedisTier(backend(redis, timeout=5.0), clock, room)


async def save(tier: RedisTier, key: str, kibibytes: int = 1, **about: object) -> bool:
    return await tier.save(content(key, kibibytes, **about), b"", 1)


def content(key: str, kibibytes: int, **about: object) -> StoredResponse:
    return sample(key, body=bytes(kibibytes * KB), **about)  # type: ignore[arg-type]


def name(key: str) -> str:
    return names.stored(names.digest(key))


async def there(redis: Redis) -> set[str]:
    found = cast("list[bytes]", await redis.keys(f"{names.STORED}*"))
    return {key.decode() for key in found}


async def held(redis: Redis) -> tuple[int, int]:
    """Responses and bytes, by a look at each key."""
    keys = await there(redis)
    responses = [await redis.hlen(key) // 2 for key in keys]
    used = [int(await redis.memory_usage(key, samples=0) or 0) + OWN for key in keys]
    return sum(responses), sum(used)


async def unused(redis: Redis, key: str, seconds: int) -> None:
    """As if nobody had asked for it for so long."""
    dumped, left = await redis.dump(name(key)), await redis.pttl(name(key))
    assert dumped is not None
    await redis.restore(name(key), left, dumped, replace=True, idletime=seconds)


async def test_the_account_is_what_redis_holds_whatever_is_replaced(redis: Redis) -> None:
    tier, random = opened(redis), Random(7)
    assert await tier.account() == (0, 0)
    for number in range(60):
        await save(tier, f"api /{random.randrange(9)}", random.randrange(40), selecting=variant("abc"[number % 3]))
        assert await tier.account() == await held(redis), number
    # Another node finds it as it is, and so does one after a restart.
    assert await opened(redis).account() == await tier.account()


async def test_variants_beyond_the_most_leave_the_account(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.redis_tier.VARIANTS", 2)
    tier = opened(redis)
    for language in "abcd":
        await save(tier, "api /", selecting=variant(language))
    assert await tier.account() == await held(redis)
    assert (await tier.account())[0] == 2


async def test_what_is_refused_changes_nothing(redis: Redis) -> None:
    tier = opened(redis)
    await save(tier, "api /")
    before = await tier.account()
    assert not await tier.save(content("api /late", 1), b"", 101)
    assert await tier.account() == before


async def test_what_is_refused_takes_nothing_away_that_the_account_still_has(redis: Redis) -> None:
    tier, key = opened(redis), name("api /")
    await save(tier, "api /", selecting=variant("a"))
    first = await redis.hkeys(key)
    for language in "bcdefghijklmnopqrst":
        await save(tier, "api /", selecting=variant(language))
    # As if the time of all others had come.
    for field, about in cast("dict[bytes, bytes]", await redis.hgetall(key)).items():
        if field.startswith(b"m") and field not in first:
            await redis.hset(key, field, about[:24] + bytes(8) + about[32:])
    assert not await save(tier, "api /", selecting=variant("a"), began=999.0)
    assert await tier.account() == await held(redis)


async def test_it_is_never_more_than_its_room_and_the_latest_is_there(redis: Redis) -> None:
    tier, random = opened(redis, 200 * KB), Random(3)
    for number in range(200):
        assert await save(tier, f"api /{number}", random.randrange(1, 30))
        responses, used = await tier.account()
        assert used <= 200 * KB
        assert name(f"api /{number}") in await there(redis)
    assert (responses, used) == await held(redis)
    assert tier.evictions == 200 - responses > 0


async def test_what_was_used_least_recently_goes_first(redis: Redis) -> None:
    tier = opened(redis)
    for number in range(4):
        await save(tier, f"api /{number}", 10)
        await unused(redis, f"api /{number}", 1000 - number)
    # To be loaded is to be used, by whichever node.
    await opened(redis).load("api /0")
    tier.room = (await tier.account())[1]
    await save(tier, "api /new", 10)
    assert await there(redis) == {name(f"api /{key}") for key in ("0", "2", "3", "new")}


async def test_where_redis_counts_uses_the_least_used_goes_first(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--maxmemory-policy", "volatile-lfu", "--lfu-log-factor", "0") as server:
        async with Redis.from_url(server.url) as redis:
            await redis.set(names.SEQUENCE, 100)
            tier = opened(redis)
            for key in ("api /used", "api /not"):
                await save(tier, key, 10)
            for _ in range(50):
                await tier.load("api /used")
            tier.room = (await tier.account())[1]
            await save(tier, "api /new", 10)
            assert await there(redis) == {name("api /used"), name("api /new")}


async def test_less_room_is_reached_with_the_next_saves_some_at_a_time(redis: Redis) -> None:
    tier = opened(redis)
    for number in range(100):
        await save(tier, f"api /{number}")
    tier.room = 10 * KB
    await save(tier, "api /0")
    assert tier.evictions == 64
    await save(tier, "api /0")
    assert (await tier.account())[1] <= 10 * KB
    assert await tier.account() == await held(redis)


async def test_what_is_larger_than_all_room_stays_until_the_next(redis: Redis) -> None:
    tier = opened(redis, 10 * KB)
    await save(tier, "api /large", 20)
    await save(tier, "api /small")
    assert await there(redis) == {name("api /small")}
    assert await tier.account() == await held(redis)


async def test_what_has_expired_leaves_the_account_and_is_not_an_eviction(redis: Redis) -> None:
    tier = opened(redis)
    for number in range(20):
        await save(tier, f"api /{number}")
    # As if its time had come.
    for key in await there(redis):
        await redis.pexpireat(key, 1)
        await redis.zadd(names.SHARED_ENDS, {key.removeprefix(names.STORED): 1})
    await save(tier, "api /new")
    assert (await tier.account())[0] == 5
    await save(tier, "api /new")
    assert await tier.account() == await held(redis)
    assert (await redis.zcard(names.SHARED_ENDS), await redis.hlen(names.SHARED_SIZES)) == (1, 1)
    assert tier.evictions == 0


async def test_the_account_knows_when_all_under_a_key_has_expired(redis: Redis) -> None:
    await save(opened(redis), "api /")
    ends = await redis.zscore(names.SHARED_ENDS, names.digest("api /"))
    assert ends == await redis.pexpiretime(name("api /"))


async def test_what_redis_itself_has_put_out_makes_room_before_anything_that_is_there(redis: Redis) -> None:
    tier = opened(redis)
    for number in range(4):
        await save(tier, f"api /{number}", 10)
    await redis.delete(name("api /2"))
    tier.room = (await tier.account())[1]
    await save(tier, "api /new", 10)
    assert await there(redis) == {name(f"api /{key}") for key in ("0", "1", "3", "new")}
    assert await tier.account() == await held(redis)
    assert tier.evictions == 0


async def test_nothing_of_the_ledger_makes_room(redis: Redis) -> None:
    others = {names.balance(3, "acme"), names.records(3), names.MARKS, names.fence("ab"), names.kept(3, "a", "b")}
    for key in others:
        await redis.set(key, bytes(50 * KB), ex=None if "balance" in key else 1000)
    tier = opened(redis, 20 * KB)
    for number in range(50):
        await save(tier, f"api /{number}", 5)
    assert await redis.exists(*others) == len(others)
    assert tier.evictions > 40
