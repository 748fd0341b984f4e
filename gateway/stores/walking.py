"""Walks over all that the memory tier holds, in steps between which everything else has its turn."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TypeVar

from gateway.ports import Clock
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.memory import MemoryTier
from gateway.stores.purging import Purge
from gateway.stores.selection import Selection
from gateway.tasks import Tasks

KEYS = 64
"""Cache keys in one step, at most."""

# How often purges that no groups tell are asked of a stored response in one step, at most.
_ASKED = 512

FREED = 1 << 20
"""Bytes given back in one step, or little more: large bodies take long to free."""

# Of the loop's time a walk that nobody waits for takes one part, and leaves so many to everything else.
_LEFT = 9

# Seconds that it pauses at least: less than the loop can count is nothing to it.
_REST = 0.001

T = TypeVar("T")


class Walks:
    """At most one walk for purges is under way: those that are ordered meanwhile share the next one."""

    def __init__(self, memory: MemoryTier, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._ordered: list[tuple[Purge, asyncio.Future[None]]] = []
        self._walking = False
        self._limit = memory.limit_bytes
        self._tasks = Tasks()

    def purge(self, purge: Purge) -> asyncio.Future[None]:
        """Let everything stored meet `purge`, which it has once the result is there, whether or not anybody waits.

        Whoever reads meets it from now on.
        """
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._memory.purge(purge):
            ended.set_result(None)
            return ended
        self._ordered.append((purge, ended))
        if not self._walking:
            self._walking = True
            self._tasks.start(self._walk())
        return ended

    async def survey(self, selection: Selection, after: str, most: int) -> tuple[list[StoredResponse], str | None]:
        """See `Cache.survey`."""
        place, skipped = _read(after) if after else (self._memory.places, 0)
        found: list[StoredResponse] = []
        while place > 0:
            if place > self._memory.places:
                place, skipped = self._memory.places, 0
            for key in self._memory.keys(place, KEYS):
                for number, stored in enumerate(self._memory.look(key)):
                    if number < skipped or not selection.takes(stored):
                        continue
                    if len(found) == most:
                        return found, f"{place}.{number}"
                    found.append(stored)
                place, skipped = place - 1, 0
            await asyncio.sleep(0)
        return found, None

    async def members(self, wanted: Mapping[str, T]) -> AsyncIterator[tuple[T, StoredResponse]]:
        """See `Cache.members`."""
        known = {name: what for name, what in wanted.items() if self._memory.knows(name)}
        place = self._memory.places if known else 0
        while place > 0:
            began, place = self._clock.steady(), min(place, self._memory.places)
            looked = [stored for key in self._memory.keys(place, KEYS) for stored in self._memory.look(key)]
            members = [stored for stored in looked if not known.keys().isdisjoint(stored.groups)]
            place -= KEYS
            spent = self._clock.steady() - began
            for stored in members:
                for what in _told(stored, known):
                    yield what, stored
            await asyncio.sleep(max(spent * _LEFT, _REST))

    def resize(self, limit_bytes: int) -> None:
        """Let the tier hold at most that much as soon as what is too much has gone, in steps."""
        resizing = self._limit != self._memory.limit_bytes
        self._limit = limit_bytes
        if not resizing:
            self._tasks.start(self._resize())

    async def finish(self) -> None:
        """Wait for the walks under way."""
        await self._tasks.finish()

    async def _resize(self) -> None:
        while self._limit != self._memory.limit_bytes:
            self._memory.resize(max(self._limit, self._memory.bytes - FREED))
            await asyncio.sleep(0)

    async def _walk(self) -> None:
        try:
            while self._ordered:
                ordered, self._ordered = self._ordered, []
                place = self._memory.places
                while place > 0:
                    place = self._step(place)
                    await asyncio.sleep(0)
                for purge, ended in ordered:
                    self._memory.purged(purge)
                    if not ended.done():
                        ended.set_result(None)
        finally:
            self._walking = False

    def _step(self, place: int) -> int:
        """Read what is at the next places before `place`; where to go on."""
        least = self._memory.bytes - FREED
        keys = min(KEYS, _ASKED // (self._memory.broad_purges + 1) + 1)
        place = min(place, self._memory.places)
        for key in self._memory.keys(place, keys):
            self._memory.look(key)
            place -= 1
            if self._memory.bytes < least:
                break
        return place


def _told(stored: StoredResponse, wanted: Mapping[str, T]) -> Iterable[T]:
    """What stands for one of its groups at least, each once."""
    return {id(wanted[name]): wanted[name] for name in stored.groups if name in wanted}.values()


def _read(after: str) -> tuple[int, int]:
    """The place and the number of the variant there. Raises ValueError for what `survey` has not given."""
    place, dot, number = after.partition(".")
    if not dot or not all(part.isascii() and part.isdecimal() and len(part) < 16 for part in (place, number)):
        raise ValueError("not where a page of stored responses ended")
    return int(place), int(number)
