"""The cache as the pipeline sees it: memory first, a second tier behind it, and what a refresh outdates."""

from contextlib import suppress
from dataclasses import dataclass
from math import inf, nextafter

from gateway.messages import Splice
from gateway.ports import Clock, SecondTier
from gateway.rfc9111.stored import StoredResponse
from gateway.stores import Mark, TierUnavailable
from gateway.stores.memory import MemoryTier
from gateway.tasks import Tasks

SAVES = 64
"""Saves to the second tier in flight at most; a response beyond is kept in memory alone."""

MARKS = 10_000
"""Groups at most whose refresh the second tier has yet to be told of."""

LOADS = 3
"""How often one load reads again because the second tier was told of a refresh meanwhile."""


@dataclass(slots=True, eq=False)
class Fetching:
    """A fetch in flight. `began` (steady seconds) is what its stored response must carry as its own `began`.

    `outdated` is set by a refresh of one of its groups that began later and has delivered before it.
    """

    groups: tuple[str, ...]
    began: float
    outdated: bool = False
    ended: bool = False


class Cache:
    """Stored responses in `memory`, and behind it in `second` where there is one.

    All but `load` and `close` is synchronous; what the second tier is to know is told by tasks that the cache owns.
    """

    def __init__(self, memory: MemoryTier, second: SecondTier | None, clock: Clock) -> None:
        self._memory = memory
        self._behind = None if second is None else _Behind(second)
        self._clock = clock
        self._latest = 0.0
        self._in_flight: dict[str, set[Fetching]] = {}

    @property
    def stored_responses(self) -> int:
        """Stored responses in memory."""
        return len(self._memory)

    @property
    def stored_bytes(self) -> int:
        """Bytes that the stored responses in memory take, indexes included."""
        return self._memory.bytes

    @property
    def evictions(self) -> int:
        """Stored responses put out of memory for room so far."""
        return self._memory.evictions

    @property
    def has_second_tier(self) -> bool:
        """Whether `load` can find what `peek` does not."""
        return self._behind is not None

    def peek(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant in memory under `key`, most recently received first, outdated ones included."""
        return self._memory.get(key)

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """As `peek`, after bringing into memory what the second tier holds under `key`; a failing one holds nothing."""
        found = () if self._behind is None else await self._behind.load(key)
        # What memory got meanwhile stays, even if it is outdated: the same response may be the one found.
        held = {stored.selecting for stored in self._memory.get(key)}
        for stored in found:
            if stored.selecting not in held:
                self._memory.put(stored)
        return self._memory.get(key)

    def begin(self, groups: tuple[str, ...]) -> Fetching:
        """Register a fetch in flight, about to be sent; `end` must follow whatever becomes of it."""
        fetching = Fetching(groups, self._now())
        for group in groups:
            self._in_flight.setdefault(group, set()).add(fetching)
        return fetching

    def end(self, fetching: Fetching) -> None:
        """The fetch is over; nothing of it can be stored any more. Idempotent."""
        fetching.ended = True
        for group in fetching.groups:
            members = self._in_flight.get(group, set())
            members.discard(fetching)
            if not members:
                self._in_flight.pop(group, None)

    def store(self, fetching: Fetching, stored: StoredResponse) -> bool:
        """Keep what `fetching` brought; whether it is kept.

        It is not if a refresh outdated the fetch, if what is stored in its place began later, or if it is larger than
        the memory tier. Once ended, a fetch can no longer be outdated, so that nothing is taken from it.
        """
        if fetching.outdated or fetching.ended or not self._memory.put(stored):
            return False
        if self._behind is not None:
            self._behind.save(stored)
        return True

    def attach(self, stored: StoredResponse, splice: Splice) -> None:
        """Give `stored` a splice made on demand, so that its bytes are counted."""
        self._memory.attach(stored, splice)

    def outdate(self, fetching: Fetching, key: str) -> None:
        """The force refresh `fetching` of `key` has delivered: outdate everything else in its groups.

        That is whatever began before it, stored or in flight, and what is stored under other keys whenever it began:
        the upstream may have answered it from before the refresh. Only what a later force refresh brought stays.
        """
        for group in fetching.groups:
            for stored in self._memory.by_group(group):
                if stored.began < fetching.began or (stored.key != key and not stored.forced):
                    stored.outdated = True
            for other in self._in_flight.get(group, ()):
                if other.began < fetching.began:
                    other.outdated = True
        if self._behind is not None:
            self._behind.drop(fetching.groups, fetching.began, self._now(), key)

    async def close(self) -> None:
        """Wait until the second tier has been told everything, or has failed to listen."""
        if self._behind is not None:
            await self._behind.close()

    def _now(self) -> float:
        # Never the same twice, so that of two fetches one began later.
        self._latest = max(self._clock.steady(), nextafter(self._latest, inf))
        return self._latest


class _Behind:
    """The second tier, told after the answer by owned tasks. What it has yet to be told holds for its loads at once.

    A failed telling is tried again whenever the tier is next heard of, so that a refresh it missed is never forgotten.
    """

    def __init__(self, tier: SecondTier) -> None:
        self._tier = tier
        self._marks: dict[str, Mark] = {}
        self._floor = 0.0
        self._told = 0
        self._telling = False
        self._saving = 0
        self._tasks = Tasks()

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        for _ in range(LOADS):
            told = self._told
            try:
                found = await self._tier.load(key)
            except TierUnavailable:
                return ()
            self._tell_soon()
            # A mark told meanwhile is gone from here, and may have come too late for what the tier was reading.
            if told == self._told:
                return tuple(stored for stored in found if not self._outdates(stored))
        return ()

    def save(self, stored: StoredResponse) -> None:
        if self._saving < SAVES:
            self._saving += 1
            self._tasks.start(self._save(stored))

    def drop(self, groups: tuple[str, ...], began: float, now: float, key: str) -> None:
        for group in groups:
            if group in self._marks or len(self._marks) < MARKS:
                # All that began before the refresh goes; of the rest, up to now, only the refreshed key stays.
                self._marks[group] = self._marks.get(group, Mark()).joined(began, None).joined(now, key)
            else:
                self._floor = now
        self._tell_soon()

    async def close(self) -> None:
        self._tell_soon()
        await self._tasks.finish()

    def _outdates(self, stored: StoredResponse) -> bool:
        marks = (self._marks[group] for group in stored.groups if group in self._marks)
        return stored.began < self._floor or any(mark.outdates(stored.key, stored.began) for mark in marks)

    def _tell_soon(self) -> None:
        if self._marks and not self._telling:
            self._telling = True
            self._tasks.start(self._tell())

    async def _tell(self) -> None:
        try:
            with suppress(TierUnavailable):
                while self._marks:
                    for group, mark in tuple(self._marks.items()):
                        await self._tell_mark(group, mark)
        finally:
            self._telling = False

    async def _tell_mark(self, group: str, mark: Mark) -> None:
        await self._tier.drop((group,), mark.floor, None)
        await self._tier.drop((group,), mark.before, mark.keep)
        self._told += 1
        if self._marks[group] is mark:
            del self._marks[group]

    async def _save(self, stored: StoredResponse) -> None:
        try:
            with suppress(TierUnavailable):
                await self._tier.save(stored)
        finally:
            self._saving -= 1
