"""What the journal has and the book does not have yet, handed by the event loop's thread to the book's."""

import threading
from collections import Counter
from collections.abc import Iterable

from gateway.ledger.records import Charge, Entry
from gateway.ledger.tab import Tab

MOST = 65_536
"""Entries that wait in memory; what more there is stays in the journal, and is read from there."""


class Batch:
    """The journal's groups `first` to `last` in one: equal charges are one entry, however many groups they are in."""

    __slots__ = ("_charges", "_counts", "_others", "first", "last")

    def __init__(self, first: int) -> None:
        self.first = first
        self.last = first - 1
        self._charges = Counter[Charge]()
        self._counts: dict[Tab, int] = {}
        self._others: list[Entry] = []

    def __len__(self) -> int:
        return len(self._counts) + len(self._charges) + len(self._others)

    def add(self, entries: Iterable[Entry], counted: Iterable[tuple[Tab, int]] = ()) -> None:
        """Takes in the group after `last`: its entries, and what tabs have counted besides."""
        self.last += 1
        for record, count in entries:
            if isinstance(record, Charge):
                self._charges[record] += count
            else:
                self._others.append((record, count))
        counts = self._counts
        for tab, count in counted:
            counts[tab] = counts.get(tab, 0) + count

    def entries(self) -> list[Entry]:
        """All of it, the charges first: sums do not mind when they are added."""
        counted = [(tab.record, count) for tab, count in self._counts.items()]
        return [*counted, *self._charges.items(), *self._others]


class Backlog:
    """Gathers groups until they are taken, without a gap: once there is no room for one, it has none for the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batch: Batch | None = None

    @property
    def first(self) -> int | None:
        """The number of the first group in it; None where there is none."""
        batch = self._batch
        return None if batch is None else batch.first

    def add(self, sequence: int, entries: Iterable[Entry], counted: Iterable[tuple[Tab, int]]) -> int:
        """Takes in the journal's group `sequence`, if there is room; returns how many entries there were before."""
        with self._lock:
            batch = self._batch
            if batch is None:
                batch = self._batch = Batch(sequence)
            size = len(batch)
            if batch.last == sequence - 1 and size < MOST:
                batch.add(entries, counted)
            return size

    def take(self) -> Batch | None:
        """What has gathered; from now on it is the caller's."""
        with self._lock:
            batch, self._batch = self._batch, None
            return batch
