"""What lies behind memory is brought into it on demand."""

import asyncio

from gateway.rfc9111.stored import StoredResponse
from gateway.stores.behind import Behind
from gateway.stores.memory import MemoryTier
from gateway.stores.shared import Shared
from gateway.stores.table import Variants
from gateway.stores.walking import Walks

SAME = 0.1
"""Seconds by which times of other nodes may be wrong: what seems so much newer than what is held may be just that."""


class Loading:
    """From the tier `behind` into `memory`, once for all who ask for the same at a time; None: there is no tier."""

    def __init__(self, memory: MemoryTier, walks: Walks, behind: Behind | Shared | None) -> None:
        self._memory = memory
        self._walks = walks
        self._behind = behind
        self._shares = isinstance(behind, Shared)
        self._loading: dict[str, asyncio.Event] = {}

    async def load(self, key: str) -> Variants:
        """See `Cache.load`."""
        if self._behind is None:
            return self._memory.get(key)
        if (loading := self._loading.get(key)) is not None:
            await loading.wait()
            return self._memory.get(key)
        loading = self._loading[key] = asyncio.Event()
        try:
            self._bring(key, await self._behind.load(key))
        finally:
            del self._loading[key]
            loading.set()
        return self._memory.get(key)

    async def renew(self, key: str) -> Variants:
        """See `Cache.renew`."""
        while (loading := self._loading.get(key)) is not None:
            await loading.wait()
        return await self.load(key)

    async def find(self, key: str) -> Variants:
        """See `Cache.find`."""
        held = self._memory.look(key)
        if held or self._behind is None:
            return held
        found = await self._behind.load(key)
        for stored in () if self._shares else found:
            self._memory.meet(stored)
        return self._memory.look(key) or found

    def _bring(self, key: str, found: Variants) -> None:
        held = {stored.selecting: stored for stored in self._memory.get(key)}
        for stored in found:
            if self._shares:
                self._take_in(stored, held.get(stored.selecting))
            elif stored.selecting not in held:
                # What memory got meanwhile stays, even if it is outdated: the same response may be the one found.
                self._memory.meet(stored)
                self._memory.put(stored)
        if found:
            self._walks.make_room()

    def _take_in(self, stored: StoredResponse, held: StoredResponse | None) -> None:
        """Hold what the fleet shares: nothing outdates it, whatever the marks here say of when it began."""
        if held is not None and not held.outdated and stored.began <= held.began + SAME:
            return
        if held is not None:
            self._memory.remove(held)
        self._memory.put(stored)
