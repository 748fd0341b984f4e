"""Walks over all that the memory tier holds, in steps between which everything else has its turn."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from typing import TypeVar

from gateway.ports import Clock
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.memory import MemoryTier
from gateway.stores.purging import Purge
from gateway.stores.selection import Selection
from gateway.stores.table import Variants
from gateway.tasks import Tasks

KEYS = 64
"""Cache keys in one step, at most."""

# How often purges that no groups tell are asked of a stored response in one step, at most.
_ASKED = 512

FREED = 1 << 19
"""Bytes given back in one step, or little more: large bodies take long to free."""

# Of the loop's time a walk that nobody waits for takes one part, and leaves so many to everything else.
_LEFT = 9

# Seconds after which it pauses: what is done with a stored response may take a while too.
_TURN = 0.001

# Seconds that it pauses at least: less than the loop can count is nothing to it.
_REST = 0.001

# Of which the place where a page ended consists.
_NUMBERS = 3

T = TypeVar("T")


class Walks:
    """At most one walk for purges is under way: those that are ordered meanwhile share the next one."""

    def __init__(self, memory: MemoryTier, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._ordered: list[tuple[Purge, asyncio.Future[None]]] = []
        self._walking = False
        self._limit = memory.limit_bytes
        self._making_room = False
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
        place, first, skipped = _read(after) if after else (0, 0, 0)
        found: list[StoredResponse] = []
        while place < self._memory.places:
            # By their hashes, which stay what they are, whatever comes, goes or is used between two pages.
            for at, key in sorted([(at, key) for key in self._memory.keys(place) if (at := _hashed(key)) >= first]):
                for number, stored in enumerate(self._memory.look(key)):
                    if (at == first and number < skipped) or not selection.takes(stored):
                        continue
                    if len(found) == most:
                        return found, f"{place}.{at}.{number}"
                    found.append(stored)
            place, first, skipped = place + 1, 0, 0
            await asyncio.sleep(0)
        return found, None

    async def members(self, wanted: Mapping[str, T]) -> AsyncIterator[tuple[T, StoredResponse]]:
        """See `Cache.members`."""
        known = {name: what for name, what in wanted.items() if self._memory.knows(name)}
        for keys in self._some_keys() if known else ():
            began = self._clock.steady()
            looked = [stored for key in keys for stored in self._memory.look(key)]
            members = [stored for stored in looked if not known.keys().isdisjoint(stored.groups)]
            spent = self._clock.steady() - began
            for stored in members:
                for what in _told(stored, known):
                    yield what, stored
            await asyncio.sleep(max(spent * _LEFT, _REST))

    async def everything(self) -> AsyncGenerator[Variants, None]:
        """See `Cache.everything`."""
        for keys in self._some_keys():
            began = self._clock.steady()
            for key in keys:
                if variants := self._memory.look(key):
                    yield variants
                # What was done with them is part of it.
                if (spent := self._clock.steady() - began) >= _TURN:
                    await asyncio.sleep(spent * _LEFT)
                    began = self._clock.steady()
            await asyncio.sleep(max((self._clock.steady() - began) * _LEFT, _REST))

    def resize(self, limit_bytes: int) -> None:
        """Let the tier hold at most that much as soon as what is too much has gone, in steps."""
        resizing = self._limit != self._memory.limit_bytes
        self._limit = limit_bytes
        if not resizing:
            self._tasks.start(self._resize())

    def make_room(self) -> None:
        """Put out what is too much, in steps, where the tier has not done that at once."""
        if self._memory.full and not self._making_room:
            self._making_room = True
            self._tasks.start(self._make_room())

    async def finish(self) -> None:
        """Wait for the walks under way."""
        await self._tasks.finish()

    async def _resize(self) -> None:
        while self._limit != self._memory.limit_bytes:
            self._memory.resize(max(self._limit, self._memory.bytes - FREED))
            await asyncio.sleep(0)

    async def _make_room(self) -> None:
        while self._memory.full:
            self._memory.make_room()
            await asyncio.sleep(0)
        self._making_room = False

    async def _walk(self) -> None:
        try:
            while self._ordered:
                ordered, self._ordered = self._ordered, []
                for keys in self._some_keys():
                    while keys:
                        self._step(keys)
                        await asyncio.sleep(0)
                for purge, ended in ordered:
                    self._memory.purged(purge)
                    if not ended.done():
                        ended.set_result(None)
        finally:
            self._walking = False

    def _some_keys(self) -> Iterator[list[str]]:
        """All keys that are there all the while, a step's at a time, some perhaps twice."""
        place = 0
        while place < self._memory.places:
            keys = self._memory.keys(place)
            yield from [keys[at : at + KEYS] for at in range(0, len(keys), KEYS)]
            place += 1

    def _step(self, keys: list[str]) -> None:
        """Read what is under the last of `keys`, and take them off."""
        least = self._memory.bytes - FREED
        for _ in range(min(len(keys), _ASKED // (self._memory.broad_purges + 1) + 1)):
            self._memory.look(keys.pop())
            if self._memory.bytes < least:
                break


def _told(stored: StoredResponse, wanted: Mapping[str, T]) -> Iterable[T]:
    """What stands for one of its groups at least, each once."""
    return {id(wanted[name]): wanted[name] for name in stored.groups if name in wanted}.values()


def _hashed(key: str) -> int:
    return hash(key) & 0xFFFF_FFFF_FFFF_FFFF


def _read(after: str) -> tuple[int, int, int]:
    """The place, the hash there and the number of the variant. Raises ValueError for what `survey` has not given."""
    numbers = after.split(".")
    if len(numbers) != _NUMBERS or not all(one.isascii() and one.isdecimal() and len(one) <= 20 for one in numbers):
        raise ValueError("not where a page of stored responses ended")
    place, first, number = map(int, numbers)
    return place, first, number
