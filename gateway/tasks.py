"""Tasks that no caller waits for: owned here, as the event loop itself lets go of what nobody holds."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import structlog

_PAUSE = 1.0


async def forever(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, which has no end of its own; what ends it all the same is a bug, told of in the log: it goes on."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - nobody waits for it, and nobody would begin it again
            structlog.get_logger("gateway").error("work begun anew", work=name, exc_info=error)
        await asyncio.sleep(_PAUSE)


class Tasks:
    """What was started and has not ended yet; `len` counts it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` to its end."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Wait for all that was started, and for what that starts."""
        while self._running:
            await asyncio.wait(self._running)
