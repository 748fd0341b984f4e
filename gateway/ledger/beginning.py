"""Where a folder's book begins to follow a fleet: with Redis's balances, or where it was, if the streams reach back."""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping

from gateway.errors import BadStart
from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable
from gateway.ledger.held import Held, held
from gateway.ledger.records import Joined, Opening, Position, Record
from gateway.ledger.recovery import Standpoint
from gateway.ledger.shards import SHARDS
from gateway.ledger.streaming import BEGINNING, Gap, Place


async def identity(connection: Connection, fleet: str) -> str:
    """What the fleet is called: `fleet`, or another name, where Redis has none yet. Raises Unreachable."""
    await connection.ask("SET", names.IDENTITY, fleet or secrets.token_hex(16), "NX")
    return str((await connection.ask("GET", names.IDENTITY)).decode())


def refuse_foreign(standpoint: Standpoint, fleet: str) -> None:
    """Raises BadStart where a folder cannot follow `fleet`."""
    if standpoint.fleet and standpoint.fleet != fleet:
        raise BadStart("it follows another fleet than the one at store.url: give this node an empty store.path")
    if not standpoint.fleet and standpoint.last:
        raise BadStart(
            "it is an embedded ledger, whose balances Redis does not know: take it along with "
            "`gateway ledger move --to URL`, or give this node an empty store.path"
        )


async def opening(connection: Connection, fleet: str, at: float) -> list[Record]:
    """The records that a new book of the fleet begins with, at `at` wall-clock seconds. Raises Unreachable."""
    records: list[Record] = [Joined(fleet, at)]
    for shard in SHARDS:
        try:
            records += _opened(shard, await held(connection, shard), at)
        except Gap as gap:
            raise Unreachable(str(gap)) from gap
    return records


def _opened(shard: int, held: Held, at: float) -> Iterator[Record]:
    """A shard's balances as if nothing were reserved, then what is."""
    reserved, unlimited = Counter[str](), Counter[str]()
    for reserve in held.open:
        (unlimited if reserve.period is None else reserved)[reserve.holder] += reserve.tokens
    for holder, balance in held.balances.items():
        granted, free = balance.granted - unlimited[holder], balance.balance + reserved[holder]
        yield Opening(holder, granted, balance.charged, balance.lapsed, free, balance.term, at)
    yield from held.open
    yield Position(shard, *held.place, tuple(held.balances))


async def left_behind(connection: Connection, places: Mapping[int, Place]) -> str | None:
    """Why Redis cannot tell what comes after a book's places in the shards, None where it can. Raises Unreachable."""
    for shard, place in places.items():
        if (problem := await _left_behind(connection, shard, place)) is not None:
            return problem
    return None


async def _left_behind(connection: Connection, shard: int, place: Place) -> str | None:
    stream = names.records(shard)
    latest = int(await connection.ask("GET", names.sequence(shard)) or 0)
    if latest < place.number:
        return f"its book has records of shard {shard} to {place.number}, and Redis has lost those after {latest}"
    there = await connection.ask("XRANGE", stream, place.id, place.id) if place.id != BEGINNING else []
    if there:
        return None if _number(there[0]) == place.number else _other(shard, place)
    first = await connection.ask("XRANGE", stream, "-", "+", "COUNT", 1)
    following = _number(first[0]) if first else latest + 1
    if following > place.number + 1:
        return f"its book lacks records {place.number + 1} to {following - 1} of shard {shard}, which Redis has no more"
    return None if following == place.number + 1 else _other(shard, place)


def _other(shard: int, place: Place) -> str:
    return f"its book has another record {place.number} of shard {shard} than Redis"


def _number(entry: list[list[bytes]]) -> int:
    fields = entry[1]
    return int(dict(zip(fields[::2], fields[1::2], strict=True))[b"s"])
