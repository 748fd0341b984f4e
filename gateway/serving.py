"""The process around a gateway: event loop, signals, logs, exit codes."""

import asyncio
import gc
import logging
import signal
import sys

import structlog
import uvloop

from gateway.app import Gateway
from gateway.config.schema import Config, Log

# Containers more than were freed before the youngest are collected, and how many such collections before the older ones
# are: with the usual 700 and 10 each, prepared heads and stored responses are walked over every second.
_COLLECTING = (20_000, 20, 20)


def serve(config: Config) -> int:
    """Run a gateway until SIGTERM, SIGINT or SIGHUP; a second one stops it at once.

    Returns the exit code; raises BadStart.
    """
    configure_logs(config.log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config))


async def _serve(config: Config) -> int:
    signals: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, None)
    gateway = Gateway(config)
    await gateway.start()
    # What lives from here on to the end need not be looked at by every full collection.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTING)
    await signals.get()
    drained = asyncio.create_task(gateway.drain())
    again = asyncio.create_task(signals.get())
    await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
    if not drained.done():
        structlog.get_logger("gateway").warning("stopped at once, with requests unanswered")
        return 1
    again.cancel()
    await drained
    return 0


def configure_logs(log: Log) -> None:
    """One line per event on standard error: for people on a terminal, else JSON, or as the config says."""
    people = log.format == "console" or (log.format == "auto" and sys.stderr.isatty())
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[log.level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard library; what they echo of requests must not reach the log.
    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr, force=True)
