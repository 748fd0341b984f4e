"""What is under way by key, for those who have to wait until none of it is."""

import asyncio
from collections import Counter


class Owing:
    """Counts what is `add`ed and `done`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._awaited: dict[str, asyncio.Event] = {}

    def add(self, key: str) -> None:
        """One thing more is under way."""
        self._counts[key] += 1

    def done(self, key: str) -> None:
        """One of them has ended, however it did."""
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
            if (awaited := self._awaited.pop(key, None)) is not None:
                awaited.set()

    async def over(self, key: str) -> None:
        """Return as soon as nothing is under way."""
        if key in self._counts:
            await self._awaited.setdefault(key, asyncio.Event()).wait()
