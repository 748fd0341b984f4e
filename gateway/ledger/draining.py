"""A fleet's records on their way from Redis's streams into the book of one folder, each exactly once.

What is read goes to the journal as one group together with the place it was read up to: either both are there after
a kill or neither is, and then the streams tell it again.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import structlog

from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.following import Followed
from gateway.ledger import outage
from gateway.ledger.book import Book
from gateway.ledger.decoding import Decoding
from gateway.ledger.encoding import encode
from gateway.ledger.journal import Journal
from gateway.ledger.records import Entry, Position, Record
from gateway.ledger.recovery import Standpoint
from gateway.ledger.ring import Ring
from gateway.ledger.shards import SHARDS
from gateway.ledger.streaming import Gap, Place, Streamed, following, group, positions, streamed

# Entries of each stream read at a time, and seconds to wait for one.
_MOST, _BLOCK = 256, 1.0
# Entries between two turns of the event loop: half a millisecond's work.
_SLICE = 32
# Seconds between two reads: Redis has each node to serve, and loses what nobody has read when it fails.
_REST = 0.02
# Seconds in which entries gather for one group of the journal, which costs the disk a write to the platter.
_GATHER = 0.2
# Bytes that wait for the journal at most.
_WAITING = 8 << 20
# Seconds until Redis or the disk is tried again.
_AGAIN = 0.5


class Drain:
    """Reads on from a `standpoint`, which it takes along, until closed; `ring` has what was read last.

    Used from one event loop.
    """

    def __init__(self, connection: Connection, journal: Journal, book: Book, standpoint: Standpoint) -> None:
        self.ring = Ring()
        self._connection = connection
        self._journal = journal
        self._book = book
        self.standpoint = standpoint
        self._read = {shard: Place(*standpoint.places.get(shard, ())) for shard in SHARDS}
        self._decode = Decoding()
        self._waiting = list[Streamed]()
        self._bytes = 0
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()
        self._written = asyncio.Condition()
        self._wanted = 0
        self._writing = True
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._write_on())]

    @property
    def healthy(self) -> bool:
        """Whether records come in without a gap, and journal and book take them."""
        return self._writing and self._book.healthy and not any(task.done() for task in self._tasks)

    def place(self, shard: int) -> Place:
        """Up to where the journal has a shard's records for good."""
        return Place(*self.standpoint.places.get(shard, ()))

    def places(self) -> dict[int, Place]:
        """The same by shard."""
        return {shard: self.place(shard) for shard in SHARDS}

    @property
    def following(self) -> bool:
        """Whether it reads on."""
        return bool(self._tasks) and not self._tasks[0].done()

    def leave(self, reason: str) -> None:
        """Read on no more, for what only an operator can mend."""
        self._tasks[0].cancel()
        structlog.get_logger("gateway.ledger").error("book left behind", reason=reason)

    async def reached(self, numbers: Mapping[int, int]) -> None:
        """Returns once the book has each shard's records up to these numbers."""
        self._wanted += 1
        self._hurry.set()
        try:
            async with self._written:
                await self._written.wait_for(lambda: self._has(numbers))
        finally:
            self._wanted -= 1
            if not self._wanted:
                self._hurry.clear()
        await asyncio.wrap_future(self._book.reached(self._journal.sequence))

    async def post(self, records: Iterable[Record]) -> None:
        """Writes records of the folder's own, before `start`. Raises OSError."""
        entries = [(record, 1) for record in records]
        await self._append(encode(entries), entries)
        for record, _ in entries:
            self.standpoint.take(record)
        for shard in SHARDS:
            self._read[shard] = self.place(shard)

    async def close(self) -> None:
        """Write what has been read, as far as that is possible at once, and end."""
        self._closing = True
        for task in self._tasks[:1]:
            task.cancel()
        self._work.set()
        self._hurry.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _has(self, numbers: Mapping[int, int]) -> bool:
        return all(self.place(shard).number >= number for shard, number in numbers.items())

    async def _follow(self) -> None:
        while True:
            if self._bytes > _WAITING:
                await asyncio.sleep(_AGAIN)
                continue
            try:
                await self._take(await self._connection.follow(self._streams(), _MOST, _BLOCK))
            except Unreachable:
                await asyncio.sleep(_AGAIN)
            except Gap as gap:
                self.leave(str(gap))
                return
            else:
                await _within(self._hurry, _REST)

    def _streams(self) -> dict[str, str]:
        return {names.records(shard): place.id for shard, place in self._read.items()}

    async def _take(self, streams: Followed) -> None:
        """Raises Gap, with what came before it taken."""
        shards = {names.records(shard): shard for shard in SHARDS}
        for name, entries in streams:
            shard = shards[name]
            for begin in range(0, len(entries), _SLICE):
                some = (streamed(shard, *entry, self._decode) for entry in entries[begin : begin + _SLICE])
                if found := following(self._read[shard], some):
                    self._keep(found)
                await asyncio.sleep(0)

    def _keep(self, found: Sequence[Streamed]) -> None:
        """Some of one shard."""
        self._read[found[-1].shard] = found[-1].place
        for entry in found:
            self.ring.add(entry)
        self._waiting += found
        self._bytes += _size(found)
        self._work.set()

    async def _write_on(self) -> None:
        while not self._closing or self._waiting:
            await self._work.wait()
            await _within(self._hurry, _GATHER)
            self._work.clear()
            if self._waiting and not await self._write():
                if self._closing:
                    return
                self._work.set()
                await asyncio.sleep(_AGAIN)

    async def _write(self) -> bool:
        """Brings what has been read to the journal; whether it took it."""
        batch = list(self._waiting)
        reached = positions(batch, self.standpoint.homes)
        try:
            await self._append(*group(batch, reached))
        except OSError as error:
            if self._writing:
                self._writing = False
                outage.begun("journal", error)
            return False
        if not self._writing:
            self._writing = True
            outage.over("journal")
        await self._booked(batch, reached)
        return True

    async def _append(self, payload: bytes, entries: list[Entry]) -> None:
        """On the disk itself: the streams may be trimmed of what the journal has. Raises OSError."""
        sequence = self._journal.append(payload)
        try:
            await asyncio.to_thread(self._journal.sync)
        except OSError:
            self._journal.retract()
            raise
        self._book.submit(sequence, entries)

    async def _booked(self, batch: list[Streamed], reached: Iterable[Position]) -> None:
        del self._waiting[: len(batch)]
        self._bytes -= _size(batch)
        for position in reached:
            self.standpoint.take(position)
        async with self._written:
            self._written.notify_all()


def _size(entries: Iterable[Streamed]) -> int:
    return sum([len(entry.payload) for entry in entries])


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Returns once it is set, or after so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
