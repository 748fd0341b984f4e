"""The process around workers: starts them, and others in place of those that die, and hands on signals."""

import asyncio
import pickle
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import structlog

from gateway.config.load import Loaded
from gateway.config.units import Address
from gateway.listener.binding import bound
from gateway.logs import Logs
from gateway.workers.channel import Begin, Channel
from gateway.workers.hub import Hub
from gateway.workers.slot import HELD, Slot, pause_before

COMMAND = (sys.executable, "-P", "-m", "gateway.workers")
"""What a worker is started with."""

# Seconds that workers have once they are told a second time to end.
_PATIENCE = 5.0


def supervise(loaded: Loaded, path: Path | None, workers: int, command: Sequence[str] = COMMAND) -> int:
    """Run so many workers until SIGTERM or SIGINT; a second one stops them at once. SIGHUP has the config read again.

    Returns the exit code: a worker's own where it could not serve at all. Raises BadStart.
    """
    with Logs(shared=True) as logs, asyncio.Runner() as runner:
        logs.configure(loaded.config.log)
        return runner.run(Supervisor(loaded, path, workers, command).run())


class Supervisor:
    """The workers, the first of which speaks for all; and what each that is started begins with."""

    def __init__(self, loaded: Loaded, path: Path | None, workers: int, command: Sequence[str]) -> None:
        self._path = path
        self._slots = _slots(loaded.config.listen, workers, command)
        self._hub = Hub(self._slots, packed(loaded))
        self._incarnations = count(1)
        self._started = time.time()
        self._told = 0
        self._code = 0
        self._stopping = asyncio.Event()
        self._log = structlog.get_logger("gateway.workers")

    async def run(self) -> int:
        """Until all workers have ended; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            await asyncio.gather(*[self._keep_up(slot) for slot in self._slots])
        finally:
            for slot in self._slots:
                slot.close()
        return self._code

    def _stop(self) -> None:
        """The first time all drain; the second time they end as one process would, or are killed."""
        self._told += 1
        self._stopping.set()
        for slot in self._slots:
            slot.signal(signal.SIGTERM)
        if self._told == 2:
            asyncio.get_running_loop().call_later(_PATIENCE, self._kill)

    def _kill(self) -> None:
        for slot in self._slots:
            slot.signal(signal.SIGKILL)

    def _reload(self) -> None:
        if self._slots[0].ready:
            self._slots[0].signal(signal.SIGHUP)

    async def _keep_up(self, slot: Slot) -> None:
        """One process after another, until told to stop, or where not even the first one can serve."""
        while not self._stopping.is_set():
            code = await self._lived(slot)
            if self._stopping.is_set():
                # One that was told before it could listen to that ends by the signal itself.
                self._code = self._code or (0 if code == -signal.SIGTERM else abs(code))
            elif slot.failures and not slot.began:
                self._code = abs(code) or 1
                self._stop()
            elif slot.failures:
                pause = pause_before(slot.failures)
                self._log.error("worker ended", worker=slot.number, code=code, again_in=pause)
                await self._wait(pause)

    async def _lived(self, slot: Slot) -> int:
        """Start one process and hear it out; its exit code."""
        try:
            process, channel = await slot.start()
        except OSError as error:
            self._log.error("worker not started", worker=slot.number, error=error.strerror)
            slot.ended(time.monotonic())
            return 1
        if self._stopping.is_set():
            slot.signal(signal.SIGTERM)
        incarnation, size = next(self._incarnations), len(self._slots)
        slot.send(Begin(slot.number, size, incarnation, self._started, self._path, self._hub.loaded, self._hub.estate))
        watch = asyncio.get_running_loop().call_later(HELD, self._begin_anew, slot) if slot.held else None
        await self._hear(slot, channel)
        if watch is not None:
            watch.cancel()
        channel.close()
        code = await process.wait()
        self._hub.lost(slot)
        slot.ended(time.monotonic())
        return code

    def _begin_anew(self, slot: Slot) -> None:
        """Clients must not wait for it any longer: its next process may take its time."""
        if not slot.ready:
            slot.replace()

    async def _hear(self, slot: Slot, channel: Channel) -> None:
        while (frame := await channel.receive()) is not None:
            self._hub.heard(slot, frame)

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def packed(loaded: Loaded) -> bytes:
    """For a process of its own, where no place in the files can be told any more."""
    return pickle.dumps(replace(loaded, config=loaded.config.without_document()), pickle.HIGHEST_PROTOCOL)


def _slots(address: Address, workers: int, command: Sequence[str]) -> list[Slot]:
    """All on the port that the first one has. Raises BadStart."""
    if address.port:
        # Another gateway that shares its port would go unnoticed.
        bound(address.host, address.port).close()
    slots = list[Slot]()
    for number in range(workers):
        slots.append(Slot(number, address, command))
        address = replace(address, port=slots[0].listening.getsockname()[1])
    return slots
