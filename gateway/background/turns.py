"""Waiting that has no bound, for room at an upstream say, until the gateway ends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.ports import Upstream

T = TypeVar("T")


class Ended(Exception):
    """The gateway ends: what was to be done next is left to its next start."""


class Turns:
    """Who waits here may do so for hours, and leaves nothing half done: the end of the gateway does not wait for it."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[object]] = set()
        self._ended = False

    async def room(self, upstream: Upstream) -> None:
        """Return once `upstream` has room for the background. Raises Ended, and the Problem of one that is gone."""
        await self.waited(upstream.room)

    async def waited(self, wait: Callable[[], Awaitable[T]]) -> T:
        """What `wait` comes to; raises Ended in its place. A task waits for one thing at a time."""
        task = asyncio.current_task()
        if self._ended or task is None:
            raise Ended
        self._waiting.add(task)
        try:
            return await wait()
        except asyncio.CancelledError:
            if not self._ended:
                raise
            raise Ended from None
        finally:
            self._waiting.discard(task)

    def end(self) -> None:
        """Let nobody wait any more."""
        self._ended = True
        for task in self._waiting:
            task.cancel()
