"""Nodes of a fleet in one process, each with a connection and a meter of its own; a test sets Redis's clock."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from admission.snapshots import ROUTE
from support.clock import FakeClock
from support.columns import unpacked

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account
from gateway.fleet import names
from gateway.fleet.connection import Connection, Part, Refused, Unreachable
from gateway.fleet.link import Link
from gateway.fleet.script import Script
from gateway.fleet.settings import Settings
from gateway.fleet.wire import Told
from gateway.ledger.accounts import Accounts
from gateway.ledger.balance import Balance
from gateway.ledger.encoding import decode
from gateway.ledger.records import Record
from gateway.reservation import Reservation
from gateway.roster import Roster
from gateway.till.meter import RedisMeter

# So long that a busy machine does not fail a test that is not about it.
PATIENCE = 10.0


def timed() -> Script:
    """The turn script, which is told Redis's time by one more argument, in microseconds."""
    script = Script("turn")
    assert b"redis.call('TIME')" in script.text
    text = b"local told = {0, table.remove(ARGV)}\n" + script.text.replace(b"redis.call('TIME')", b"told")
    object.__setattr__(script, "text", text)
    object.__setattr__(script, "digest", hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())
    return script


_TURN = timed()
_asking = set[asyncio.Task[None]]()

Run = Callable[[Script, Sequence[str], Sequence[Part]], Awaitable[Any]]


class Door:
    """A connection whose Redis goes by the test's clock, `ahead` seconds of it; what `lose` names is not answered."""

    def __init__(self, connection: Connection, clock: FakeClock) -> None:
        self._connection = connection
        self._clock = clock
        self.ahead = 0.0
        self.calls = self.started = 0
        self.around: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def start(self, script: Script, keys: Sequence[str], arguments: Sequence[Part], told: Told) -> None:
        self.started += 1
        began(self.run, script, keys, arguments, told)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Any:
        if script.name != "turn":
            return await self._connection.run(script, keys, arguments)
        self.calls += 1
        time = round((self._clock.steady_now + self.ahead) * 1_000_000)

        def call() -> Awaitable[Any]:
            return self._connection.run(_TURN, keys, [*arguments, time])

        return await (call() if self.around is None else self.around(call))


def began(run: Run, script: Script, keys: Sequence[str], arguments: Sequence[Part], told: Told) -> None:
    """`Connection.start` by what a test has in place of its `run`."""

    async def ask() -> None:
        try:
            reply = await run(script, keys, arguments)
        except (Unreachable, Refused) as error:
            reply = error
        told(reply)

    asking = asyncio.create_task(ask())
    _asking.add(asking)
    asking.add_done_callback(_asking.discard)


class News:
    """A log that only counts."""

    def __init__(self) -> None:
        self.known = 0
        self.applied: list[bytes] = []

    def apply(self, entries: Sequence[tuple[int, bytes]]) -> None:
        for number, entry in entries:
            if number > self.known:
                self.known = number
                self.applied.append(entry)

    def appended(self, number: int, content: bytes) -> None:
        if number == self.known + 1:
            self.known = number


class Node:
    """One gateway of a fleet, as far as its meter goes."""

    def __init__(self, connection: Connection, clock: FakeClock, timeout: float) -> None:
        self.clock = clock
        self.connection = connection
        self.door = Door(connection, clock)
        self.news = News()
        self.link = Link(self.door, self.news, clock, timeout)  # type: ignore[arg-type]  # as much of it as is used
        self.meter = RedisMeter(self.link, self.door, clock)  # type: ignore[arg-type]  # the same
        self.link.open()

    @classmethod
    async def open(cls, url: str, clock: FakeClock, *accounts: Account, timeout: float = PATIENCE) -> "Node":
        connection = await Connection.open(Settings(url, timeout=PATIENCE), clock)
        await connection.ask("SET", names.EPOCH, connection.server)
        node = cls(connection, clock, timeout)
        node.configure(*accounts)
        return node

    def configure(self, *accounts: Account, timezone: str = "UTC") -> None:
        self.meter.configure(Roster.of(accounts, timezone))

    async def charge(self, who: Account, quote: Quote, outcome: Outcome = Outcome.hit) -> Charge:
        return await self.meter.charge(who, ROUTE, quote, outcome)

    async def reserve(self, who: Account, quote: Quote) -> Reservation:
        return await self.meter.reserve(who, ROUTE, quote, "a-request")

    async def balance(self, holder: str = "ci") -> Balance:
        return (await balances(self.connection)).get(holder, Balance())

    async def close(self) -> None:
        await self.link.close()
        await self.connection.close()


async def balances(connection: Connection) -> dict[str, Balance]:
    """Everybody's columns in Redis."""
    found = {}
    for number in range(names.SHARDS):
        for holder in await connection.ask("SMEMBERS", names.holders(number)):
            found[holder.decode()] = unpacked(await connection.ask("GET", names.balance(number, holder.decode())))
    return found


async def recorded(connection: Connection) -> list[tuple[Record, int]]:
    """Every record, shard after shard."""
    entries = []
    for number in range(names.SHARDS):
        stream = await connection.ask("XRANGE", names.records(number), "-", "+")
        for place, (_, fields) in enumerate(stream, 1):
            assert int(fields[1]) == place
            entries += decode(fields[3])
    return entries


async def sound(connection: Connection) -> None:
    """Columns add up, nothing is overspent, and what was recorded says the same."""
    found = await balances(connection)
    replayed = Accounts()
    for record, count in await recorded(connection):
        replayed.apply(record, count)
    assert [holder for holder, one in found.items() if one.drift] == []
    assert {holder: one for holder, one in replayed.balances.items() if one != Balance()} == {
        holder: one for holder, one in found.items() if one != Balance()
    }
    kept = [
        int(number)
        for shard in range(names.SHARDS)
        for number in await connection.ask("HKEYS", names.open_operations(shard))
    ]
    assert sorted(kept) == sorted(replayed.open)
