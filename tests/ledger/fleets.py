"""A fleet's ledger in Redis as its nodes make it, and nodes that follow it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from redis import Redis
from support.clock import FakeClock
from support.columns import packed, unpacked

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.recovery import Recovery
from gateway.fleet.settings import Settings
from gateway.ledger.accounts import Accounts, Balance
from gateway.ledger.encoding import encode
from gateway.ledger.follower import Follower
from gateway.ledger.records import FLEET_CLOCK, Entry, Forced, Grant, Record, Reserve, Term

ACME = names.shard("acme")
TIMEOUT = 2.0
"""Seconds: the machine that tests run on may be slow, and only those of Redis ill are about that."""


class Money:
    """What the turn script does: records with their balances in one step, all of them in the shard of acme."""

    def __init__(self, url: str, shard: int = ACME) -> None:
        # Its stubs leave it open whether a reply is text.
        self.redis: Any = Redis.from_url(url)
        self.shard = shard
        self.accounts = Accounts()

    def post(self, *records: Record) -> int:
        """One entry of the stream, with each record once; its number."""
        return self.count(*((record, 1) for record in records))

    def count(self, *entries: Entry) -> int:
        """The same, with each record so often; below zero it is given back."""
        number = int(self.redis.get(names.sequence(self.shard)) or 0) + 1
        with self.redis.pipeline(transaction=True) as step:
            step.set(names.sequence(self.shard), number)
            step.xadd(names.records(self.shard), {"s": number, "g": encode(entries)})
            for place, (record, times) in enumerate(entries):
                self.accounts.apply(record, times)
                if isinstance(record, Forced):
                    window = names.forced(self.shard, record.organization)
                    moment = record.uptime if record.boot == FLEET_CLOCK else record.at
                    step.zadd(window, {f"{number} {place}": f"{moment * 1e6:.0f}"})
            for holder, balance in self.accounts.balances.items():
                step.set(names.balance(self.shard, holder), packed(balance))
                step.sadd(names.holders(self.shard), holder)
            step.delete(names.open_operations(self.shard))
            for reserve in self.accounts.open.values():
                step.hset(names.open_operations(self.shard), str(reserve.id), opened(reserve))
            step.execute()
        return number

    def go_on(self) -> None:
        """Post to the balances that Redis has."""
        for holder in self.redis.smembers(names.holders(self.shard)):
            self.accounts.put(holder.decode(), self._stored(holder.decode()))

    def columns(self, holder: str) -> tuple[int, ...]:
        """granted, charged, reserved, lapsed, balance, period, given in Redis."""
        b = self._stored(holder)
        return b.granted, b.charged, b.reserved, b.lapsed, b.balance, *b.term

    def overcharge(self, holder: str, tokens: int) -> None:
        """Count tokens in one column alone, and record nothing."""
        balance = self._stored(holder)
        balance.charged += tokens
        self.redis.set(names.balance(self.shard, holder), packed(balance))

    def _stored(self, holder: str) -> Balance:
        return unpacked(self.redis.get(names.balance(self.shard, holder)))

    def all(self) -> dict[bytes, Any]:
        """Everything that the shard holds, by key; of force refreshes only when they were."""
        found = dict[bytes, Any]()
        for key in sorted(self.redis.keys(f"gateway:{{{self.shard}}}:*")):
            match self.redis.type(key):
                case b"hash":
                    found[key] = self.redis.hgetall(key)
                case b"set":
                    found[key] = self.redis.smembers(key)
                case b"stream":
                    found[key] = self.redis.xrange(key)
                case b"zset":
                    found[key] = [score for _, score in self.redis.zrange(key, 0, -1, withscores=True)]
                case _:
                    found[key] = self.redis.get(key)
        return found

    def copy(self) -> dict[bytes, bytes]:
        """All of the database, as a snapshot or a replica has it."""
        return {key: self.redis.dump(key) for key in self.redis.keys("*")}

    def lose(self, copy: Mapping[bytes, bytes]) -> None:
        """Redis is back with this, and as another server: what came since is lost."""
        self.redis.flushdb()
        for key, value in copy.items():
            self.redis.restore(key, 0, value)
        self.redis.delete(names.EPOCH)

    def close(self) -> None:
        self.redis.close()


def opened(reserve: Reserve) -> bytes:
    return b"%d\n%b" % (reserve.id >> 32, orjson.dumps(reserve, default=tuple))


def granted(tokens: int = 1000, holder: str = "acme") -> Grant:
    return Grant(holder, tokens, Term(7, tokens), Term(-1, 0), 30.0)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await Connection.open(Settings(url, timeout=TIMEOUT), FakeClock())
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def following(
    url: str, folder: Path, window: float = 0.01, clock: FakeClock | None = None
) -> AsyncIterator[Follower]:
    """A node's follower, closed at the end."""
    async with connected(url) as connection:
        follower = await Follower.open(folder, connection, Recovery(connection, window), clock or FakeClock())
        try:
            yield follower
        finally:
            await follower.close()
