"""The fleet's log at one node: applied in order, once, and a gap outdates everything."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from gateway.fleet import names
from gateway.fleet.connection import Part, Unreachable
from gateway.fleet.following import Followed
from gateway.fleet.log import Entry, Log
from gateway.fleet.script import Script

OURS, THEIRS = 1, 2


class Door:
    """Redis as far as the log needs it: scripts on a real one, reads as given."""

    def __init__(self, redis: Redis) -> None:
        self.incarnation = OURS
        self.redis = redis
        self.reads: deque[Followed | Exception] = deque()
        self.asked: list[str] = []
        self.read_all = asyncio.Event()

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Any:
        return await self.redis.eval(script.text.decode(), len(keys), *keys, *arguments)

    async def follow(self, streams: Mapping[str, str], most: int, block: float) -> Followed:
        self.asked.append(streams[names.LOG])
        if not self.reads:
            self.read_all.set()
            await asyncio.Event().wait()
        read = self.reads.popleft()
        if isinstance(read, Exception):
            raise read
        return read


class Node:
    """A log, what it has applied, and how many gaps it has seen."""

    def __init__(self, redis: Redis) -> None:
        self.door = Door(redis)
        self.log = Log(self.door)
        self.applied: list[Any] = []
        self.gaps = self.joins = 0
        self.log.on("mark", self.applied.append)
        self.log.on_gap(self._gap)
        self.log.on_join(self._join)

    def _gap(self) -> None:
        self.gaps += 1

    def _join(self) -> None:
        self.joins += 1


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def node(redis: Redis) -> Node:
    return Node(redis)


def mark(number: int, *rest: object, incarnation: int = THEIRS, kind: str = "mark") -> Entry:
    return number, orjson.dumps([kind, incarnation, *rest])


async def test_entries_are_applied_in_order_and_once(node: Node) -> None:
    node.log.apply([mark(1, "a"), mark(2, "b")])
    node.log.apply([mark(1, "a"), mark(2, "b"), mark(3, "c")])
    assert (node.applied, node.log.known, node.gaps) == ([["a"], ["b"], ["c"]], 3, 0)


async def test_what_this_node_has_made_is_not_applied(node: Node) -> None:
    node.log.apply([mark(1, incarnation=OURS), mark(2, "b")])
    assert (node.applied, node.log.known) == ([["b"]], 2)


async def test_while_an_entry_is_applied_its_number_is_known(node: Node) -> None:
    known: list[int] = []
    node.log.on("other", lambda _: known.append(node.log.known))
    node.log.apply([mark(1, kind="other"), mark(2, kind="other")])
    assert known == [1, 2]


@pytest.mark.parametrize(
    "entries",
    [
        [mark(2, "b")],
        [(1, b"no JSON")],
        [(1, b'"mark"')],
        [(1, b"[]")],
        [mark(1, kind="of a later version")],
        [(1, b"7")],
    ],
    ids=["missing", "no-json", "no-array", "empty", "unknown-kind", "number"],
)
async def test_an_entry_that_cannot_be_read_is_a_gap(node: Node, entries: list[Entry]) -> None:
    node.log.apply(entries)
    number = entries[-1][0]
    assert (node.gaps, node.applied, node.log.known) == (1, [], number)
    node.log.apply([mark(number + 1, "next")])
    assert (node.gaps, node.applied) == (1, [["next"]])


async def test_an_entry_that_its_applier_cannot_read_is_a_gap(node: Node) -> None:
    def applier(rest: list[Any]) -> None:
        raise ValueError(rest)

    node.log.on("purge", applier)
    node.log.apply([mark(1, kind="purge")])
    assert node.gaps == 1


async def test_the_nodes_own_next_entry_is_known_and_a_later_one_is_not(node: Node) -> None:
    node.log.appended(1, b"[]")
    node.log.appended(3, b"[]")
    assert node.log.known == 1
    node.log.apply([mark(2, "b"), mark(3, incarnation=OURS)])
    assert (node.log.known, node.applied, node.gaps) == (3, [["b"]], 0)


async def test_an_entry_says_its_kind_and_who_made_it(node: Node) -> None:
    assert orjson.loads(node.log.entry("mark", ["a"], True)) == ["mark", OURS, ["a"], True]


async def test_who_joins_begins_where_the_log_is(node: Node, redis: Redis) -> None:
    await redis.set(names.SEQUENCE, 41)
    await node.log.rejoin()
    assert (node.log.known, node.joins, node.gaps) == (41, 1, 0)


async def test_who_comes_back_goes_on_where_it_was(node: Node, redis: Redis) -> None:
    await node.log.rejoin()
    await redis.set(names.SEQUENCE, 41)
    await node.log.rejoin()
    assert (node.log.known, node.joins) == (0, 2)


async def test_what_redis_has_lost_is_a_gap_for_everybody(node: Node, redis: Redis) -> None:
    other = Node(redis)
    for one, known in ((node, 41), (other, 39)):
        await redis.set(names.SEQUENCE, known)
        await one.log.rejoin()
    await redis.set(names.SEQUENCE, 40)
    await node.log.rejoin()
    await other.log.rejoin()
    number = int(await redis.get(names.SEQUENCE) or 0)
    assert number > 1_000_000
    assert await redis.get(names.FLOOR) == b"%d" % number
    assert await redis.xrange(names.LOG, f"{number}-0", f"{number}-0")
    for one in (node, other):
        one.door.reads.append([(names.LOG, [(f"{number}-0", {b"e": b'["gap",0]'})])])
        following = asyncio.create_task(one.log.follow())
        await one.door.read_all.wait()
        following.cancel()
        assert (one.gaps, one.log.known) == (1, number)


async def put(redis: Redis, number: int, content: bytes) -> None:
    await redis.set(names.SEQUENCE, number)
    await redis.xadd(names.LOG, {b"e": content}, f"{number}-0")


@pytest.mark.parametrize("how", ["own", "heard", "there when it joined"])
async def test_what_others_have_put_in_the_place_of_what_redis_has_lost_is_a_gap(
    node: Node, redis: Redis, how: str
) -> None:
    """After a failover they may have been here before, and have made as many entries as were lost."""
    number, lost = mark(1)
    if how == "there when it joined":
        await put(redis, number, lost)
    await node.log.rejoin()
    if how == "own":
        node.log.appended(number, lost)
    elif how == "heard":
        node.log.apply([(number, lost)])
    await redis.delete(names.LOG)
    await put(redis, number, mark(number, "another")[1])
    await node.log.rejoin()
    latest = int(await redis.get(names.SEQUENCE) or 0)
    assert latest > 1_000_000
    assert await redis.get(names.FLOOR) == b"%d" % latest
    await node.log.rejoin()
    assert int(await redis.get(names.SEQUENCE) or 0) == latest


@pytest.mark.parametrize("trimmed", [False, True])
async def test_what_is_as_it_was_or_cut_off_is_nothing_lost(node: Node, redis: Redis, trimmed: bool) -> None:
    await node.log.rejoin()
    for number in (1, 2):
        await put(redis, number, mark(number)[1])
    node.log.apply([mark(1)])
    if trimmed:
        await redis.xtrim(names.LOG, 0, approximate=False)
    await node.log.rejoin()
    assert int(await redis.get(names.SEQUENCE) or 0) == 2
    assert node.log.known == 1


async def test_it_is_followed_from_what_is_known_and_for_ever(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.fleet.log.AGAIN", 0.0)
    entries = [mark(1, "a"), mark(2, "b")]
    streams = [(names.LOG, [(f"{number}-0", {b"e": content}) for number, content in entries])]
    node.door.reads += [Unreachable("gone"), [], streams, Unreachable("gone")]
    following = asyncio.create_task(node.log.follow())
    await node.door.read_all.wait()
    following.cancel()
    assert node.applied == [["a"], ["b"]]
    assert node.door.asked == ["0-0", "0-0", "0-0", "2-0", "2-0"]
