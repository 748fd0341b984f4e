"""Leases on a real Redis: one of the fleet fetches, whoever else asks waits for it, and nobody waits for the dead."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleet.doors import connected
from redis import Redis
from support.polling import eventually
from support.redis_server import RedisServer

from gateway.fleet import names
from gateway.fleet.leases import Held, Leases
from gateway.ports import Landed, Landing, Lease
from gateway.stores.telling import marked

KEY = "api\n\n/v1/products/1"
GROUPS = marked(["a"])
ORDINARY, DEMANDED, FORCED = range(3)
LONG, SHORT = 10.0, 0.4
"""Seconds that a lease lasts: where its end is of no interest, and where it is."""

Node = Callable[..., Awaitable[Leases]]


@dataclass
class Log:
    known: int = 0


@pytest.fixture
async def node(redis_url: str) -> AsyncIterator[Node]:
    """Starts a node; `log` is as far as it has heard, `deaf` that it reads no inbox and renews nothing.

    It waits `timeout` seconds for Redis.
    """
    async with AsyncExitStack() as stack:

        async def start(
            url: str = redis_url, *, deaf: bool = False, log: Log | None = None, lease: float = LONG, timeout: float = 5
        ) -> Leases:
            connection = await stack.enter_async_context(connected(url, timeout))
            leases = Leases(connection, log or Log(), lease=lease)
            if not deaf:
                leases.start()
                stack.push_async_callback(leases.close)
            return leases

        yield start


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def landing(value: bytes = b"value") -> Callable[[], Awaitable[Landing]]:
    async def made() -> Landing:
        return Landing(value, GROUPS)

    return made


async def led(leases: Leases, rank: int = ORDINARY) -> Lease:
    """The lease, which nobody else has."""
    async with asyncio.timeout(LONG / 2):
        lease = await leases.ask(KEY, rank, GROUPS)
    assert isinstance(lease, Held)
    assert lease.token
    return lease


async def waiting(redis: Redis, leases: Leases, rank: int = ORDINARY, held: int = ORDINARY) -> asyncio.Task[object]:
    """A caller of `rank` who waits for the fetch of the rank `held`, and is known to."""
    lease = names.lease(names.digest(KEY), held)
    before = redis.hlen(lease)
    asking = asyncio.create_task(leases.ask(KEY, rank, GROUPS))
    await until(lambda: redis.hlen(lease) > before or asking.done())
    assert not asking.done()
    return asking


async def until(condition: Callable[[], object]) -> None:
    """Return once it is true."""
    await asyncio.to_thread(eventually, condition, every=0.001)


async def got(asking: Awaitable[object]) -> object:
    async with asyncio.timeout(10):
        return await asking


async def test_who_asks_second_gets_what_the_first_brings(node: Node, redis: Redis) -> None:
    first, second, third = [await node() for _ in range(3)]
    lease = await led(first)
    followers = [await waiting(redis, leases) for leases in (second, third, first)]
    await lease.land(landing())
    for follower in followers:
        landed = await got(follower)
        assert isinstance(landed, Landed)
        assert (landed.value, landed.outdated) == (b"value", False)
        assert 0 <= landed.since < 10
    await led(second)


async def test_a_refresh_that_has_ended_is_nobody_else_s_refresh(node: Node, redis: Redis) -> None:
    """One that is asked for after another was answered began later: it fetches, though that is not saved yet."""
    first, second = [await node() for _ in range(2)]
    ended = await led(first, FORCED)
    joined = await waiting(redis, second, FORCED, held=FORCED)
    await ended.arrive()
    looking = await waiting(redis, second, ORDINARY, held=FORCED)
    later = await led(second, FORCED)
    await ended.land(landing(b"too late"))
    await later.land(landing(b"later"))
    for waits in (joined, looking):
        landed = await got(waits)
        assert isinstance(landed, Landed)
        assert landed.value == b"later"


async def test_what_nobody_waits_for_is_not_made(node: Node, redis: Redis) -> None:
    async def unwanted() -> Landing:
        raise AssertionError("nobody waits")

    first = await node()
    lease = await led(first)
    await lease.land(unwanted)
    assert not redis.keys("gateway:{fleet}:l*")
    await led(first)


@pytest.mark.parametrize(
    ("held", "asked", "joins"),
    [(held, asked, held >= asked) for held in (ORDINARY, DEMANDED, FORCED) for asked in (ORDINARY, DEMANDED, FORCED)],
)
async def test_a_fetch_does_for_its_own_rank_and_lower_ones(
    node: Node, redis: Redis, held: int, asked: int, *, joins: bool
) -> None:
    first, second = await node(), await node()
    lease = await led(first, held)
    if not joins:
        assert (await led(second, asked)).token > lease.token
        return
    follower = await waiting(redis, second, asked, held)
    await lease.land(landing())
    assert isinstance(await got(follower), Landed)


async def test_the_highest_rank_is_waited_for(node: Node, redis: Redis) -> None:
    first, second, third = [await node() for _ in range(3)]
    ordinary, forced = await led(first, ORDINARY), await led(second, FORCED)
    follower = await waiting(redis, third, ORDINARY, FORCED)
    await ordinary.land(landing(b"ordinary"))
    await forced.land(landing(b"forced"))
    landed = await got(follower)
    assert isinstance(landed, Landed)
    assert landed.value == b"forced"


async def test_what_is_not_shared_is_waited_for_by_nobody(node: Node, redis: Redis) -> None:
    first, second, third = [await node() for _ in range(3)]
    lease = await led(first)
    follower = await waiting(redis, second)
    await lease.part()
    assert await got(follower) is None
    assert await third.ask(KEY, FORCED, GROUPS) is None
    assert 0 < redis.pttl(names.apart(names.digest(KEY))) <= 60_000
    await lease.land(landing())
    assert await third.ask(KEY, ORDINARY, GROUPS) is None


async def test_a_leader_who_is_not_heard_of_is_replaced_and_fenced_off(node: Node, redis: Redis) -> None:
    """One follower takes its place, the other waits for that one; what the dead one brings after all is nobody's."""
    dead, second, third = await node(deaf=True, lease=SHORT), await node(), await node()
    deposed = await led(dead)
    followers = {await waiting(redis, second), await waiting(redis, third)}
    done, followers = await asyncio.wait(followers, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    (replacing,) = [task.result() for task in done]
    assert isinstance(replacing, Held)
    assert replacing.token > deposed.token
    assert redis.get(names.fence(names.digest(KEY))) == str(replacing.token).encode()
    (follower,) = followers
    await until(lambda: redis.hlen(names.lease(names.digest(KEY), ORDINARY)) > len(("owner", "token", "number")))
    await deposed.land(landing(b"late"))
    await deposed.part()
    assert not follower.done()
    await replacing.land(landing(b"in time"))
    landed = await got(follower)
    assert isinstance(landed, Landed)
    assert landed.value == b"in time"


async def test_a_lease_is_renewed_while_its_node_lives(node: Node, redis: Redis) -> None:
    leases = await node(lease=SHORT)
    lease = await led(leases)
    name, fence = names.lease(names.digest(KEY), ORDINARY), names.fence(names.digest(KEY))
    for _ in range(3):
        redis.pexpire(fence, 1000)
        await until(lambda: redis.pttl(fence) > 1000)
        assert redis.pttl(name) > 0
    await lease.land(landing())
    assert not redis.exists(name)


async def test_one_that_others_took_is_renewed_no_longer(node: Node, redis: Redis) -> None:
    leases = await node(lease=SHORT)
    await led(leases)
    name = names.lease(names.digest(KEY), ORDINARY)
    redis.hset(name, "owner", "another:1")
    await until(lambda: not redis.exists(name))
    await led(leases)


async def test_a_message_that_is_lost_costs_time_alone(node: Node, redis: Redis) -> None:
    first, deaf = await node(lease=SHORT), await node(deaf=True)
    lease = await led(first)
    follower = await waiting(redis, deaf)
    await lease.land(landing())
    assert isinstance(await got(follower), Landed)


class TestOutdated:
    """What something has overtaken is not waited for by whoever asks after that."""

    async def test_a_mark_on_a_group(self, node: Node, redis: Redis) -> None:
        first, second, third = await node(log=Log(4)), await node(log=Log(4)), await node(log=Log(5))
        overtaken = await led(first)
        follower = await waiting(redis, second)
        redis.zadd(names.MARKS, {GROUPS: 5})
        lease = await led(third)
        assert lease.token > overtaken.token
        await overtaken.land(landing(b"outdated"))
        await lease.land(landing(b"fresh"))
        landed = await got(follower)
        assert isinstance(landed, Landed)
        assert (landed.value, landed.outdated) == (b"fresh", False)

    @pytest.mark.parametrize("number", [4, 5])
    async def test_only_by_what_came_after_it_began(self, node: Node, redis: Redis, number: int) -> None:
        first, second = await node(log=Log(5)), await node(log=Log(5))
        redis.zadd(names.MARKS, {GROUPS: number, marked(["another"]): 9})
        lease = await led(first)
        follower = await waiting(redis, second)
        await lease.land(landing())
        assert isinstance(await got(follower), Landed)

    @pytest.mark.parametrize("told", ["purge", "floor"])
    async def test_by_what_no_groups_tell(self, node: Node, redis: Redis, told: str) -> None:
        first, second = await node(log=Log(4)), await node(log=Log(5))
        overtaken = await led(first)
        if told == "purge":
            redis.zadd(names.PURGES, {'["below","/v1"]': 5})
        else:
            redis.set(names.FLOOR, 5)
        assert (await led(second)).token > overtaken.token

    @pytest.mark.parametrize(("heard", "outdated"), [(5, False), (4, True)], ids=["its own mark", "another's"])
    async def test_a_force_refresh_is_not_by_its_own_mark(
        self, node: Node, redis: Redis, heard: int, *, outdated: bool
    ) -> None:
        log = Log(4)
        first, second = await node(log=log), await node(log=Log(5))
        lease = await led(first, FORCED)
        redis.zadd(names.MARKS, {GROUPS: 5})
        follower = await waiting(redis, second, ORDINARY, FORCED)
        log.known = heard
        await lease.land(landing())
        landed = await got(follower)
        assert isinstance(landed, Landed)
        assert landed.outdated is outdated


async def test_where_redis_does_not_answer_each_node_leads(tmp_path: Path, node: Node) -> None:
    """What was asked before it froze it grants after: that lease is this node's, and lands for whoever waits."""
    with RedisServer(tmp_path) as server:
        first, second = await node(server.url, timeout=0.1, lease=SHORT), await node(server.url)
        await (await led(second)).land(landing())
        server.stop()
        lease = await got(first.ask(KEY, ORDINARY, GROUPS))
        assert isinstance(lease, Held)
        assert lease.token == 0
        server.go_on()
        await until(lambda: lease.token)
        with server.client() as redis:
            follower = await waiting(redis, second)
        await lease.land(landing())
        assert isinstance(await got(follower), Landed)


async def test_who_waits_where_redis_is_lost_goes_on_alone(tmp_path: Path, node: Node) -> None:
    with RedisServer(tmp_path) as server:
        first, second = await node(server.url, lease=SHORT), await node(server.url)
        lease = await led(first)
        with server.client() as redis:
            follower = await waiting(redis, second)
        server.kill9()
        alone = await got(follower)
        assert isinstance(alone, Held)
        assert alone.token == 0
        await lease.land(landing())
        await alone.part()
