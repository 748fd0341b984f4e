"""Forgetting jobs that ended long ago, so that the register does not grow for ever."""

import asyncio
from contextlib import suppress

from gateway.errors import Problem
from gateway.ports import Clock, Jobs

KEPT = 30 * 86_400.0
"""Seconds that a job can be looked at once it has ended."""

_EVERY = 3600.0


class Pruning:
    """Forgets every hour; `end` ends it at once."""

    def __init__(self, jobs: Jobs, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Until it is ended."""
        while not self._ended.is_set():
            # A register that is out of reach says so itself.
            with suppress(Problem):
                await self._jobs.prune(self._clock.wall() - KEPT)
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._ended.wait()

    def end(self) -> None:
        """Forget no more."""
        self._ended.set()
