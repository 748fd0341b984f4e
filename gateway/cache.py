"""The cache as the pipeline sees it: memory first, a second tier behind it, and what outdates what is stored."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from math import inf, nextafter
from typing import TypeVar

from gateway.messages import Splice
from gateway.ports import Clock, Notes, SecondTier
from gateway.rfc9111.stored import Selecting, StoredResponse
from gateway.stores.behind import Behind
from gateway.stores.in_flight import Fetching, InFlight
from gateway.stores.loading import Loading
from gateway.stores.memory import MemoryTier
from gateway.stores.purging import Purge
from gateway.stores.selection import Selection
from gateway.stores.shared import Shared
from gateway.stores.walking import Walks

T = TypeVar("T")


class Cache:
    """Stored responses in `memory`, and behind it in `second` where there is one, or in the `shared` tier of a fleet.

    `peek` gives every variant in memory under a key, most recently received first, outdated ones included: as long as
    it gives the very same tuple, nothing in that has changed. It is the memory tier's own `get`, as every hit calls it.

    All but `load`, `find`, `purge`, `survey` and `close` is synchronous; what the second tier is to know is told by
    tasks that the cache owns, and stands in its `notes` until then. All that it holds was before `latest`.
    """

    def __init__(
        self,
        memory: MemoryTier,
        second: SecondTier | None,
        clock: Clock,
        notes: Notes | None = None,
        latest: float = 0.0,
        shared: Shared | None = None,
    ) -> None:
        self.peek: Callable[[str], tuple[StoredResponse, ...]] = memory.get
        self._memory = memory
        self._walks = Walks(memory, clock)
        self._behind = None if second is None else Behind(second, notes)
        self._shared = shared
        self._loads = Loading(memory, self._walks, shared or self._behind)
        self._clock = clock
        self._latest = latest
        self._in_flight = InFlight()
        if shared is not None:
            shared.serve(self)

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
        return self._behind is not None or self._shared is not None

    @property
    def is_shared(self) -> bool:
        """Whether `load` can find better than what `peek` does: another node may have fetched it since."""
        return self._shared is not None

    def look(self, key: str) -> tuple[StoredResponse, ...]:
        """As `peek`, but not a use of the key: what was used least recently stays that."""
        return self._memory.look(key)

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """As `peek`, after bringing into memory what lies behind it under `key`; a failing tier holds nothing.

        Once for all who ask meanwhile.
        """
        return await self._loads.load(key)

    async def renew(self, key: str) -> tuple[StoredResponse, ...]:
        """As `load`, with all that was stored before this is called."""
        return await self._loads.renew(key)

    async def find(self, key: str) -> tuple[StoredResponse, ...]:
        """What `load` would give, brought nowhere."""
        return await self._loads.find(key)

    def is_replaced(self, stored: StoredResponse) -> bool:
        """Whether something else has taken the place of `stored` in memory since it was looked up, or outdated it."""
        held = [other for other in self._memory.get(stored.key) if other.selecting == stored.selecting]
        return any(other is not stored or other.outdated for other in held)

    def begin(self, groups: tuple[str, ...]) -> Fetching:
        """Register a fetch in flight, about to be sent; `end` must follow whatever becomes of it."""
        return self._in_flight.begin(groups, self._now(), 0 if self._shared is None else self._shared.known)

    def end(self, fetching: Fetching) -> None:
        """The fetch is over; nothing of it can be stored any more. Idempotent."""
        self._in_flight.end(fetching)
        if fetching.brought is not None and self._shared is not None:
            self._shared.end(fetching)

    def store(self, fetching: Fetching, stored: StoredResponse) -> bool:
        """Keep what `fetching` brought; whether it is kept.

        It is not if the fetch is outdated in one of its groups or of those `stored` names, if what is stored in its
        place began later, or if it is larger than the memory tier. Once ended, a fetch can no longer be outdated, so
        that nothing is taken from it.
        """
        if not self.take_in(fetching, stored):
            return False
        if self._behind is not None:
            self._behind.save(stored)
        if self._shared is not None:
            self._shared.save(stored, fetching)
        return True

    def take_in(self, fetching: Fetching, stored: StoredResponse) -> bool:
        """As `store`, in memory alone: what another node has fetched meanwhile, and stores for all."""
        fetching.join(stored.groups)
        if fetching.outdated or fetching.ended or fetching.deposed or not self._memory.put(stored):
            return False
        self._walks.make_room()
        return True

    async def saved(self, key: str) -> None:
        """Return once other nodes can find what was stored under `key`, or it has been given up."""
        if self._shared is not None:
            await self._shared.written(key)

    def attach(self, stored: StoredResponse, head: bytes, splice: Splice) -> None:
        """Give `stored` a splice made on demand, and the field section that goes with it, so that they are counted."""
        self._memory.attach(stored, head, splice)

    def outdate(self, fetching: Fetching, key: str, groups: tuple[str, ...] | None = None) -> None:
        """The force refresh `fetching` of `key` has delivered: outdate everything else in `groups`, else in its own.

        That is whatever began before it, stored or in flight, and what is stored under other keys whenever it began:
        the upstream may have answered it from before the refresh. Only what a later force refresh brought stays.
        """
        groups = fetching.groups if groups is None else groups
        self._drop(groups, fetching.began, self._now(), key)
        if self._shared is not None:
            self._shared.drop(groups, unsafe=False, fetching=fetching)

    def invalidate(self, groups: tuple[str, ...]) -> None:
        """An unsafe method has succeeded (RFC 9111 §4.4): outdate all in `groups` that began before now."""
        now = self._now()
        self._drop(groups, now, now, None)
        if self._shared is not None:
            self._shared.drop(groups, unsafe=True)

    def outdate_behind(self, groups: tuple[str, ...]) -> None:
        """Outdate what lies behind memory in `groups` by now, and nothing in memory: `members` finds that alone.

        In a fleet that is what all others hold.
        """
        if self._behind is not None and groups:
            now = self._now()
            self._behind.drop(groups, now, now, None)
        if self._shared is not None and groups:
            self._shared.drop(groups, unsafe=False)

    def outdate_one(self, stored: StoredResponse) -> None:
        """`stored` is known to have changed (RFC 9111 §4.3.5): outdate it alone, or its copy where it was loaded."""
        self._memory.outdate(stored)
        if self._behind is not None:
            self._behind.outdate(stored, self._now())
        if self._shared is not None:
            self._shared.outdate(stored)

    def forget(self, stored: StoredResponse) -> None:
        """`stored` may not be kept any longer (RFC 9111 §5.2.2.5): remove it alone, or its copy where it was loaded."""
        self._memory.remove(stored)
        self.outdate_one(stored)

    async def purge(self, selection: Selection, *, hard: bool) -> int:
        """Make stale what `selection` takes, or remove it if `hard`; how many stored responses in memory that were.

        From the first moment on nothing that was stored or in flight before is served as fresh. Returns once all has
        been met and the second tier was told, or failed to listen and is told later; goes on where it is cancelled.
        Stale since now: served while one fetch revalidates it or after an error where that is allowed, and validated.
        Raises Problem(ledger_unavailable) where a fleet's other nodes may not know of it yet.
        """
        purge = Purge(selection, self._now(), hard)
        met = self._purge(purge)
        if self._behind is not None:
            await self._behind.purge(purge)
        if self._shared is not None:
            await self._shared.purge(purge)
        await met
        return purge.purged

    async def told(self) -> None:
        """Return once no other node serves as fresh what was outdated here so far, at once where there is none.

        Raises Problem(ledger_unavailable) where that is not known; it is told as soon as it can be.
        """
        if self._shared is not None:
            await self._shared.told()

    def hear_mark(self, groups: tuple[str, ...], *, unsafe: bool) -> None:
        """Another node has outdated `groups`: whatever belongs to them here by now, stored or in flight."""
        now = self._now()
        # No key is the empty one. What that spares must not be invalid, and nothing that is here is spared.
        self._memory.mark(groups, now, now, None if unsafe else "")
        self._in_flight.mark(groups, now)

    def hear_one(self, key: str, selecting: Selecting) -> None:
        """Another node has outdated the stored response under `key` with these selecting header fields."""
        for stored in self._memory.look(key):
            if stored.selecting == selecting:
                self._memory.outdate(stored)

    def hear_purge(self, selection: Selection, *, hard: bool) -> None:
        """Another node has purged what `selection` takes."""
        self._purge(Purge(selection, self._now(), hard))

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

    async def members_behind(self, wanted: Mapping[str, T]) -> AsyncIterator[tuple[T, StoredResponse]]:
        """The same for the tags' groups in the tier that a fleet shares: what it holds, perhaps more than once.

        Those that nothing outdates, without field section and content. Nothing where there is none. Raises
        stores.TierUnavailable.
        """
        if self._shared is not None:
            async for found in self._shared.members(wanted):
                yield found

    def everything(self) -> AsyncGenerator[tuple[StoredResponse, ...], None]:
        """All that is in memory, the variants of a key at a time; looking is no use of them.

        It takes its time, a tenth of the loop's at most, with what is done in between: a millisecond and then a pause.
        What is there all the while is met, once unless it moved meanwhile.
        """
        return self._walks.everything()

    def resize(self, limit_bytes: int) -> None:
        """Hold at most that much in memory; what is too much goes in steps, least recently used first."""
        self._walks.resize(limit_bytes)

    async def close(self) -> None:
        """Wait until every walk has ended, and what lies behind memory has been told everything or did not listen."""
        await self._walks.finish()
        if self._behind is not None:
            await self._behind.close()
        if self._shared is not None:
            await self._shared.close()

    @property
    def settled(self) -> bool:
        """Whether what lies behind memory has been told everything that it is to know."""
        behind = self._shared or self._behind
        return behind is None or behind.settled

    def _purge(self, purge: Purge) -> asyncio.Future[None]:
        self._in_flight.purge(purge.selection, purge.before)
        return self._walks.purge(purge)

    def _drop(self, groups: tuple[str, ...], began: float, now: float, keep: str | None) -> None:
        self._memory.mark(groups, began, now, keep)
        self._in_flight.mark(groups, began)
        if self._behind is not None:
            self._behind.drop(groups, began, now, keep)

    def _now(self) -> float:
        # Never the same twice, so that of two fetches one began later.
        self._latest = max(self._clock.steady(), nextafter(self._latest, inf))
        return self._latest
