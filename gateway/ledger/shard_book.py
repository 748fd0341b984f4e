"""What the book of a fleet's ledger holds of each shard."""

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from gateway.fleet.names import shard as shard_of
from gateway.ledger.balance import Balance
from gateway.ledger.records import Forced, Reserve, Term
from gateway.ledger.streaming import Place
from gateway.ledger.totals import Sums

_BALANCES = "SELECT holder, granted, charged, reserved, lapsed, balance, period, given FROM balances"
_RESERVATIONS = "SELECT reservations.* FROM reservations"
_AT_HOME = " JOIN homes USING (holder) WHERE shard = ?"
_SUMS = """
SELECT coalesce(sum(granted), 0), coalesce(sum(charged), 0), coalesce(sum(reserved), 0), coalesce(sum(lapsed), 0),
    coalesce(sum(balance), 0)
FROM balances JOIN homes USING (holder) WHERE shard = ?
"""
_SUMS_OF = f"{_SUMS} AND holder IN (SELECT value FROM json_each(?))"  # noqa: S608 - no word of another's


class Booked(NamedTuple):
    """All that the book has of a shard after the record at `place`."""

    place: Place
    balances: dict[str, Balance]
    open: list[Reserve]
    forced: list[Forced]


def places(db: sqlite3.Connection) -> dict[int, Place]:
    """By shard, up to where the book has its records. Raises sqlite3.Error."""
    return {shard: Place(id_, number) for shard, id_, number in db.execute("SELECT * FROM positions")}


def booked(db: sqlite3.Connection, shard: int) -> Booked:
    """What it holds of one shard. Raises sqlite3.Error."""
    forced = (Forced(*row) for row in db.execute("SELECT * FROM forced ORDER BY at"))
    return Booked(
        places(db).get(shard, Place()),
        dict(map(_balance, db.execute(_BALANCES + _AT_HOME, (shard,)))),
        [_reserve(row) for row in db.execute(_RESERVATIONS + _AT_HOME, (shard,))],
        [record for record in forced if shard_of(record.organization) == shard],
    )


def everything(db: sqlite3.Connection) -> tuple[dict[str, Balance], list[Reserve]]:
    """Balances and open operations of all holders, at home in a shard by now or not. Raises sqlite3.Error."""
    return dict(map(_balance, db.execute(_BALANCES))), [_reserve(row) for row in db.execute(_RESERVATIONS)]


def summed(db: sqlite3.Connection, shard: int, holders: Sequence[str] | None) -> tuple[int, Sums]:
    """A shard's latest record by number, and the sums over all balances or those of `holders`. Raises sqlite3.Error."""
    if holders is None:
        found = db.execute(_SUMS, (shard,))
    else:
        found = db.execute(_SUMS_OF, (shard, orjson.dumps(holders).decode()))
    granted, charged, reserved, lapsed, balance = found.fetchone()
    return places(db).get(shard, Place()).number, (granted, charged, reserved, lapsed, balance)


def _balance(row: tuple[Any, ...]) -> tuple[str, Balance]:
    holder, granted, charged, reserved, lapsed, balance, period, given = row
    return holder, Balance(granted, charged, reserved, lapsed, balance, Term(period, given))


def _reserve(row: tuple[object, ...]) -> Reserve:
    reserve = Reserve._make(row)
    lines = orjson.loads(row[Reserve._fields.index("lines")])  # type: ignore[arg-type]  # text, by the table
    return reserve._replace(lines=tuple((name, part) for name, part in lines))
