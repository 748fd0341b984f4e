"""The process around a gateway: event loop, signals, logs, exit codes."""

import asyncio
import gc
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
import uvloop

from gateway.app import Gateway
from gateway.config.fixed import Fixed
from gateway.config.load import Loaded, load_apart
from gateway.logs import Logs
from gateway.reload import Read

# Containers more than were freed before the youngest are collected, and how many such collections before the older ones
# are. None takes longer than some milliseconds: what there may be millions of is `untracked`.
_COLLECTING = (10_000, 5, 20)

Hook = Callable[[], None]


def serve(loaded: Loaded, path: Path | None = None) -> int:
    """Run a gateway until SIGTERM or SIGINT; a second one stops it at once. SIGHUP has the config in `path` read again.

    Returns the exit code; raises BadStart.
    """
    with Logs() as logs, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        logs.configure(loaded.config.log)
        return runner.run(_serve(loaded, path, logs))


async def _serve(loaded: Loaded, path: Path | None, logs: Logs) -> int:
    stops = Stops()
    return await stops.run(await Gateway.open(loaded, reading(loaded, path), logs))


def reading(loaded: Loaded, path: Path | None) -> Read | None:
    """What reads the config in `path` again, for the gateway that begins with `loaded`; None where there is no file."""
    return None if path is None else partial(load_apart, path, Fixed.of(loaded.config))


class Stops:
    """What the process is told by signals, from now on; used within the event loop."""

    def __init__(self) -> None:
        self._stops: asyncio.Queue[None] = asyncio.Queue()
        self._hung_up = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stops.put_nowait, None)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)

    async def run(self, gateway: Gateway, begun: Hook = lambda: None, leaving: Hook = lambda: None) -> int:
        """Serve until told to stop; the exit code. Calls `begun` once it serves, `leaving` before it drains.

        Raises BadStart.
        """
        # While nobody waits: with 100,000 keys it takes a second.
        gc.collect()
        await gateway.start()
        reloading = asyncio.create_task(self._reload(gateway))
        # What lives from here on to the end need not be looked at by every full collection.
        gc.freeze()
        gc.set_threshold(*_COLLECTING)
        begun()
        await self._stops.get()
        leaving()
        reloading.cancel()
        return await self._drained(gateway)

    async def _drained(self, gateway: Gateway) -> int:
        drained = asyncio.create_task(gateway.drain())
        again = asyncio.create_task(self._stops.get())
        await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
        if not drained.done():
            structlog.get_logger("gateway").warning("stopped at once, with requests unanswered")
            return 1
        again.cancel()
        await drained
        return 0

    async def _reload(self, gateway: Gateway) -> None:
        while await self._hung_up.wait():
            self._hung_up.clear()
            await gateway.reload()
