"""The books that follow a fleet's records, each under a name of its own: streams are kept for the last one of them.

A stream ends up with what some book lacks, and with the last entry that all have: by that a book knows its place again.
"""

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import orjson
import structlog

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.ledger.shards import SHARDS
from gateway.ledger.streaming import BEGINNING, Place

FORGOTTEN = 7 * 86400
"""Seconds after which a book that is not seen any more holds nothing up."""

MOST = 1 << 30
"""Bytes that the streams may take in Redis, however far behind a book is; a quarter of its memory at most."""


NODE = "node"
"""The file of a folder that has its name."""


class Registered(NamedTuple):
    """A book that was seen at Redis's second `seen`, and by shard the id of the last entry that it has."""

    seen: int
    ids: Mapping[int, str]


def written(book: Registered) -> bytes:
    """As Redis holds it."""
    return orjson.dumps([book.seen, [book.ids.get(shard, BEGINNING) for shard in SHARDS]])


def read(value: bytes) -> Registered:
    """What was `written`. Raises ValueError for anything else."""
    match orjson.loads(value):
        case [int(seen), list(ids)] if len(ids) == len(SHARDS):
            return Registered(seen, dict(zip(SHARDS, map(str, ids), strict=True)))
        case _:
            raise ValueError("this is no registered book")


def spared(books: Iterable[Registered]) -> dict[int, str]:
    """By shard the id before which no book lacks anything."""
    registered = list(books)
    return {shard: min((book.ids[shard] for book in registered), key=order) for shard in SHARDS} if registered else {}


def order(id_: str) -> tuple[int, int]:
    """What stream ids are ordered by."""
    milliseconds, _, serial = id_.partition("-")
    return int(milliseconds), int(serial)


def name_of(folder: Path) -> str:
    """What the fleet knows a folder by; a copy of its book elsewhere is another one. Raises OSError."""
    path = folder / NODE
    with suppress(FileNotFoundError):
        if name := path.read_text():
            return name
    name = secrets.token_hex(8)
    path.write_text(name)
    return name


class Registry:
    """The fleet's books as the one called `name` keeps them up to date."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._told: bytes | None = None

    async def register(self, places: Mapping[int, Place]) -> None:
        """Says up to where this book has everything for good. Raises Unreachable."""
        ids = {shard: place.id for shard, place in places.items()}
        await self._connection.ask("HSET", names.BOOKS, self._name, written(Registered(await self._now(), ids)))

    async def trim(self) -> None:
        """Removes from the streams what all books have, and what there is no room for. Raises Unreachable."""
        now, books = await self._now(), dict[bytes, Registered]()
        told = await self._connection.ask("HGETALL", names.BOOKS)
        for name, value in zip(told[::2], told[1::2], strict=True):
            books[name] = read(value)
        gone = [name for name, book in books.items() if book.seen < now - FORGOTTEN]
        if gone:
            await self._connection.ask("HDEL", names.BOOKS, *gone)
        trims = spared(book for name, book in books.items() if name not in gone)
        commands = [("XTRIM", names.records(shard), "MINID", id_) for shard, id_ in trims.items() if id_ != BEGINNING]
        if commands:
            await self._connection.pipeline(*commands)
        await self._bound()

    async def _now(self) -> int:
        """Redis's clock, which is one for all nodes."""
        return int((await self._connection.ask("TIME"))[0])

    async def _bound(self) -> None:
        streams = [names.records(shard) for shard in SHARDS]
        commands = [(word, *rest) for name in streams for word, *rest in (("MEMORY", "USAGE", name), ("XLEN", name))]
        told = await self._connection.pipeline(("INFO", "memory"), *commands)
        most = bound(told[0])
        sizes = [int(size or 0) for size in told[1::2]]
        total = sum(sizes)
        if total <= most:
            return
        kept = [int(length * most / total) for length in told[2::2]]
        await self._connection.pipeline(
            *(("XTRIM", name, "MAXLEN", length) for name, length in zip(streams, kept, strict=True))
        )
        reason = f"{total} bytes, of {most} at most: books that lack what was removed are left behind"
        structlog.get_logger("gateway.ledger").warning("record streams cut", reason=reason)


def bound(info: bytes) -> int:
    """Bytes for the streams, by what INFO says of Redis's memory."""
    told = dict(line.partition(":")[::2] for line in info.decode().splitlines())
    limit = int(told.get("maxmemory", 0))
    return min(MOST, limit // 4) if limit else MOST
