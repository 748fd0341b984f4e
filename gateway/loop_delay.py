"""How late the event loop comes to what is due: whatever holds it up holds up every request."""

from collections.abc import Callable
from typing import Protocol

EVERY = 0.1
"""Seconds between two observations."""


class Timer(Protocol):
    def cancel(self) -> None: ...


class Loop(Protocol):
    """The part of `asyncio.AbstractEventLoop` that is needed here."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[float], object], due: float, /) -> Timer: ...


class LoopDelay:
    """From `start` to `close` it tells `observe` again and again by how many seconds `loop` was late."""

    def __init__(self, loop: Loop, observe: Callable[[float], None]) -> None:
        self._loop = loop
        self._observe = observe
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to observe."""
        due = self._loop.time() + EVERY
        self._timer = self._loop.call_at(due, self._called, due)

    def close(self) -> None:
        """Observe no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _called(self, due: float) -> None:
        self._observe(max(0.0, self._loop.time() - due))
        self.start()
