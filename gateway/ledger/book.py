"""The book: one thread applies journal groups to SQLite in small batches, exactly once, and frees the journal of them.

It never loses a group: what it cannot apply, or has no room to queue, waits in the journal.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from gateway.ledger.accounts import Sums
from gateway.ledger.journal import Journal, replay
from gateway.ledger.records import Entry, LedgerCorrupt, decode
from gateway.ledger.tables import Group, Tables
from gateway.ports import Clock

BATCH = 1024
QUEUE = 4096
_GATHER = 0.02
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0


class Book:
    """Applies what is submitted until closed; from the first call of `submit` on, `tables` belong to its thread."""

    def __init__(self, tables: Tables, journal: Journal, clock: Clock) -> None:
        self._tables = tables
        self._journal = journal
        self._clock = clock
        self._applied = self._target = tables.applied
        self._queue: deque[Group] = deque()
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._barriers: deque[threading.Event] = deque()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="book", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the latest transaction went through."""
        return not self._failing and self._thread.is_alive()

    @property
    def applied(self) -> int:
        """The number of the last group in the book."""
        return self._applied

    def submit(self, sequence: int, entries: Sequence[Entry]) -> None:
        """Hands on a group that stands in the journal for good. Beyond `QUEUE` it is read again from there."""
        if len(self._queue) < QUEUE:
            self._queue.append((sequence, entries))
        self.follow(sequence)

    def follow(self, sequence: int) -> None:
        """Says that the journal holds groups up to `sequence` for good."""
        self._target = sequence
        if not self._work.is_set():
            self._work.set()

    def drain(self) -> None:
        """Blocks until everything submitted is in the book; when closing, until it is or cannot be at once."""
        barrier = threading.Event()
        self._barriers.append(barrier)
        self._hurry.set()
        self._work.set()
        while not barrier.wait(_GATHER) and self._thread.is_alive():
            pass

    def sums(self) -> Sums:
        """The sums over all balances in the book. Raises sqlite3.Error."""
        return self._tables.sums()

    def close(self) -> None:
        """Drains what can be applied at once, checkpoints and ends the thread."""
        self._closing.set()
        self.drain()
        self._thread.join()
        self._tables.close()

    def _run(self) -> None:
        closing = False
        while not closing:
            self._work.wait()
            self._hurry.wait(_GATHER)
            self._work.clear()
            closing = self._closing.is_set()
            barriers = [self._barriers.popleft() for _ in range(len(self._barriers))]
            while self._applied < self._target and self._step():
                pass
            self._hurry.clear()
            for barrier in barriers:
                barrier.set()

    def _step(self) -> bool:
        """One batch, tried until it is applied; False when closing came first."""
        pause = _FIRST_PAUSE
        while True:
            try:
                self._apply()
            except (sqlite3.Error, OSError, LedgerCorrupt):
                self._failing = True
                if self._closing.wait(pause):
                    return False
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._failing = False
                return True

    def _apply(self) -> None:
        if self._applied < self._target:
            groups = list(islice(self._waiting(), BATCH))
            if not groups:
                raise LedgerCorrupt(f"{self._journal.folder}: group {self._applied + 1} is not there any more")
            self._tables.apply(groups, self._clock.wall())
            self._applied = groups[-1][0]
        # Only what a checkpoint has brought to the disk itself may leave the journal: the machine may lose power.
        if self._journal.droppable(self._applied) and self._tables.checkpoint():
            self._journal.drop(self._applied)

    def _waiting(self) -> Iterator[Group]:
        """Groups after the last one applied: the queue's, or, where the queue misses one, the journal's.

        What is taken from the queue and not applied is read again the next time.
        """
        expected = self._applied + 1
        while self._queue and self._queue[0][0] < expected:
            self._queue.popleft()
        if self._queue and self._queue[0][0] == expected:
            while self._queue and self._queue[0][0] == expected:
                yield self._queue.popleft()
                expected += 1
        else:
            for sequence, payload in replay(self._journal.folder, self._applied):
                if sequence > self._target:
                    return
                yield sequence, decode(payload)
