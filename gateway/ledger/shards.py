"""What a shard of the fleet's ledger in Redis holds, summed up and put back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.script import Script
from gateway.ledger import putting_back
from gateway.ledger.records import Record
from gateway.ledger.shard_book import Booked
from gateway.ledger.streaming import Streamed
from gateway.ledger.totals import Sums

SHARDS = range(names.SHARDS)

_SUMS, _RESTORE, _FOUND, _CLOCK = Script("sums"), Script("restore"), Script("found"), Script("clock")
START = "0"
AT_ONCE = 200
"""Entries put back by one call: some milliseconds of Redis's time."""
# Seconds for a call that puts back what a whole shard has: nobody can be charged before.
_PATIENCE = 5.0
# Balances summed up by one call: half a millisecond.
_SUMMED = 500


class Summed(NamedTuple):
    """Balances of `holders` summed up after record `number`, and the tokens that their columns cannot account for.

    `cursor` is where the shard's others follow, `START` where these were the last.
    """

    number: int
    cursor: str
    sums: Sums
    drift: int
    holders: list[str]


async def numbers(connection: Connection) -> list[int | None]:
    """The number of the latest record of each shard, None where Redis knows of none. Raises Unreachable."""
    found = await connection.pipeline(*(("GET", names.sequence(shard)) for shard in SHARDS))
    return [None if number is None else int(number) for number in found]


async def summed(connection: Connection, shard: int, cursor: str = START) -> Summed:
    """Sums over some of the shard's balances, those from `cursor` on. Raises Unreachable."""
    here = names.sequence(shard), names.holders(shard)
    number, after, *amounts, holders = await connection.run(_SUMS, here, (names.balance(shard, ""), cursor, _SUMMED))
    granted, charged, reserved, lapsed, balance, drift = map(int, amounts)
    sums = granted, charged, reserved, lapsed, balance
    return Summed(int(number), after.decode(), sums, drift, [holder.decode() for holder in holders])


async def restore(connection: Connection, shard: int, entries: Sequence[Streamed], homes: Mapping[str, int]) -> int:
    """Puts back what Redis has lost, in order and at most `AT_ONCE`; the shard's number after that.

    `homes` has the shards of holders who may be at home elsewhere: one that took over from another does so across them.

    It is another one where somebody else has put something back meanwhile, and then nothing was done. Raises
    Unreachable.
    """
    await _advance(connection, (record for entry in entries for record, _ in entry.entries))
    document = putting_back.moved(entries, lambda holder: names.prefix(homes.get(holder, shard)))
    arguments = str(entries[0].number - 1), names.forced(shard, ""), document
    return int(await connection.run(_RESTORE, keys(shard), arguments, _PATIENCE))


async def found(connection: Connection, shard: int, booked: Booked, entries: Sequence[Streamed]) -> int:
    """Sets all that the shard holds to what a book has; `entries` are the latest of it.

    Returns the shard's number after that: a larger one where Redis was further, and nothing was changed. Raises
    Unreachable.
    """
    await _advance(connection, booked.forced)
    document = putting_back.founded(booked.balances.items(), booked.open, booked.forced, entries)
    prefixes = names.balance(shard, ""), names.forced(shard, "")
    arguments = str(booked.place.number), booked.place.id, *prefixes, document
    return int(await connection.run(_FOUND, keys(shard), arguments, _PATIENCE))


async def _advance(connection: Connection, records: Iterable[Record]) -> None:
    """A fleet's clock that was lost goes on no earlier than what it has told: windows are in its time."""
    if moment := putting_back.latest(records):
        await connection.run(_CLOCK, (names.CLOCK,), (moment,))


def keys(shard: int) -> Sequence[str]:
    """What scripts look at: sequence, records, holders and open operations."""
    return names.sequence(shard), names.records(shard), names.holders(shard), names.open_operations(shard)
