"""The latest entries of a fleet's record streams in memory (pure): what a Redis that has lost some gets back."""

from collections import deque
from itertools import islice

from gateway.ledger.streaming import Streamed

MOST = 16 << 20
"""Bytes of payload that are remembered over all shards; the oldest go first."""

# What an entry costs besides its payload, about.
_OVERHEAD = 400


class Ring:
    """Remembers entries as they are `added`, each shard's in order and without a gap."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._order = deque[Streamed]()
        self._shards: dict[int, deque[Streamed]] = {}

    def add(self, entry: Streamed) -> None:
        """Remembers an entry, the next one of its shard."""
        self._order.append(entry)
        self._shards.setdefault(entry.shard, deque()).append(entry)
        self._size += len(entry.payload) + _OVERHEAD
        while self._size > self._most:
            oldest = self._order.popleft()
            self._shards[oldest.shard].popleft()
            self._size -= len(oldest.payload) + _OVERHEAD

    def latest(self, shard: int) -> int:
        """The number of a shard's latest entry, 0 where none is remembered."""
        entries = self._shards.get(shard)
        return entries[-1].number if entries else 0

    def after(self, shard: int, number: int, most: int) -> list[Streamed]:
        """A shard's first entries after `number`, at most `most`; none where the next one is forgotten."""
        entries = self._shards.get(shard)
        if not entries or entries[0].number > number + 1:
            return []
        begin = number + 1 - entries[0].number
        return list(islice(entries, begin, begin + most))

    def upto(self, shard: int, number: int) -> list[Streamed]:
        """A shard's entries up to `number`, as far back as they are remembered; empty where that one is not."""
        found = [entry for entry in self._shards.get(shard, ()) if entry.number <= number]
        return found if found and found[-1].number == number else []
