"""Tasks that no caller waits for: owned here, as the event loop itself lets go of what nobody holds."""

import asyncio
from collections.abc import Coroutine


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
