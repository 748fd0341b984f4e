"""What takes a while to find out, found at most so often and only while somebody asks: a page asks again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.ports import Clock

T = TypeVar("T")


class Lately(Generic[T]):
    """Keeps what `find` found for `seconds` from when it was there, and for `parts` times as long as that took.

    It is found once for all who ask meanwhile. Whoever leaves takes it along, and the next one who waits begins anew.
    """

    def __init__(self, clock: Clock, seconds: float, parts: float = 0.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._parts = parts
        self._finding = asyncio.Lock()
        self._found: T | None = None
        self._until = 0.0

    async def get(self, find: Callable[[], Awaitable[T]]) -> T:
        """What was found lately, else what `find` finds now. Raises what `find` does, and then keeps nothing."""
        async with self._finding:
            if self._found is not None and self._clock.steady() < self._until:
                return self._found
            began = self._clock.steady()
            self._found = found = await find()
            ended = self._clock.steady()
            self._until = ended + max(self._seconds, self._parts * (ended - began))
            return found
