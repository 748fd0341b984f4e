"""What the process has that takes a fleet's records into its folder: files, streams, and what Redis may need back."""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import structlog

from gateway.errors import BadStart
from gateway.fleet import names
from gateway.fleet.connection import Connection, Refused, Unreachable
from gateway.ledger import recovery, shard_book, shards
from gateway.ledger.beginning import identity, left_behind, opening, refuse_foreign
from gateway.ledger.book import Book
from gateway.ledger.draining import Drain
from gateway.ledger.journal import Journal
from gateway.ledger.putting_back import INCARNATION
from gateway.ledger.reading import Reader
from gateway.ledger.records import LedgerCorrupt, Record, Reserve
from gateway.ledger.registry import Registry, name_of
from gateway.ledger.tables import Tables
from gateway.ports import Clock

# Seconds between two looks at what streams may be rid of.
_TIDY = 5.0
_PATIENCE = 5.0


class Drainer:
    """Of a folder that is locked for this process; made by `open`."""

    def __init__(
        self, folder: Path, connection: Connection, clock: Clock, drain: Drain, book: Book, journal: Journal
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._drain = drain
        self._book = book
        self._journal = journal
        self._reader = Reader(folder / recovery.BOOK)
        self._registry = Registry(connection, name_of(folder))
        self._put: dict[int, str] = {}
        self._tidying: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, folder: Path, connection: Connection, clock: Clock, segment: int, keep: float) -> "Drainer":
        """Opens book and journal, which go on together. Raises BadStart."""
        with ExitStack() as unless_open:
            try:
                recovery.touch(folder / recovery.BOOK)
                tables = Tables(folder / recovery.BOOK, "process")
                unless_open.callback(tables.close)
                recovery.migrate(tables, folder / recovery.JOURNAL, clock.wall())
                standpoint = recovery.standpoint(tables, folder / recovery.JOURNAL)
                journal = Journal(folder / recovery.JOURNAL, standpoint.last, segment)
            except (OSError, sqlite3.Error, LedgerCorrupt) as error:
                raise BadStart(f"the ledger in {folder} cannot be opened: {error}") from error
            unless_open.pop_all()
        book = Book(tables, journal, clock, keep)
        book.follow(journal.sequence)
        drain = Drain(connection, journal, book, standpoint)
        return cls(folder, connection, clock, drain, book, journal)

    @property
    def healthy(self) -> bool:
        """Whether the book follows Redis, and can be written."""
        return self._drain.healthy

    def keep(self, seconds: float) -> None:
        """Keep the book's records that long from now on."""
        self._book.keep = seconds

    async def begin(self) -> None:
        """Reads on where the book is, a new one from Redis's balances on. Raises BadStart, Unreachable and OSError."""
        standpoint = self._drain.standpoint
        fleet = await identity(self._connection, standpoint.fleet)
        refuse_foreign(standpoint, fleet)
        if await self._connection.ask("EXISTS", names.MOVING):
            raise BadStart("an embedded ledger is being moved to this Redis: run `gateway ledger move` once more")
        if standpoint.fleet:
            if (problem := await left_behind(self._connection, self._drain.places())) is not None:
                raise BadStart(f"{problem}: put a later backup in its place, or give this node an empty store.path")
        else:
            # Before it looks: nothing that comes after its beginning may be trimmed.
            await self._registry.register({})
            await self._drain.post(await opening(self._connection, fleet, self._clock.wall()))
        self._drain.start()
        self._tidying = asyncio.create_task(self._tidy())

    async def reached(self, numbers: Mapping[int, int]) -> None:
        """Returns once the book has each shard's records up to these numbers."""
        await self._drain.reached(numbers)

    async def prove(self) -> None:
        """Reads on only where Redis has what was read: what others agreed on without this node may be another past.

        Raises Unreachable.
        """
        if self._drain.following and (problem := await left_behind(self._connection, self._drain.places())) is not None:
            self._drain.leave(problem)

    async def put_back(self) -> None:
        """Brings Redis as far in every shard as this node knows the records. Raises Unreachable."""
        fleet = self._drain.standpoint.fleet
        if not fleet:
            return
        if await identity(self._connection, fleet) != fleet:
            raise Unreachable("it holds another fleet's ledger")
        for shard, number in enumerate(await shards.numbers(self._connection)):
            reached = await self._put_shard_back(shard, number)
            if reached != (number or 0):
                self._put[shard] = f"{'nothing' if number is None else number} to {reached}"
        if self._put:
            told, self._put = self._put, {}
            structlog.get_logger("gateway.ledger").warning("records put back", shards=told)

    async def close(self) -> None:
        """Write what has been read, and bring the book up to it if that is possible at once."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait([self._tidying])
        await self._drain.close()
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._book.close)
        self._journal.close()

    async def _put_shard_back(self, shard: int, number: int | None) -> int:
        """From memory as far as that goes, else from the book; others may do the same meanwhile."""
        latest = max(self._drain.place(shard).number, self._drain.ring.latest(shard))
        if number is None:
            number = await self._found(shard)
        while number < latest:
            entries = self._drain.ring.after(shard, number, shards.AT_ONCE)
            if entries:
                await self._enlist(record for entry in entries for record, _ in entry.entries)
                number = await shards.restore(self._connection, shard, entries, self._drain.standpoint.homes)
            elif (found := await self._found(shard)) > number:
                number = found
            else:
                break
        return number

    async def _found(self, shard: int) -> int:
        """Sets a shard to what the book says; its number after that."""
        await self._drain.reached({shard: self._drain.place(shard).number})
        try:
            booked = await self._reader.read(lambda db: shard_book.booked(db, shard), _PATIENCE)
        except sqlite3.Error as error:
            raise Unreachable("this node's book cannot be read") from error
        if not booked.place.number and not booked.balances:
            return 0
        home = names.somewhere(shard)
        if booked.balances:
            await self._connection.pipeline(*(("HSETNX", names.HOMES, holder, home) for holder in booked.balances))
        await self._enlist(booked.open)
        latest = self._drain.ring.upto(shard, booked.place.number)
        return await shards.found(self._connection, shard, booked, latest)

    async def _enlist(self, records: Iterable[Record]) -> None:
        """Has the fleet look after who reserved: a node that Redis has forgotten may be dead and give nothing back."""
        nodes = {record.id >> INCARNATION for record in records if isinstance(record, Reserve)}
        if nodes:
            await self._connection.ask("SADD", names.NODES, *nodes)

    async def _tidy(self) -> None:
        while True:
            with suppress(Unreachable, Refused):
                await self._registry.register(self._drain.places())
                await self._registry.trim()
            await asyncio.sleep(_TIDY)
