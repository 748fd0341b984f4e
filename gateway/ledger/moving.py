"""An embedded ledger on its way into an empty Redis, where it goes on: all of it, or it stays what it was.

The book is a fleet's from one group of its journal on, written last: until then the ledger is the embedded one, and
moving it again begins anew; from then on it never is again. No gateway starts on a Redis into which one is on its way.
"""

import os
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gateway.errors import BadStart
from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.script import Script
from gateway.ledger import held as holding
from gateway.ledger import recovery, shards
from gateway.ledger.accounts import Accounts
from gateway.ledger.balance import Balance
from gateway.ledger.encoding import encode
from gateway.ledger.journal import SEGMENT, Journal
from gateway.ledger.records import Forced, Joined, LedgerCorrupt, Position, Record
from gateway.ledger.registry import NODE, name_of
from gateway.ledger.shard_book import Booked
from gateway.ledger.shards import SHARDS
from gateway.ledger.streaming import BEGINNING, Place
from gateway.ledger.tables import Tables
from gateway.ledger.totals import Sums
from gateway.ports import Clock

_CLAIM = Script("claim")
# Holders whose homes are written by one call.
_AT_ONCE = 1000


Beside = Callable[[Connection], Awaitable[None]]
"""Brings something that is no balance along."""


class Moved(NamedTuple):
    """What Redis has now: the balances of so many holders, and their sums. `before` where it had moved already."""

    holders: int
    sums: Sums
    before: bool


class _Source(NamedTuple):
    """The ledger that moves, each shard's part of it, and where each holder's balance belongs."""

    folder: Path
    journal: Journal
    parts: dict[int, Booked]
    homes: Mapping[str, str]


async def move(
    folder: Path,
    connection: Connection,
    organizations: Mapping[str, str],
    clock: Clock,
    beside: Sequence[Beside] = (),
    look: Callable[[], None] = lambda: None,
) -> Moved:
    """Moves the ledger in `folder`; `organizations` are those of the holders that the config knows.

    A balance is in the shard of its holder's organization: of another holder, the one that was charged last. What
    moves `beside` does so before the ledger is Redis's for good, and over again where that was interrupted.
    Operations that a dead process has left open are released before. `look` is called first, once nobody else has the
    folder, and raises BadStart where it must not move. Raises BadStart, and then nothing has moved.
    """
    lock = recovery.lock(folder)
    try:
        return await _move(folder, connection, organizations, clock, beside, look)
    except (OSError, sqlite3.Error, LedgerCorrupt) as error:
        raise BadStart(f"the ledger in {folder} cannot be moved: {error}") from error
    except Unreachable as error:
        raise BadStart(f"the ledger in {folder} has not moved, as Redis gives no answer: {error}") from error
    finally:
        os.close(lock)


async def _move(
    folder: Path,
    connection: Connection,
    organizations: Mapping[str, str],
    clock: Clock,
    beside: Sequence[Beside],
    look: Callable[[], None],
) -> Moved:
    if not (folder / recovery.BOOK).is_file():
        raise BadStart(f"there is no ledger in {folder}: {recovery.BOOK} is missing")
    tables = Tables(folder / recovery.BOOK, "power")
    try:
        recovery.migrate(tables, folder / recovery.JOURNAL, clock.wall())
        standpoint = recovery.standpoint(tables, folder / recovery.JOURNAL)
        if standpoint.fleet:
            return await _arrived(connection, standpoint.fleet)
        look()
        homes = {**tables.organizations(), **organizations}
        accounts, forced, journal = recovery.restore(tables, folder / recovery.JOURNAL, SEGMENT)
    finally:
        tables.close()
    try:
        recovery.release_open(accounts, journal, clock.wall())
        homes = {holder: homes.get(holder, holder) for holder in accounts.balances}
        source = _Source(folder, journal, _parts(accounts, forced, homes), homes)
        return await _carry(source, connection, clock.wall(), beside)
    finally:
        journal.close()


async def _carry(source: _Source, connection: Connection, wall: float, beside: Sequence[Beside]) -> Moved:
    await _claim(connection, name_of(source.folder))
    for shard, part in source.parts.items():
        await _settle(connection, shard, part, source.homes)
    for along in beside:
        await along(connection)
    fleet = secrets.token_hex(16)
    await connection.ask("SET", names.IDENTITY, fleet)
    positions = (Position(shard, BEGINNING, 0, tuple(part.balances)) for shard, part in source.parts.items())
    records: list[Record] = [Joined(fleet, wall), *positions]
    source.journal.append(encode((record, 1) for record in records))
    source.journal.sync()
    return (await _arrived(connection, fleet))._replace(before=False)


def _parts(accounts: Accounts, forced: Iterable[Forced], homes: Mapping[str, str]) -> dict[int, Booked]:
    parts = {shard: Booked(Place(), {}, [], []) for shard in SHARDS}
    for holder, balance in accounts.balances.items():
        parts[names.shard(homes[holder])].balances[holder] = balance
    for record in forced:
        parts[names.shard(record.organization)].forced.append(record)
    return parts


async def _claim(connection: Connection, name: str) -> None:
    """Keeps Redis for this ledger, and empties it of what it was told before.

    Raises BadStart where it holds another ledger, or another one is on its way.
    """
    held = [key for shard in SHARDS for key in (names.sequence(shard), names.holders(shard), names.records(shard))]
    owner = await connection.run(_CLAIM, (names.MOVING, names.IDENTITY, names.BOOKS, names.KEYS, *held), [name])
    if owner is None:
        raise BadStart("this Redis holds a ledger already, and a ledger moves to an empty one")
    if owner != name.encode():
        raise BadStart(f"another node's ledger is on its way to this Redis: {owner.decode()} in its folder's {NODE}")
    # Without its number a shard is set anew.
    await connection.ask("DEL", *(names.sequence(shard) for shard in SHARDS))


async def _settle(connection: Connection, shard: int, part: Booked, organizations: Mapping[str, str]) -> None:
    """Brings a shard's part over, and looks whether all of it is there."""
    holders = list(part.balances)
    for begin in range(0, len(holders), _AT_ONCE):
        homes = (word for holder in holders[begin : begin + _AT_ONCE] for word in (holder, organizations[holder]))
        await connection.ask("HSET", names.HOMES, *homes)
    await shards.found(connection, shard, part, ())
    held = await holding.held(connection, shard)
    if held.balances != part.balances or held.open:
        raise BadStart(f"the balances of shard {shard} are not in Redis as they are in the book")


async def _arrived(connection: Connection, fleet: str) -> Moved:
    """Opens Redis to gateways; again, where that had not come about before."""
    told = await connection.ask("GET", names.IDENTITY)
    if told is None or told.decode() != fleet:
        raise BadStart("this ledger has moved to another Redis already")
    await connection.ask("SET", names.EPOCH, connection.server, "NX")
    before = not await connection.ask("DEL", names.MOVING)
    total, holders = [0] * 5, 0
    for shard in SHARDS:
        held = await holding.held(connection, shard)
        holders += len(held.balances)
        total = [a + b for a, b in zip(total, _columns(held.balances.values()), strict=True)]
    granted, charged, reserved, lapsed, balance = total
    return Moved(holders, (granted, charged, reserved, lapsed, balance), before)


def _columns(balances: Iterable[Balance]) -> list[int]:
    columns = [(b.granted, b.charged, b.reserved, b.lapsed, b.balance) for b in balances]
    return [sum(column) for column in zip(*columns, strict=True)] or [0] * 5
