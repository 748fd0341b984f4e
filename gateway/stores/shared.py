"""The tier that a fleet shares, as one node's cache uses it: believed by number, and outdated through the fleet's log.

What this node outdates is an entry of that log; what other nodes outdate comes from there.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Protocol, TypeVar, assert_never

from gateway.errors import Problem
from gateway.fleet.log import Log
from gateway.ports import SharedTier
from gateway.rfc9111.stored import Selecting, StoredResponse
from gateway.stores import TierUnavailable
from gateway.stores.encoding import original, plain
from gateway.stores.in_flight import Fetching, InFlight
from gateway.stores.owing import Owing
from gateway.stores.purging import Purge
from gateway.stores.selection import (
    Below,
    Broad,
    Everything,
    Exactly,
    Selection,
    Served,
    Tagged,
    Written,
    read,
    read_any,
)
from gateway.stores.telling import Appending, Telling, Untold, marked, place
from gateway.tasks import Tasks

T = TypeVar("T")

SAVES, SAVED_BYTES = 64, 64 << 20
"""Saves in flight at most, and their bytes; a response beyond is kept in memory alone."""

LARGEST, GROUPS = 8 << 20, 1_000
"""Bytes of the largest response that is shared, and its groups at most: Redis serves nobody else meanwhile."""

PURGES = 64
"""Purges at most that loads are held against; the tier does not believe what began before one beyond."""

_AGAIN = 0.5
"""Seconds before purges that could not be read are read again."""


class Held(Protocol):
    """What a node holds that other nodes' entries outdate, all of it that is there by now."""

    def hear_mark(self, groups: tuple[str, ...], *, unsafe: bool) -> None:
        """A refresh, or an unsafe method, has outdated `groups`."""

    def hear_one(self, key: str, selecting: Selecting) -> None:
        """One stored response has changed."""

    def hear_purge(self, selection: Selection, *, hard: bool) -> None:
        """What `selection` takes was purged."""


class Shared:
    """`tier` behind memory. `saved`, `refused` as too late and `unsaved` for want of room or an answer count responses.

    An entry that the log does not take is tried again for ever, and holds for what is loaded meanwhile.
    """

    def __init__(self, tier: SharedTier, link: Appending, log: Log) -> None:
        self.saved = self.refused = self.unsaved = 0
        self._tier = tier
        self._log = log
        self._telling = Telling(link, self._told, self._everything)
        # Loads as fetches in flight, by a clock of their own: what is outdated while one is under way it may bring.
        self._reads = InFlight()
        self._moment = 0.0
        self._purges: dict[Written, tuple[int, Broad]] = {}
        self._knows_purges = self._closing = False
        self._saving = self._saving_bytes = 0
        self._owing = Owing()
        self._tasks = Tasks()

    @property
    def settled(self) -> bool:
        """Whether all that this node has outdated is in the log."""
        return not self._telling.waiting

    @property
    def known(self) -> int:
        """The number that a fetch has which begins now."""
        return self._log.known

    def serve(self, held: Held) -> None:
        """Let `held` hear what other nodes outdate."""
        self._log.on("mark", lambda rest: self._hear_mark(held, *original(rest)))
        self._log.on("one", lambda rest: self._hear_one(held, *original(rest)))
        self._log.on("purge", lambda rest: self._hear_purge(held, *original(rest)))
        self._log.on_gap(lambda: self._hear_gap(held))
        self._log.on_join(self._join)

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant that the tier holds under `key` and nothing outdates; a failing tier holds nothing."""
        waiting = self._telling.waiting
        reading = self._reads.begin((), self._tick())
        try:
            found = await self._tier.load(key)
            waiting += self._telling.waiting
            return tuple([stored for number, stored in found if self._is_good(reading, waiting, number, stored)])
        except TierUnavailable:
            return ()
        finally:
            self._reads.end(reading)

    async def members(self, wanted: Mapping[str, T]) -> AsyncIterator[tuple[T, StoredResponse]]:
        """See `Cache.members_behind`."""
        for group, what in wanted.items():
            async for number, stored in self._tier.tagged(group):
                if self._is_believed(self._telling.waiting, number, stored, _groups(stored)):
                    yield what, stored

    def save(self, stored: StoredResponse, fetching: Fetching) -> None:
        """Share what `fetching` brought, if it can be done soon; a force refresh's once what it outdates is known."""
        if stored.forced and not fetching.ended:
            fetching.brought = stored
        else:
            self._save_soon(stored, fetching.number, fetching.token)

    def end(self, fetching: Fetching) -> None:
        """It is over: a force refresh that has outdated nothing by now does not."""
        brought, fetching.brought = fetching.brought, None
        if brought is not None:
            self._save_soon(brought, fetching.number, fetching.token)

    def drop(self, groups: tuple[str, ...], *, unsafe: bool, fetching: Fetching | None = None) -> None:
        """An unsafe method, or a refresh, has outdated `groups`: what its `fetching` brought is shared as of then."""
        untold = self._tell(self._log.entry("mark", plain(groups), unsafe), groups)
        if fetching is not None and fetching.brought is not None:
            brought, fetching.brought = fetching.brought, None
            watching = self._reads.begin((), self._tick())
            self._owing.add(brought.key)
            self._tasks.start(self._save_told(untold, brought, fetching.token, watching))

    def outdate(self, stored: StoredResponse) -> None:
        """Outdate `stored`, and whatever is in its place."""
        entry = self._log.entry("one", plain(stored.key), plain(stored.selecting))
        self._tell(entry, (place(stored.key, stored.selecting),))

    async def purge(self, purge: Purge) -> None:
        """Purge it everywhere. Raises Problem where the log does not answer: it is told later then."""
        selection = purge.selection
        entry = self._log.entry("purge", plain(selection.written), purge.hard)
        match selection:
            case Exactly() | Tagged():
                untold = self._tell(entry, selection.groups)
            case Below() | Served() | Everything():
                untold = self._tell(entry, (), selection)
            case _:
                assert_never(selection)
        await asyncio.shield(untold.told)

    async def written(self, key: str) -> None:
        """Return once nothing that is to be stored under `key` is still on its way to the tier."""
        await self._owing.over(key)

    async def told(self) -> None:
        """Return once all that this node has outdated so far is in the log. Raises Problem where it does not answer."""
        await self._telling.told()

    async def settle(self) -> None:
        """Wait for the saves under way, and those that they lead to."""
        await self._tasks.finish()

    async def close(self) -> None:
        """Wait for what is under way."""
        self._closing = True
        await self._telling.close()
        await self.settle()

    def _is_good(self, reading: Fetching, waiting: tuple[Untold, ...], number: int, stored: StoredResponse) -> bool:
        groups = _groups(stored)
        if reading.overtaken or reading.meets_mark(groups):
            return False
        return self._is_believed(waiting, number, stored, groups)

    def _is_believed(
        self, waiting: tuple[Untold, ...], number: int, stored: StoredResponse, groups: tuple[str, ...]
    ) -> bool:
        purges = self._purges.values()
        if not self._knows_purges or any(number < at and purge.takes(stored) for at, purge in purges):
            return False
        return not any(untold.outdates(stored, groups) for untold in waiting)

    def _tell(self, entry: bytes, groups: tuple[str, ...], purge: Broad | None = None) -> Untold:
        self._outdate_reads(groups, purge)
        return self._telling.tell(entry, groups, purge)

    def _everything(self) -> bytes:
        return self._log.entry("purge", Everything().written, True)

    def _told(self, untold: Untold) -> None:
        if untold.purge is not None:
            number = self._log.known if untold.failed else untold.told.result()
            self._keep_purge(number, untold.purge)

    def _outdate_reads(self, groups: tuple[str, ...], purge: Broad | None) -> None:
        self._reads.mark(groups, self._tick())
        if purge is not None:
            # Of a load nothing tells beforehand what it brings.
            self._reads.purge(Everything(), self._moment)

    def _tick(self) -> float:
        self._moment += 1
        return self._moment

    async def _save_told(self, untold: Untold, brought: StoredResponse, token: int, watching: Fetching) -> None:
        """Share what a force refresh brought as of its own entry, if no other has outdated it before that one."""
        try:
            with suppress(Problem):
                number = await asyncio.shield(untold.told)
                outdated = watching.overtaken or watching.meets_mark(_groups(brought))
                # Where entries before it are still to be applied, nobody knows.
                if not outdated and self._log.known >= number:
                    self._save_soon(brought, number, token)
        finally:
            self._reads.end(watching)
            self._owing.done(brought.key)

    def _save_soon(self, stored: StoredResponse, number: int, token: int) -> None:
        size = len(stored.head) + len(stored.body)
        if (
            size > LARGEST
            or len(stored.groups) > GROUPS
            or self._saving >= SAVES
            or self._saving_bytes + size > SAVED_BYTES
        ):
            self.unsaved += 1
            return
        self._saving += 1
        self._saving_bytes += size
        self._owing.add(stored.key)
        self._tasks.start(self._save(stored, number, token, size))

    async def _save(self, stored: StoredResponse, number: int, token: int, size: int) -> None:
        try:
            kept = await self._tier.save(stored, marked(_groups(stored)), number, token)
            self.saved, self.refused = self.saved + kept, self.refused + (not kept)
        except TierUnavailable:
            self.unsaved += 1
        finally:
            self._saving -= 1
            self._saving_bytes -= size
            self._owing.done(stored.key)

    def _hear_mark(self, held: Held, groups: tuple[str, ...], unsafe: bool) -> None:
        self._outdate_reads(groups, None)
        held.hear_mark(groups, unsafe=unsafe)

    def _hear_one(self, held: Held, key: str, selecting: Selecting) -> None:
        self._outdate_reads((place(key, selecting),), None)
        held.hear_one(key, selecting)

    def _hear_purge(self, held: Held, written: Written, hard: bool) -> None:
        selection = read_any(written)
        match selection:
            case Exactly() | Tagged():
                self._outdate_reads(selection.groups, None)
            case Below() | Served() | Everything():
                self._keep_purge(self._log.known, selection)
                self._outdate_reads((), selection)
            case _:
                assert_never(selection)
        held.hear_purge(selection, hard=hard)

    def _hear_gap(self, held: Held) -> None:
        self._outdate_reads((), Everything())
        held.hear_purge(Everything(), hard=True)
        self._knows_purges = False
        self._join()

    def _keep_purge(self, number: int, purge: Broad) -> None:
        # One of everything is known to the tier as such.
        if isinstance(purge, Everything):
            return
        self._purges[purge.written] = max(number, self._purges.get(purge.written, (0, purge))[0]), purge
        if len(self._purges) > PURGES:
            del self._purges[min(self._purges, key=lambda written: self._purges[written][0])]

    def _join(self) -> None:
        if not self._knows_purges:
            self._tasks.start(self._learn_purges())

    async def _learn_purges(self) -> None:
        """Until they are known, nothing is loaded."""
        while not self._knows_purges and not self._closing:
            try:
                for number, written in await self._tier.purges():
                    self._keep_purge(number, read(written))
                self._knows_purges = True
            except TierUnavailable:
                await asyncio.sleep(_AGAIN)


def _groups(stored: StoredResponse) -> tuple[str, ...]:
    return (*stored.groups, place(stored.key, stored.selecting))
