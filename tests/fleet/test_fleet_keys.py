"""Keys made at one node of a fleet hold at all of them, whoever changes them at once, and whatever becomes of Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from fleet.doors import connected
from keys.rings import Disk, Ring, create, digest, joined, loaded, overlap
from redis.asyncio import Redis
from support.clock import FakeClock
from support.polling import PATIENCE

from gateway.config.compile import snapshot
from gateway.fleet import names
from gateway.fleet.connection import Connection, Part, Unreachable
from gateway.fleet.script import Script
from gateway.keys import encoding
from gateway.keys.database import MadeAccount, MadeKey
from gateway.keys.directory import Directory
from gateway.keys.moving import moving
from gateway.keys.orders import Refused, Unavailable
from gateway.keys.planning import Planned
from gateway.keys.shared import SharedKeys

OpenNode = Callable[[], Awaitable[Ring]]

# A change is followed by a look at who has it: nobody waits longer for the dead than their heartbeat lasts.
GONE = "1"
PLANS = ("pro", "free", "pro")


@pytest.fixture
async def node(redis_url: str, tmp_path: Path) -> AsyncIterator[OpenNode]:
    """Opens nodes of one fleet, each with a keyring over the same made keys."""
    rings = list[Ring]()

    async def begin() -> Ring:
        stack = AsyncExitStack()
        connection = await stack.enter_async_context(connected(redis_url))
        ring = Ring(await joined(connection, stack), FakeClock(), loaded(tmp_path), stack)
        rings.append(ring)
        await ring.configure(ring.config)
        return ring

    yield begin
    for ring in rings:
        await ring.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def door(ring: Ring) -> Connection:
    """What a node asks Redis through."""
    assert isinstance(ring.made, SharedKeys)
    return ring.made._redis._connection


async def heard(change: Callable[[], bool]) -> None:
    """Return once something holds that the log is to bring about."""
    async with asyncio.timeout(PATIENCE):
        for _ in iter(change, True):
            await asyncio.sleep(0.001)


async def test_a_change_holds_everywhere_once_it_is_answered(node: OpenNode) -> None:
    first, second = await node(), await node()
    made = await first.keyring.create(create(id="shop", plan="pro"))
    assert second.holds(made.secret)
    assert second.keyring[digest(made.secret)].plan.name == "pro"
    assert [account.id for account in second.told] == ["shop"]
    rotated = await second.keyring.rotate("shop", overlap("0s"))
    assert [first.holds(made.secret), first.holds(rotated.secret)] == [False, True]
    await first.keyring.revoke("2")
    assert not second.holds(rotated.secret)
    assert await first.all() == await second.all()


async def test_a_node_that_comes_later_has_all_of_them(node: OpenNode) -> None:
    first = await node()
    secrets = [(await first.keyring.create(create(id="shop", throttle="5/s"))).secret for _ in range(1)]
    await first.keyring.create(create(id="other", plan="free"))
    await first.keyring.revoke("other")
    second = await node()
    assert all(map(second.holds, secrets))
    assert await second.all() == await first.all()
    assert second.keyring.account("shop") == first.keyring.account("shop")


async def test_of_two_who_describe_an_account_at_once_one_is_refused(node: OpenNode) -> None:
    rings = [await node() for _ in range(3)]
    orders = [ring.keyring.create(create(id="shop", plan=name)) for ring, name in zip(rings, PLANS, strict=True)]
    results = await asyncio.gather(*orders, return_exceptions=True)
    assert [isinstance(result, Refused) for result in results].count(True) == 2
    (made,) = [result for result in results if isinstance(result, Planned)]
    assert all(ring.holds(made.secret) for ring in rings)


async def test_many_at_once_at_many_nodes_are_each_whole(node: OpenNode) -> None:
    rings = [await node() for _ in range(3)]
    orders = [ring.keyring.create(create(id=f"shop-{place}")) for place in range(8) for ring in rings[:1]]
    orders += [ring.keyring.create(create(id="alpha")) for ring in rings[1:] for _ in range(8)]
    made = await asyncio.gather(*orders)
    assert sorted(planned.key.number for planned in made if planned.key) == list(range(1, 25))
    assert all(ring.holds(planned.secret) for planned in made for ring in rings)
    assert await rings[0].all() == await rings[1].all() == await rings[2].all()


async def test_a_revocation_wins_over_a_key_that_is_being_made(node: OpenNode) -> None:
    """Planned on what another node has changed meanwhile, it is planned again: nothing of it is lost."""
    first, second = await node(), await node()
    old = await first.keyring.create(create(id="shop"))
    await asyncio.gather(first.keyring.revoke("shop"), second.keyring.create(create(id="shop")))
    assert not first.holds(old.secret)
    assert not second.holds(old.secret)


async def test_a_lost_answer_makes_it_once(node: OpenNode, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await node(), await node()
    connection, lost = door(first), list[str]()
    run = connection.run

    async def losing(script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Any:
        reply = await run(script, keys, arguments)
        if script.name == "keys_change" and not lost:
            lost.append(script.name)
            raise Unreachable("no answer in time")
        return reply

    monkeypatch.setattr(connection, "run", losing)
    made = await first.keyring.create(create(id="shop"))
    assert lost
    assert [key.number for key in await second.all()] == [1]
    assert first.holds(made.secret)
    assert second.holds(made.secret)


async def test_what_nobody_answers_is_not_claimed_to_be_unchanged(
    node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await node()
    monkeypatch.setattr("gateway.keys.shared._AGAIN", 0.001)

    async def silent(*_: object) -> Any:
        raise Unreachable("no answer in time")

    with monkeypatch.context() as frozen:
        frozen.setattr(door(first), "run", silent)
        with pytest.raises(Unavailable, match="nobody knows whether it was changed"):
            await first.keyring.create(create(id="shop"))
    assert await first.all() == []
    await first.keyring.create(create(id="shop"))


async def test_a_node_that_missed_entries_reads_all_again(node: OpenNode, redis: Redis) -> None:
    first, second = await node(), await node()
    kept = await first.keyring.create(create(id="kept"))
    gone = await first.keyring.create(create(id="gone"))
    second.told.clear()
    # What made this version is no entry of the log that anybody could read.
    key = (await first.all())[1]._replace(revoked=7.0)
    await redis.hset(names.KEYS_MADE, "2", encoding.packed_key(key))
    await redis.hset(names.KEYS, "version", 3)
    number = await redis.incr(names.SEQUENCE)
    await redis.xadd(names.LOG, {"e": "unreadable"}, id=f"{number}-0")
    for ring in (first, second):
        await heard(lambda ring=ring: not ring.holds(gone.secret))  # type: ignore[misc]
        assert ring.holds(kept.secret)
    assert [account.id for account in second.told] == ["gone"]
    await first.keyring.revoke("kept")
    assert not second.holds(kept.secret)


async def test_the_dead_are_waited_for_no_longer_than_their_heartbeat(node: OpenNode, redis: Redis) -> None:
    first = await node()
    await redis.hset(names.KEYS_SEEN, GONE, 0)
    await first.keyring.create(create(id="shop"))
    assert GONE not in await redis.hkeys(names.KEYS_SEEN)


async def test_who_lives_is_waited_for(node: OpenNode, redis: Redis) -> None:
    first = await node()
    await redis.hset(names.KEYS_SEEN, GONE, 0)
    await redis.set(f"{names.NODE}{GONE}", "alive")
    making = asyncio.create_task(first.keyring.create(create(id="shop")))
    await heard(lambda: bool(first.told))
    assert not making.done()
    await redis.hset(names.KEYS_SEEN, GONE, 1)
    assert first.holds((await making).secret)


async def test_what_redis_has_lost_is_put_back(node: OpenNode, redis: Redis) -> None:
    """The node that knows the latest change wins, in whatever order they come."""
    first, second = await node(), await node()
    made = await first.keyring.create(create(id="shop", plan="pro"))
    other = await first.keyring.create(create(id="alpha"))
    assert isinstance(first.made, SharedKeys)
    assert isinstance(second.made, SharedKeys)
    held = [await redis.hgetall(name) for name in (names.KEYS_MADE, names.KEYS_ACCOUNTS)]
    await redis.delete(names.KEYS, names.KEYS_MADE, names.KEYS_ACCOUNTS)
    await redis.hset(names.KEYS, "version", 1)
    await asyncio.gather(first.made.put_back(), second.made.put_back())
    assert [await redis.hgetall(name) for name in (names.KEYS_MADE, names.KEYS_ACCOUNTS)] == held
    assert await redis.hgetall(names.KEYS) == {"version": "2"}
    await second.keyring.revoke("alpha")
    third = await node()
    assert [third.holds(made.secret), third.holds(other.secret)] == [True, False]


async def test_an_earlier_version_does_not_take_the_place_of_a_later_one(node: OpenNode, redis: Redis) -> None:
    first = await node()
    made = await first.keyring.create(create(id="shop"))
    assert isinstance(first.made, SharedKeys)
    await redis.hdel(names.KEYS, "version")
    await redis.hset(names.KEYS, "restoring", 2)
    await redis.delete(names.KEYS_MADE)
    await first.made.put_back()
    assert await redis.hgetall(names.KEYS_MADE) == {}
    assert first.holds(made.secret)


async def test_a_server_that_the_fleet_does_not_go_by_changes_nothing(
    node: OpenNode, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.keys.shared._AGAIN", 0.001)
    first = await node()
    await redis.set(names.EPOCH, "another")
    with pytest.raises(Unavailable):
        await first.keyring.create(create(id="shop"))
    assert await redis.exists(names.KEYS, names.KEYS_MADE) == 0


async def test_others_changes_hold_while_a_config_is_taken_over(node: OpenNode) -> None:
    """At once, and under the new config as well, though its keys had been read before."""
    first, second = await node(), await node()
    revoked = await first.keyring.create(create(id="old"))
    directory = Directory(second.config)
    with second.keyring.held():
        read = await second.keyring.reread(snapshot(second.config).keys, directory)
        await first.keyring.revoke("old")
        made = await first.keyring.create(create(id="new"))
        assert [second.holds(revoked.secret), second.holds(made.secret)] == [False, True]
        assert second.keyring.adopt(read)
    assert [second.holds(revoked.secret), second.holds(made.secret)] == [False, True]


async def test_what_was_reread_before_another_nodes_change_is_not_adopted(node: OpenNode) -> None:
    first, second = await node(), await node()
    read = await second.keyring.reread(snapshot(second.config).keys, Directory(second.config))
    made = await first.keyring.create(create(id="new"))
    assert not second.keyring.adopt(read)
    assert second.holds(made.secret)


async def test_keys_of_a_folder_move_along(node: OpenNode, redis_url: str, tmp_path: Path) -> None:
    """Over again where that was interrupted, as they are by then."""
    alone = await Ring.open(Disk(tmp_path), FakeClock(), loaded(tmp_path))
    made, gone = [(await alone.keyring.create(create(id=name, plan="pro"))).secret for name in ("shop", "gone")]
    async with connected(redis_url) as connection:
        await moving(tmp_path)(connection)
        await alone.keyring.revoke("gone")
        await moving(tmp_path)(connection)
    first = await node()
    assert [first.holds(made), first.holds(gone)] == [True, False]
    assert first.keyring.account("shop") == alone.keyring.account("shop")
    assert await first.all() == await alone.all()
    await alone.close()


async def test_the_key_itself_is_not_in_redis(node: OpenNode, redis: Redis) -> None:
    ring = await node()
    made = await ring.keyring.create(create(id="shop"))
    log = await redis.xrange(names.LOG)
    told = str([await redis.hgetall(name) for name in (names.KEYS, names.KEYS_MADE, names.KEYS_ACCOUNTS)]) + str(log)
    assert made.secret not in told
    assert digest(made.secret).hex() in told


def test_an_entry_says_all_of_a_change() -> None:
    key = MadeKey(3, bytes(range(32)), "shop", "rk_live_…aaaa", True, 1.5, expires=9.25)
    made = MadeAccount("shop", None, "pro", "10/s", "lookup refresh", None, 0.1 + 0.2)
    planned = Planned(
        "shop", 7.1, revoked=(key,), ending=(key._replace(number=1),), made=made, key=key, secret="secret"
    )
    content = encoding.entry(5, planned)
    kind, _, *rest = orjson.loads(content)
    assert (kind, encoding.change_of(rest)) == (encoding.KIND, (5, replace(planned, secret="")))
    assert b"s3" not in content
    assert encoding.key_of(encoding.packed_key(key)) == key
    assert encoding.account_of(encoding.packed_account(made)) == made
