"""What a fleet's balances in Redis and in a book differ by: looked at shard after shard, and some holders at a time."""

from gateway.fleet.connection import Connection
from gateway.ledger import shard_book
from gateway.ledger.reading import Reader
from gateway.ledger.shards import SHARDS, START, Summed, summed

# Of one look: Redis is held by none of them for over a millisecond or two, and no node's calls wait behind it.
_PAGES = 4


class Drift:
    """Of one book; `tokens` are those that were found when each shard was last looked through."""

    def __init__(self, connection: Connection, reader: Reader, patience: float) -> None:
        self._connection = connection
        self._reader = reader
        self._patience = patience
        self._found = dict.fromkeys(SHARDS, 0)
        self._shard = self._so_far = 0
        self._cursor = START

    @property
    def tokens(self) -> int:
        """Tokens that book and Redis differ by, or that Redis's columns cannot account for."""
        return sum(self._found.values())

    async def look(self) -> None:
        """Looks on, to the end of a shard or through a part of a large one. Raises Unreachable and sqlite3.Error."""
        for _ in range(_PAGES):
            page = await summed(self._connection, self._shard, self._cursor)
            self._so_far += page.drift + await self._booked_otherwise(page)
            self._cursor = page.cursor
            if page.cursor == START:
                self._found[self._shard] = self._so_far
                self._shard, self._so_far = (self._shard + 1) % len(SHARDS), 0
                return

    async def _booked_otherwise(self, page: Summed) -> int:
        """By how much the book has other sums; 0 where it does not have the very records that Redis has."""
        whole = self._cursor == page.cursor == START
        shard, holders = self._shard, None if whole else page.holders
        number, sums = await self._reader.read(lambda db: shard_book.summed(db, shard, holders), self._patience)
        return sum(abs(a - b) for a, b in zip(sums, page.sums, strict=True)) if number == page.number else 0
