"""The cache as the pipeline sees it: memory first, a second tier behind it, and what outdates what is stored."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from math import inf, nextafter
from typing import TypeVar, assert_never

from gateway.messages import Splice
from gateway.ports import Clock, SecondTier
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.behind import Behind
from gateway.stores.memory import MemoryTier
from gateway.stores.purging import Purge
from gateway.stores.selection import Below, Everything, Exactly, Selection, Served, Tagged
from gateway.stores.walking import Walks

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Fetching:
    """A fetch in flight. `began` (steady seconds) is what its stored response must carry as its own `began`.

    `marks` says of each group, by its hash, before when a fetch must have begun to be outdated, where any in flight is.
    """

    groups: tuple[str, ...]
    began: float
    marks: Mapping[int, float]
    ended: bool = False
    overtaken: bool = False

    @property
    def outdated(self) -> bool:
        """Whether a refresh that began later, or an unsafe method, outdated one of its groups before it ended."""
        return self.overtaken or (not self.ended and self._meets_mark(self.groups))

    def join(self, groups: tuple[str, ...]) -> None:
        """It belongs to these groups too, and has from its beginning: so its response says (RFC 9875 §2)."""
        self.overtaken = self.outdated or self._meets_mark(groups)

    def end(self) -> None:
        """Let `outdated` stay as it is now."""
        self.overtaken = self.outdated
        self.ended = True

    def _meets_mark(self, groups: tuple[str, ...]) -> bool:
        return bool(self.marks) and any(self.began < self.marks.get(hash(group), 0.0) for group in groups)


class _InFlight:
    """Fetches in flight, oldest first, and the marks on groups that one of them at least is older than.

    A mark is kept whether or not its group has anything stored or in flight: a response may name its groups only when
    it comes. None outlasts the fetches that were in flight when it was made. By hash: a group's name is as long as its
    client likes, and where two share one a response is only not stored.
    """

    def __init__(self) -> None:
        # Plain dicts would walk over all they have deleted at their front to find what is oldest.
        self._fetches: OrderedDict[Fetching, None] = OrderedDict()
        self._marks: OrderedDict[int, float] = OrderedDict()

    def begin(self, groups: tuple[str, ...], now: float) -> Fetching:
        fetching = Fetching(groups, now, self._marks)
        self._fetches[fetching] = None
        return fetching

    def end(self, fetching: Fetching) -> None:
        fetching.end()
        self._fetches.pop(fetching, None)
        oldest = self._oldest()
        while self._marks and next(iter(self._marks.values())) <= oldest:
            self._marks.popitem(last=False)

    def mark(self, groups: tuple[str, ...], before: float) -> None:
        if self._oldest() < before:
            for group in map(hash, groups):
                self._marks[group] = max(before, self._marks.pop(group, 0.0))

    def purge(self, selection: Selection, before: float) -> None:
        match selection:
            case Exactly() | Tagged():
                self.mark(selection.groups, before)
            case Below() | Served() | Everything():
                for fetching in self._fetches:
                    fetching.overtaken = fetching.overtaken or selection.may_take(fetching.groups)
            case _:
                assert_never(selection)

    def _oldest(self) -> float:
        return next((fetching.began for fetching in self._fetches), inf)


class Cache:
    """Stored responses in `memory`, and behind it in `second` where there is one.

    `peek` gives every variant in memory under a key, most recently received first, outdated ones included: as long as
    it gives the very same tuple, nothing in that has changed. It is the memory tier's own `get`, as every hit calls it.

    All but `load`, `purge`, `survey` and `close` is synchronous; what the second tier is to know is told by tasks that
    the cache owns.
    """

    def __init__(self, memory: MemoryTier, second: SecondTier | None, clock: Clock) -> None:
        self.peek: Callable[[str], tuple[StoredResponse, ...]] = memory.get
        self._memory = memory
        self._walks = Walks(memory, clock)
        self._behind = None if second is None else Behind(second)
        self._clock = clock
        self._latest = 0.0
        self._in_flight = _InFlight()

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

    def look(self, key: str) -> tuple[StoredResponse, ...]:
        """As `peek`, but not a use of the key: what was used least recently stays that."""
        return self._memory.look(key)

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """As `peek`, after bringing into memory what the second tier holds under `key`; a failing one holds nothing."""
        found = () if self._behind is None else await self._behind.load(key)
        # What memory got meanwhile stays, even if it is outdated: the same response may be the one found.
        held = {stored.selecting for stored in self._memory.get(key)}
        for stored in found:
            if stored.selecting not in held:
                self._memory.meet(stored)
                self._memory.put(stored)
        return self._memory.get(key)

    def is_replaced(self, stored: StoredResponse) -> bool:
        """Whether something else has taken the place of `stored` in memory since it was looked up, or outdated it."""
        held = [other for other in self._memory.get(stored.key) if other.selecting == stored.selecting]
        return any(other is not stored or other.outdated for other in held)

    def begin(self, groups: tuple[str, ...]) -> Fetching:
        """Register a fetch in flight, about to be sent; `end` must follow whatever becomes of it."""
        return self._in_flight.begin(groups, self._now())

    def end(self, fetching: Fetching) -> None:
        """The fetch is over; nothing of it can be stored any more. Idempotent."""
        self._in_flight.end(fetching)

    def store(self, fetching: Fetching, stored: StoredResponse) -> bool:
        """Keep what `fetching` brought; whether it is kept.

        It is not if the fetch is outdated in one of its groups or of those `stored` names, if what is stored in its
        place began later, or if it is larger than the memory tier. Once ended, a fetch can no longer be outdated, so
        that nothing is taken from it.
        """
        fetching.join(stored.groups)
        if fetching.outdated or fetching.ended or not self._memory.put(stored):
            return False
        self._walks.make_room()
        if self._behind is not None:
            self._behind.save(stored)
        return True

    def attach(self, stored: StoredResponse, head: bytes, splice: Splice) -> None:
        """Give `stored` a splice made on demand, and the field section that goes with it, so that they are counted."""
        self._memory.attach(stored, head, splice)

    def outdate(self, fetching: Fetching, key: str, groups: tuple[str, ...] | None = None) -> None:
        """The force refresh `fetching` of `key` has delivered: outdate everything else in `groups`, else in its own.

        That is whatever began before it, stored or in flight, and what is stored under other keys whenever it began:
        the upstream may have answered it from before the refresh. Only what a later force refresh brought stays.
        """
        self._drop(fetching.groups if groups is None else groups, fetching.began, self._now(), key)

    def invalidate(self, groups: tuple[str, ...]) -> None:
        """An unsafe method has succeeded (RFC 9111 §4.4): outdate all in `groups` that began before now."""
        now = self._now()
        self._drop(groups, now, now, None)

    def outdate_one(self, stored: StoredResponse) -> None:
        """`stored` is known to have changed (RFC 9111 §4.3.5): outdate it alone, or its copy where it was loaded."""
        self._memory.outdate(stored)
        if self._behind is not None:
            self._behind.outdate(stored, self._now())

    def forget(self, stored: StoredResponse) -> None:
        """`stored` may not be kept any longer (RFC 9111 §5.2.2.5): remove it alone, or its copy where it was loaded."""
        self._memory.remove(stored)
        self.outdate_one(stored)

    async def purge(self, selection: Selection, *, hard: bool) -> int:
        """Make stale what `selection` takes, or remove it if `hard`; how many stored responses in memory that were.

        From the first moment on nothing that was stored or in flight before is served as fresh. Returns once all has
        been met and the second tier was told, or failed to listen and is told later; goes on where it is cancelled.
        Stale since now: served while one fetch revalidates it or after an error where that is allowed, and validated.
        """
        purge = Purge(selection, self._now(), hard)
        self._in_flight.purge(selection, purge.before)
        met = self._walks.purge(purge)
        if self._behind is not None:
            await self._behind.purge(purge)
        await met
        return purge.purged

    async def survey(
        self, selection: Selection, after: str = "", most: int = 100
    ) -> tuple[list[StoredResponse], str | None]:
        """A page of at most `most` stored responses in memory, and what `after` is for the following one, None if none.

        Looking is no use of them. Through all pages each that is there all the while is there at least once; those
        that moved meanwhile may be there twice. Raises ValueError for an `after` that no page gave.
        """
        return await self._walks.survey(selection, after, most)

    def members(self, wanted: Mapping[str, T]) -> AsyncIterator[tuple[T, StoredResponse]]:
        """Whatever stands in `wanted` for a group (`prepare.group`), with each stored response that belongs to it.

        Only memory is walked: what the second tier holds beside it is not found. It takes its time, a tenth of the
        loop's at most, and none where nothing stored belongs to any; looking is no use. What is there all the while is
        met, once unless it moved meanwhile; what is replaced meanwhile may be.
        """
        return self._walks.members(wanted)

    def resize(self, limit_bytes: int) -> None:
        """Hold at most that much in memory; what is too much goes in steps, least recently used first."""
        self._walks.resize(limit_bytes)

    async def close(self) -> None:
        """Wait until every walk has ended, and the second tier has been told everything or has failed to listen."""
        await self._walks.finish()
        if self._behind is not None:
            await self._behind.close()

    def _drop(self, groups: tuple[str, ...], began: float, now: float, keep: str | None) -> None:
        self._memory.mark(groups, began, now, keep)
        self._in_flight.mark(groups, began)
        if self._behind is not None:
            self._behind.drop(groups, began, now, keep)

    def _now(self) -> float:
        # Never the same twice, so that of two fetches one began later.
        self._latest = max(self._clock.steady(), nextafter(self._latest, inf))
        return self._latest
