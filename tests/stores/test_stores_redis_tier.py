"""RedisTier on a real Redis: the contract, what comes too late, expiry, and how it fails."""

from collections.abc import AsyncIterator
from typing import cast

import orjson
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from stores.fetches import StillClock
from stores.nodes import ROOM
from stores.samples import sample, variant
from stores.second_tier_contract import GROUP, KEY, Keeping, KeepingContract

from gateway.fleet import names
from gateway.rfc9111.stored import StoredResponse, Terms
from gateway.stores import TierUnavailable
from gateway.stores.encoding import plain
from gateway.stores.redis_tier import DAY, RedisTier, backend
from gateway.stores.telling import marked, place

LATEST = 5_000


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        await client.set(names.SEQUENCE, LATEST)
        yield client


@pytest.fixture
def tier(redis: Redis) -> RedisTier:
    return opened(redis, clock())


def clock(now: float = 1100.0) -> StillClock:
    """A steady clock whose seconds are small numbers, as the samples' are."""
    still = StillClock()
    still.now = now
    return still


def opened(redis: Redis, steady: StillClock, room: int = ROOM) -> RedisTier:
    return RedisTier(backend(redis, timeout=5.0), steady, room)


def marks(stored: StoredResponse) -> bytes:
    return marked((*stored.groups, place(stored.key, stored.selecting)))


async def save(tier: RedisTier, stored: StoredResponse, number: int, token: int = 0) -> bool:
    return await tier.save(stored, marks(stored), number, token)


async def fields(redis: Redis, kind: bytes) -> list[str]:
    """Those of `KEY`'s variants that begin so; names are bytes, whatever redis-py says."""
    found = cast("list[bytes]", await redis.hkeys(names.stored(names.digest(KEY))))
    return cast("list[str]", [field for field in found if field.startswith(kind)])


class Numbered:
    """A tier whose responses were fetched by nodes that knew as many entries as seconds had passed."""

    def __init__(self, tier: RedisTier) -> None:
        self._tier = tier

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        return tuple([stored for _, stored in await self._tier.load(key)])

    async def save(self, stored: StoredResponse) -> None:
        await save(self._tier, stored, int(stored.began))


class TestRedisTier(KeepingContract):
    near = 0.5

    @pytest.fixture
    def tier(self, redis: Redis) -> Keeping:
        return Numbered(opened(redis, clock()))


async def test_a_response_is_found_with_its_number(tier: RedisTier) -> None:
    assert await save(tier, sample(KEY), 7)
    assert [number for number, _ in await tier.load(KEY)] == [7]


@pytest.mark.parametrize(
    ("number", "found"), [(6, []), (7, [7]), (8, [8])], ids=["known-before", "known", "known-and-more"]
)
async def test_a_mark_outdates_what_was_fetched_without_knowing_it(
    tier: RedisTier, redis: Redis, number: int, found: list[int]
) -> None:
    stored = sample(KEY, groups=("another", *GROUP))
    await save(tier, stored, number)
    await redis.zadd(names.MARKS, {marked(GROUP): 7})
    assert [number for number, _ in await tier.load(KEY)] == found
    # Nor does a save that comes after the mark bring it.
    assert await save(tier, stored, number) is bool(found)


async def test_a_mark_on_its_place_outdates_one_variant(tier: RedisTier, redis: Redis) -> None:
    for language in ("de", "fr"):
        await save(tier, sample(KEY, selecting=variant(language)), 1)
    await redis.zadd(names.MARKS, {marked((place(KEY, variant("de")),)): 2})
    assert [stored.selecting for _, stored in await tier.load(KEY)] == [variant("fr")]


async def test_below_the_floor_nothing_is_believed(tier: RedisTier, redis: Redis) -> None:
    await save(tier, sample(KEY), 6)
    await redis.set(names.FLOOR, 7)
    assert await tier.load(KEY) == ()
    assert not await save(tier, sample(KEY), 6)
    assert await save(tier, sample(KEY), 7)


async def test_what_knows_of_more_than_there_is_comes_from_a_lost_past(tier: RedisTier) -> None:
    assert not await save(tier, sample(KEY), LATEST + 1)


@pytest.mark.parametrize(
    ("token", "fence", "kept"),
    [(0, None, True), (0, 5, True), (5, 5, True), (4, 5, False), (5, None, False)],
    ids=["no-lease", "not-leased", "holder", "deposed", "fence-gone"],
)
async def test_only_the_holder_of_the_latest_lease_saves(
    tier: RedisTier, redis: Redis, token: int, fence: int | None, kept: bool
) -> None:
    if fence is not None:
        await redis.set(names.fence(names.digest(KEY)), fence)
    assert await save(tier, sample(KEY), 1, token) is kept


async def test_of_two_that_knew_the_same_the_one_that_began_later_stays(tier: RedisTier) -> None:
    assert await save(tier, sample(KEY, began=1001.0, body=b"later"), 3)
    assert not await save(tier, sample(KEY, began=1000.0, body=b"earlier"), 3)
    assert await save(tier, sample(KEY, began=1000.0, body=b"knew more"), 4)
    assert [stored.body for _, stored in await tier.load(KEY)] == [b"knew more"]


async def test_a_save_that_comes_ten_minutes_late_is_refused(tier: RedisTier) -> None:
    assert await save(tier, sample(KEY, began=510.0), 1)
    assert not await save(tier, sample("api /late", began=490.0), 1)


async def test_ages_are_right_on_a_node_whose_clock_is_wrong(tier: RedisTier, redis: Redis) -> None:
    await save(tier, sample(KEY, began=1000.0, received=1001.0), 1)
    [(_, found)] = await opened(redis, clock(900_000.0)).load(KEY)
    assert (found.began, found.received) == pytest.approx((899_900.0, 899_901.0), abs=0.5)


async def test_nothing_is_from_the_future(tier: RedisTier) -> None:
    await save(tier, sample(KEY, began=1200.0), 1)
    [(_, found)] = await tier.load(KEY)
    assert found.began == found.received == 1100.0


@pytest.mark.parametrize(
    ("terms", "life"),
    [
        (Terms(), DAY),
        (Terms(lifetime=60.0), DAY),
        (Terms(lifetime=3 * DAY, stale_if_error=DAY, stale_while_revalidate=60.0), 4 * DAY),
        (Terms(heuristic=2 * DAY), 2 * DAY),
        (Terms(lifetime=1000 * DAY), 30 * DAY),
    ],
    ids=["no-lifetime", "short", "bridged", "heuristic", "long"],
)
async def test_a_response_expires_once_it_is_of_no_use(
    tier: RedisTier, redis: Redis, terms: Terms, life: float
) -> None:
    await save(tier, sample(KEY, terms=terms, began=1099.0, received=1100.0), 1)
    left = await redis.pttl(names.stored(names.digest(KEY)))
    assert left / 1000 == pytest.approx(life, abs=5)


async def test_the_key_expires_with_its_last_variant_and_an_expired_one_goes_with_the_next_save(
    redis: Redis,
) -> None:
    steady = clock()
    tier = opened(redis, steady)
    await save(tier, sample(KEY, selecting=variant("de"), terms=Terms(lifetime=5 * DAY)), 1)
    [field] = await fields(redis, b"m")
    about = cast("bytes", await redis.hget(names.stored(names.digest(KEY)), field))
    # As if it had been five days.
    await redis.hset(names.stored(names.digest(KEY)), field, about[:24] + bytes(8) + about[32:])
    assert await tier.load(KEY) == ()
    await save(tier, sample(KEY, selecting=variant("fr")), 1)
    assert await redis.hlen(names.stored(names.digest(KEY))) == 2


async def test_a_value_of_another_version_is_a_miss(tier: RedisTier, redis: Redis) -> None:
    await save(tier, sample(KEY), 1)
    [field] = await fields(redis, b"v")
    await redis.hset(names.stored(names.digest(KEY)), field, b"\xffrest")
    assert await tier.load(KEY) == ()
    assert await save(tier, sample(KEY, began=1001.0), 1)
    assert len(await tier.load(KEY)) == 1


async def test_a_load_is_no_larger_than_redis_can_send_at_once(
    tier: RedisTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.redis_tier.LOADED", 3_000)
    for number in range(5):
        await save(tier, sample(KEY, selecting=variant(str(number)), began=1000.0 + number, body=bytes(1_000)), 1)
    assert [stored.selecting for _, stored in await tier.load(KEY)] == [variant("4"), variant("3")]


async def test_purges_are_told_with_their_numbers(tier: RedisTier, redis: Redis) -> None:
    written = ("route", "a", "", "", "/{x}"), ("prefix", "api", "/v1/é\udcff")
    await redis.zadd(names.PURGES, {orjson.dumps(plain(one)): number for number, one in enumerate(written, 8)})
    assert await tier.purges() == tuple(enumerate(written, 8))


async def test_scripts_that_redis_has_forgotten_are_sent_again(tier: RedisTier, redis: Redis) -> None:
    await redis.script_flush()
    assert await save(tier, sample(KEY), 1)
    await redis.script_flush()
    assert len(await tier.load(KEY)) == 1


async def test_one_round_trip_for_a_load_and_one_for_a_save(tier: RedisTier, redis: Redis) -> None:
    await save(tier, sample(KEY), 1)
    await tier.load(KEY)
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await save(tier, sample(KEY), 1)
    await tier.load(KEY)
    stats = await redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == before + 2


async def test_whatever_goes_wrong_is_one_error_without_words_of_redis(tier: RedisTier, redis: Redis) -> None:
    await redis.set(names.stored(names.digest(KEY)), "another type")
    for call in (tier.load(KEY), save(tier, sample(KEY), 1)):
        with pytest.raises(TierUnavailable, match=r"^ResponseError$"):
            await call
    gone = opened(Redis(port=1, retry=Retry(NoBackoff(), 0)), clock())
    for unreached in (gone.load(KEY), save(gone, sample(KEY), 1), gone.purges()):
        with pytest.raises(TierUnavailable, match=r"^ConnectionError$"):
            await unreached
