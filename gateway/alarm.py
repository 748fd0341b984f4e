"""One timer for the earliest of many times."""

import asyncio
from collections.abc import Callable
from math import inf


class Alarm:
    """Calls `ring` once, at the earliest time that was asked for: `at` until then, else infinity.

    The time is kept here: a handle of uvloop's does not know it where it is less than half a millisecond ahead.
    """

    __slots__ = ("_handle", "_ring", "at")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self.at = inf
        self._handle: asyncio.Handle | None = None

    def by(self, at: float) -> None:
        """Ring at `at`, in the event loop's time, or sooner where that is set."""
        if at < self.at:
            self.stop()
            self.at = at
            self._handle = asyncio.get_running_loop().call_at(at, self._rung)

    def stop(self) -> None:
        """Do not ring."""
        if self._handle is not None:
            self._handle.cancel()
        self.at, self._handle = inf, None

    def _rung(self) -> None:
        self.at, self._handle = inf, None
        self._ring()
