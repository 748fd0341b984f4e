"""When a config's files have changed: told by the file system, and looked at regularly besides."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from watchfiles import awatch

from gateway.config.sources import Sources
from gateway.config.spots import Spots, spots

# Milliseconds: how often the watching thread looks up, and for how long at most it gathers events before it tells.
_STEP, _GATHERED = 50, 200

# Seconds between two looks at files that are being written, and how many there are at most: about a second.
_STILL, _LOOKS = 0.05, 20


async def changes(current: Callable[[], Sources], every: float = 5.0) -> AsyncGenerator[None, None]:
    """Yields when the files of `current()` do not hold any more what it says, once they are still, or after a second.

    It looks when something happens in their folders, or in those of links on the way, and every so many seconds. What
    whoever is told does not take over, as `current` shows, is told once. Close it with `aclosing`.
    """
    watch, told = _Watch(), None
    while True:
        sources = current()
        there = await asyncio.to_thread(spots, sources)
        async with watch.on(there) as woken:
            # From here on nothing can happen unseen; only now does it count what is there.
            found = await _settled(sources)
            while found == sources or (sources, found) == told:
                await _wait(woken, every)
                if current() is not sources or await asyncio.to_thread(spots, sources) != there:
                    break
                found = await _settled(sources)
        if found != sources and (sources, found) != told:
            told = sources, found
            yield


async def _settled(sources: Sources) -> Sources:
    """What the files hold when they have not changed for a moment; those that are as they were need no second look."""
    found = await asyncio.to_thread(sources.now)
    for _ in range(_LOOKS):
        if found == sources:
            break
        await asyncio.sleep(_STILL)
        before, found = found, await asyncio.to_thread(sources.now)
        if found == before:
            break
    return found


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)
    woken.clear()


class _Watch:
    """The file system's word, where it gives one; that it does not is logged once."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("gateway.config")
        self._failed = False

    @asynccontextmanager
    async def on(self, there: Spots) -> AsyncIterator[asyncio.Event]:
        """Sets the event when something happens at one of the spots, from now on."""
        woken = asyncio.Event()
        task = asyncio.create_task(self._tell(there, woken))
        # The task's first step, up to its first wait, has the kernel watch.
        await asyncio.sleep(0)
        try:
            yield woken
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _tell(self, there: Spots, woken: asyncio.Event) -> None:
        try:
            async for _ in awatch(
                *there.folders,
                watch_filter=lambda _, path: there.concerns(path),
                debounce=_GATHERED,
                step=_STEP,
                recursive=False,
            ):
                woken.set()
        except (OSError, RuntimeError, ExceptionGroup) as error:
            # Out of watches, a folder just gone, the thread failing within its task group: looking regularly goes on.
            if not self._failed:
                self._failed = True
                self._log.warning("config folders not watched, their files are compared instead", error=str(error))
