"""The book: one thread applies journal groups to SQLite in batches, exactly once, and frees the journal of them.

It never loses a group: what it cannot apply, or has no room for, waits in the journal. Between groups it seals the
minutes that are over, and removes what is kept no longer. It shares the interpreter with the event loop, and rests
after every bit of work.
"""

import sqlite3
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from gateway.ledger import outage, sealing
from gateway.ledger.applying import SLICE
from gateway.ledger.backlog import Backlog, Batch
from gateway.ledger.doubt import Doubt
from gateway.ledger.encoding import decode
from gateway.ledger.journal import Journal, replay
from gateway.ledger.records import Entry, LedgerCorrupt
from gateway.ledger.tab import Tab
from gateway.ledger.tables import Tables
from gateway.ports import Clock

BATCH = 8192
"""Groups read from the journal for one transaction; entries that wait no longer for more."""

# Seconds in which groups gather: the more of them, the fewer rows they change.
_GATHER = 0.5
# Seconds of rest after a bit of work, which takes about as long.
_REST = 0.001
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_LONGEST_SLEEP = 60.0


class Book:
    """Applies what is submitted until closed; from then on `tables` belong to its thread.

    Records older than `keep` seconds are removed.
    """

    def __init__(self, tables: Tables, journal: Journal, clock: Clock, keep: float) -> None:
        self._tables = tables
        self._journal = journal
        self._clock = clock
        self.keep = keep
        self._doubt = Doubt()
        self._applied = self._target = tables.applied
        self._sealed = tables.sealed
        self._backlog = Backlog()
        self._reading: Iterator[Batch] = iter(())
        self._taken: Batch | None = None
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._barriers: deque[threading.Event] = deque()
        self._waiting: list[tuple[int, Future[None]]] = []
        self._waiting_lock = threading.Lock()
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

    def submit(self, sequence: int, entries: Iterable[Entry], counted: Iterable[tuple[Tab, int]] = ()) -> None:
        """Hands on a group that stands in the journal for good: its entries, and what tabs have counted besides.

        Where there is no room for it, it is read again from there.
        """
        waiting = self._backlog.add(sequence, entries, counted)
        if waiting >= BATCH and not self._hurry.is_set():
            self._hurry.set()
        self.follow(sequence)

    def follow(self, sequence: int) -> None:
        """Says that the journal holds groups up to `sequence` for good."""
        self._target = sequence
        if not self._work.is_set():
            self._work.set()

    def reached(self, sequence: int) -> Future[None]:
        """Done once the book holds the groups up to `sequence`, which it hurries for, or is closed without them."""
        future: Future[None] = Future()
        with self._waiting_lock:
            self._waiting = [(number, other) for number, other in self._waiting if not other.done()]
            self._waiting.append((sequence, future))
        if self._applied >= sequence or not self._thread.is_alive():
            self._announce()
        else:
            self._wake()
        return future

    def drain(self) -> None:
        """Blocks until everything submitted is in the book and what is over is sealed.

        When closing, until it is or cannot be at once.
        """
        barrier = threading.Event()
        self._barriers.append(barrier)
        self._wake()
        while not barrier.wait(_FIRST_PAUSE) and self._thread.is_alive():
            pass

    def close(self) -> None:
        """Applies what can be applied at once, and ends the thread."""
        self._closing.set()
        self._wake()
        self._thread.join()
        self._announce()
        self._tables.close()

    def _wake(self) -> None:
        self._hurry.set()
        self._work.set()

    def _run(self) -> None:
        closing = False
        while not closing:
            if self._work.wait(self._until_sealing()):
                self._hurry.wait(_GATHER)
            self._work.clear()
            self._hurry.clear()
            closing = self._closing.is_set()
            barriers = [self._barriers.popleft() for _ in range(len(self._barriers))]
            self._catch_up()
            for barrier in barriers:
                barrier.set()

    def _until_sealing(self) -> float:
        """Seconds until a minute is over; no more than a minute, as the wall clock may be set meanwhile."""
        return min(max(0.0, sealing.due(self._sealed + 1) - self._believed()), _LONGEST_SLEEP)

    def _believed(self) -> float:
        return self._doubt.believed(self._clock.wall(), self._clock.steady())

    def _catch_up(self) -> None:
        """Does all that is due, one transaction at a time, trying again until it goes through or closing comes."""
        pause = _FIRST_PAUSE
        while True:
            try:
                self._advance()
                self._free()
            except (sqlite3.Error, OSError, LedgerCorrupt, OverflowError) as error:
                self._fail(error)
                if self._closing.wait(pause):
                    return
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._recover()
                return

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            outage.begun("book", error)

    def _recover(self) -> None:
        if self._failing:
            self._failing = False
            outage.over("book")

    def _advance(self) -> None:
        """Applies the groups there are, then takes a step of tidying up, until that has nothing to do.

        Groups that come meanwhile gather for the next time.
        """
        while True:
            goal = self._target
            while self._applied < goal:
                self._apply()
                self._announce()
            if not self._tidy():
                return
            self._rest()

    def _apply(self) -> None:
        """One transaction; what it fails for is tried again as it is."""
        if self._taken is None:
            self._taken = self._next()
        self._tables.add(self._taken, self._rest)
        self._applied, self._taken = self._taken.last, None
        self._recover()

    def _next(self) -> Batch:
        """What has gathered in memory, or where that misses the next group, what stands in the journal until there."""
        # In this order: what comes meanwhile is no group of the journal alone.
        upto, first = self._target, self._backlog.first
        if first == self._applied + 1 and (batch := self._backlog.take()) is not None:
            return batch
        if first is not None:
            upto = first - 1
        batch = next(self._reading, None)
        if batch is None:
            self._reading = self._read(upto)
            batch = next(self._reading, None)
        if batch is None:
            raise LedgerCorrupt(f"{self._journal.folder}: group {self._applied + 1} is not there any more")
        return batch

    def _read(self, upto: int) -> Iterator[Batch]:
        """The journal's groups after the last one applied, which have gone through once when they are all applied."""
        batch, read = Batch(self._applied + 1), 0
        for sequence, payload in replay(self._journal.folder, self._applied):
            if sequence > upto:
                break
            entries = decode(payload)
            batch.add(entries)
            read += len(entries)
            if read >= SLICE:
                self._rest()
                read = 0
            if sequence - batch.first + 1 >= BATCH:
                yield batch
                batch = Batch(sequence + 1)
        if batch.last >= batch.first:
            yield batch

    def _rest(self) -> None:
        """Leaves the interpreter to the event loop, which could not have it meanwhile; no longer when closing."""
        self._closing.wait(_REST)

    def _tidy(self) -> bool:
        """When a minute is over, seals, forgets and prunes, by a bounded step of it; False when nothing is due."""
        wall, (boot, uptime) = self._believed(), self._clock.uptime()
        minute = sealing.over(wall)
        if minute <= self._sealed or self._closing.is_set():
            return False
        # The earlier one of two clocks: a wall clock that jumps ahead must not cost what is kept.
        now = min(wall, self._clock.steady())
        more = (
            self._tables.seal(wall)
            or self._tables.forget(now, boot, uptime)
            or self._tables.prune(now - self.keep, wall)
        )
        if not more:
            self._sealed = minute
        return True

    def _free(self) -> None:
        """Only what a checkpoint has brought to the disk itself may leave the journal: the machine may lose power."""
        if self._journal.droppable(self._applied) and self._tables.checkpoint():
            self._journal.drop(self._applied)

    def _announce(self) -> None:
        """Lets those go on who wait for what is in the book by now; once the thread has ended, all of them."""
        upto = self._applied if self._thread.is_alive() else sys.maxsize
        with self._waiting_lock:
            ready = [future for number, future in self._waiting if number <= upto]
            self._waiting = [(number, future) for number, future in self._waiting if number > upto]
        for future in ready:
            if future.set_running_or_notify_cancel():
                future.set_result(None)
