"""What carries a tag in the shared tier, whichever node stored it: found in pages, without its content."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from stores.fetches import StillClock
from stores.nodes import ROOM
from stores.samples import sample, variant

from gateway.fleet import names
from gateway.rfc9111.stored import Terms
from gateway.stores.redis_tier import DAY, RedisTier, backend
from gateway.stores.telling import marked

TAG, OTHER = "api\n*\nstore:1", "api\n*\nstore:2"
PATH = "api\n*\n/orders"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        await client.set(names.SEQUENCE, 100)
        yield client


@pytest.fixture
def tier(redis: Redis) -> RedisTier:
    clock = StillClock()
    clock.now = 1100.0
    return RedisTier(backend(redis, timeout=5.0), clock, ROOM)


async def save(tier: RedisTier, key: str, *groups: str, number: int = 1, **about: object) -> None:
    stored = sample(key, groups=groups, **about)  # type: ignore[arg-type]
    assert await tier.save(stored, marked(groups), number)


async def found(tier: RedisTier, group: str = TAG) -> list[tuple[int, str]]:
    return sorted([(number, stored.key) async for number, stored in tier.tagged(group)])


def tagged(group: str) -> str:
    return names.tagged(marked((group,)).hex())


async def test_what_carries_the_tag_is_found_with_its_number_and_without_its_content(tier: RedisTier) -> None:
    await save(tier, "api a", TAG, OTHER, PATH, number=3)
    await save(tier, "api b", OTHER, number=4)
    await save(tier, "api c", TAG, number=5)
    assert await found(tier) == [(3, "api a"), (5, "api c")]
    assert await found(tier, OTHER) == [(3, "api a"), (4, "api b")]
    [stored] = [stored async for _, stored in tier.tagged(TAG) if stored.key == "api a"]
    assert (stored.groups, stored.head, stored.body) == ((TAG, OTHER, PATH), b"", b"")


async def test_of_a_key_s_variants_those_that_carry_it(tier: RedisTier) -> None:
    await save(tier, "api a", TAG, selecting=variant("de"))
    await save(tier, "api a", OTHER, selecting=variant("fr"))
    assert [stored.selecting async for _, stored in tier.tagged(TAG)] == [variant("de")]


async def test_what_is_outdated_is_not_found(tier: RedisTier, redis: Redis) -> None:
    for number in (6, 7):
        await save(tier, f"api {number}", TAG, number=number)
    await redis.zadd(names.MARKS, {marked((TAG,)): 7})
    assert await found(tier) == [(7, "api 7")]


async def test_more_than_a_page_is_found_to_its_end(tier: RedisTier) -> None:
    for number in range(400):
        await save(tier, f"api {number}", TAG)
    assert {key for _, key in await found(tier)} == {f"api {number}" for number in range(400)}


async def test_paths_and_groups_of_one_share_scope_are_no_tags(tier: RedisTier, redis: Redis) -> None:
    await save(tier, "api a", PATH, "api\nk:ci\nstore:1", "a group of no kind")
    assert await redis.keys(names.tagged("*")) == []


async def test_it_lasts_as_long_as_the_longest_that_carries_it(tier: RedisTier, redis: Redis) -> None:
    for key, days in (("api a", 3), ("api b", 2)):
        await save(tier, key, TAG, terms=Terms(lifetime=days * DAY))
    assert await redis.pttl(tagged(TAG)) == pytest.approx(await redis.pttl(names.stored(names.digest("api a"))), abs=50)


async def test_what_has_gone_leaves_as_others_come(tier: RedisTier, redis: Redis) -> None:
    for number in range(100):
        await save(tier, f"api {number}", TAG)
        await redis.delete(names.stored(names.digest(f"api {number}")))
    for number in range(100, 400):
        await save(tier, f"api {number}", TAG)
    assert await redis.scard(tagged(TAG)) < 350
    assert len(await found(tier)) == 300


async def test_a_value_of_another_version_is_not_found(tier: RedisTier, redis: Redis) -> None:
    for number, value in enumerate((b"", b"\xff", b"\xff" + bytes(40))):
        await save(tier, f"api {number}", TAG)
        name = names.stored(names.digest(f"api {number}"))
        for field in await redis.hkeys(name):
            if field.startswith(b"v"):  # type: ignore[arg-type]
                await redis.hset(name, field, value)
    assert await found(tier) == []
