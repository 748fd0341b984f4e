"""A second tier whose calls can be held and made to fail."""

import asyncio

from aiocache import SimpleMemoryCache

from gateway.cache import Cache
from gateway.ports import Clock
from gateway.rfc9111.stored import StoredResponse
from gateway.stores import TierUnavailable
from gateway.stores.memory import MemoryTier
from gateway.stores.second import AiocacheTier


class Gated:
    """A second tier whose calls can be held, before it acts or (loads only) after it has read, and made to fail."""

    def __init__(self) -> None:
        self.tier = AiocacheTier(SimpleMemoryCache(), expire_after=None)
        self.before, self.after, self.held, self.told = (asyncio.Event() for _ in range(4))
        self.before.set()
        self.after.set()
        self.broken = False
        self.calls = {"load": 0, "save": 0, "drop": 0, "purge": 0}

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        await self._enter("load")
        found = await self.tier.load(key)
        await self._pass(self.after)
        return found

    async def save(self, stored: StoredResponse) -> None:
        await self._enter("save")
        await self.tier.save(stored)

    async def drop(self, groups: tuple[str, ...], before: float, keep: str | None) -> None:
        await self._enter("drop")
        await self.tier.drop(groups, before, keep)
        self.told.set()

    async def purge(self, selection: tuple[str, ...], before: float, *, hard: bool) -> None:
        await self._enter("purge")
        await self.tier.purge(selection, before, hard=hard)

    async def _enter(self, call: str) -> None:
        self.calls[call] += 1
        await self._pass(self.before)
        if self.broken:
            raise TierUnavailable("broken")

    async def _pass(self, gate: asyncio.Event) -> None:
        if not gate.is_set():
            self.held.set()
        await gate.wait()


def behind(tier: Gated, clock: Clock) -> Cache:
    """A cache with nothing in memory, as after a restart."""
    return Cache(MemoryTier(100 << 20), tier, clock)
