"""The process around a gateway: event loop, signals, logs, exit codes."""

import asyncio
import gc
import signal
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


def serve(loaded: Loaded, path: Path | None = None) -> int:
    """Run a gateway until SIGTERM or SIGINT; a second one stops it at once. SIGHUP has the config in `path` read again.

    Returns the exit code; raises BadStart.
    """
    read = None if path is None else partial(load_apart, path, Fixed.of(loaded.config))
    with Logs() as logs, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        logs.configure(loaded.config.log)
        return runner.run(_serve(loaded, read, logs))


async def _serve(loaded: Loaded, read: Read | None, logs: Logs) -> int:
    stops: asyncio.Queue[None] = asyncio.Queue()
    loop, hung_up = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stops.put_nowait, None)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    gateway = Gateway(loaded, read, logs)
    # While nobody waits: with 100,000 keys it takes a second.
    gc.collect()
    await gateway.start()
    reloading = asyncio.create_task(_reload(gateway, hung_up))
    # What lives from here on to the end need not be looked at by every full collection.
    gc.freeze()
    gc.set_threshold(*_COLLECTING)
    await stops.get()
    reloading.cancel()
    return await _stopped(gateway, stops)


async def _stopped(gateway: Gateway, stops: asyncio.Queue[None]) -> int:
    drained = asyncio.create_task(gateway.drain())
    again = asyncio.create_task(stops.get())
    await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
    if not drained.done():
        structlog.get_logger("gateway").warning("stopped at once, with requests unanswered")
        return 1
    again.cancel()
    await drained
    return 0


async def _reload(gateway: Gateway, hung_up: asyncio.Event) -> None:
    while await hung_up.wait():
        hung_up.clear()
        await gateway.reload()
