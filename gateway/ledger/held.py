"""All that a shard of the fleet's ledger holds at one moment, read some balances at a time.

Redis would be in every node's way for as long as it read all of them. What was charged in between is in the records.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.script import Script
from gateway.ledger.accounts import Accounts
from gateway.ledger.applying import holders_of
from gateway.ledger.balance import Balance
from gateway.ledger.encoding import reserve_of
from gateway.ledger.records import Reserve, Term
from gateway.ledger.shards import START, keys
from gateway.ledger.streaming import Gap, Place, Streamed, following, streamed

_HELD = Script("shard")
# Balances read by one call: a millisecond.
_AT_ONCE = 500
# Entries of a stream read at a time.
_PAGE = 1000


class Held(NamedTuple):
    """All that a shard holds after the record at `place`: balances by holder, and operations that have not ended."""

    place: Place
    balances: dict[str, Balance]
    open: list[Reserve]


async def held(connection: Connection, shard: int) -> Held:
    """What the shard holds. Raises Unreachable, and Gap where records are gone that came while it was read."""
    accounts, seen = Accounts(), dict[str, int]()
    begin, cursor = None, ""
    while cursor != START:
        arguments = names.balance(shard, ""), cursor or START, _AT_ONCE
        number, id_, after, rows, opened = await connection.run(_HELD, keys(shard), arguments)
        cursor, end = after.decode(), Place(id_.decode(), int(number))
        begin = begin or end
        for name, *columns in rows:
            holder = name.decode()
            if holder not in seen:
                accounts.put(holder, _balance(*columns))
                seen[holder] = end.number
    for entry in await waiting(connection, shard, begin or end, end.number):
        _catch_up(accounts, seen, entry)
    await _leave(connection, shard, accounts, seen)
    return Held(end, accounts.balances, [_reserve(value) for value in opened])


async def waiting(connection: Connection, shard: int, place: Place, upto: int) -> list[Streamed]:
    """The stream's entries after `place`, up to number `upto`. Raises Unreachable and Gap."""
    found = list[Streamed]()
    while place.number < upto:
        told = await connection.ask("XRANGE", names.records(shard), f"({place.id}", "+", "COUNT", _PAGE)
        entries = following(place, (streamed(shard, id_.decode(), _fields(fields)) for id_, fields in told))
        if not entries:
            raise Gap(f"records {place.number + 1} to {upto} of shard {shard} are missing in Redis")
        found += [entry for entry in entries if entry.number <= upto]
        place = entries[-1].place
    return found


def _catch_up(accounts: Accounts, seen: dict[str, int], entry: Streamed) -> None:
    """Applies an entry to balances that were `seen` before it."""
    for record, count in entry.entries:
        later = [holder for holder in holders_of(record) if seen.get(holder, 0) >= entry.number]
        kept = [(holder, replace(accounts.balances[holder])) for holder in later]
        accounts.apply(record, count)
        for holder, balance in kept:
            accounts.put(holder, balance)


async def _leave(connection: Connection, shard: int, accounts: Accounts, seen: dict[str, int]) -> None:
    """Records tell of holders of other shards as well, from whom one of this shard has taken over."""
    new = [holder for holder in accounts.balances if holder not in seen]
    homes = await connection.ask("HMGET", names.HOMES, *new) if new else ()
    for holder, home in zip(new, homes, strict=True):
        if home is None or names.shard(home.decode()) != shard:
            del accounts.balances[holder]


def _fields(words: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(words[::2], words[1::2], strict=True))


def _balance(granted: int, charged: int, reserved: int, lapsed: int, balance: int, period: int, given: int) -> Balance:
    return Balance(granted, charged, reserved, lapsed, balance, Term(period, given))


def _reserve(value: bytes) -> Reserve:
    fields: Any = orjson.loads(value.partition(b"\n")[2])
    return reserve_of(fields)
