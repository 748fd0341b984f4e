"""A fleet's book held against Redis: what it has and what the streams have for it make the balances that are there."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from gateway.errors import BadStart
from gateway.fleet.connection import Connection
from gateway.ledger import shard_book
from gateway.ledger.accounts import Accounts
from gateway.ledger.held import held, waiting
from gateway.ledger.reader import open_ledger, readable, steady, tail
from gateway.ledger.recovery import Standpoint
from gateway.ledger.shards import SHARDS
from gateway.ledger.streaming import Gap, Place, positions
from gateway.ledger.walk import Damage

_TRIES = 3


class _Reached:
    """Balances and open operations after the records that book and journal hold, and which those are."""

    def __init__(self, db: sqlite3.Connection, folder: Path, applied: int) -> None:
        self.accounts = Accounts()
        homes = dict[str, int](db.execute("SELECT holder, shard FROM homes"))
        self.standpoint = Standpoint("", dict(shard_book.places(db)), homes, applied)
        # What has just moved in has its homes in the journal.
        balances, reserves = shard_book.everything(db)
        for holder, balance in balances.items():
            self.accounts.put(holder, balance)
        self.accounts.open |= {reserve.id: reserve for reserve in reserves}
        for batch in tail(folder, applied):
            for _, entries in batch:
                for record, count in entries:
                    self.accounts.apply(record, count)
                    self.standpoint.take(record)

    def place(self, shard: int) -> Place:
        return Place(*self.standpoint.places.get(shard, ()))


async def compare(folder: Path, connection: Connection) -> int:
    """How many entries of the streams the book in `folder` does not have yet.

    Raises Damage where Redis has other balances than book and streams make, Unreachable, and BadStart where the book
    cannot be read.
    """
    tries = _TRIES
    while True:
        with closing(open_ledger(folder)) as db, readable(folder):
            reached = steady(db, partial(_Reached, db, folder))
        if reached.accounts.balances.keys() - reached.standpoint.homes.keys():
            raise BadStart(f"the ledger in {folder} has not moved to Redis: `gateway ledger move` takes it there")
        try:
            return sum([await _compare(reached, shard, connection) for shard in SHARDS])
        except Gap as gap:
            # What a running gateway has in its book by now may be trimmed.
            tries -= 1
            if not tries:
                raise Damage(str(gap)) from gap


async def _compare(reached: _Reached, shard: int, connection: Connection) -> int:
    there, place, accounts = await held(connection, shard), reached.place(shard), reached.accounts
    if there.place.number < place.number:
        raise Damage(f"the book has records of shard {shard} to {place.number}, and Redis to {there.place.number}")
    entries = await waiting(connection, shard, place, there.place.number)
    for entry in entries:
        for record, count in entry.entries:
            accounts.apply(record, count)
    homes = reached.standpoint.homes
    for position in positions(entries, homes):
        reached.standpoint.take(position)
    expected = {holder: balance for holder, balance in accounts.balances.items() if homes[holder] == shard}
    for holder in sorted({*expected, *there.balances}):
        if expected.get(holder) != there.balances.get(holder):
            book, redis = expected.get(holder), there.balances.get(holder)
            raise Damage(f"the balance of {holder!r} is {redis} in Redis, but its records make it {book}")
    return len(entries)
