"""A gateway's ledger and meter as one process of a machine whose clock, disk and death the test decides."""

import asyncio
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from errno import EIO
from math import inf
from pathlib import Path
from typing import Literal, TypeVar

from gateway.admission.snapshot import Account
from gateway.errors import Problem
from gateway.ledger.ledger import Ledger
from gateway.ledger.recovery import BOOK
from gateway.ledger.sums import booked
from gateway.ledger.tables import Durability, Tables
from gateway.meter import Meter
from gateway.roster import Roster

Disk = Literal["sound", "refuses", "short", "stuck", "dies torn", "dies written", "dead"]
T = TypeVar("T")
# Bytes: so few that segments are full, and dropped, after some groups.
SEGMENT = 1500


@dataclass
class World:
    """The machine: its clocks in seconds, of which only `wall` can be set, and its disk."""

    mono: float = 5000.0
    wall: float = 1_768_478_400.0
    disk: Disk = "sound"
    boot: str = "boot"

    def passes(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += seconds


class Os:
    """The operating system as the journal of the running process sees it, writing as well as the disk lets it."""

    world = World()

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def write(self, file: int, data: bytes) -> int:
        match self.world.disk:
            case "sound":
                return os.write(file, data)
            case "refuses":
                raise OSError(EIO, os.strerror(EIO))
            case "short" | "stuck":
                return os.write(file, data[: len(data) // 2])
            case "dies torn":
                os.write(file, data[: len(data) // 2])
            case "dies written":
                os.write(file, data)
            case "dead":
                pass
        self.world.disk = "dead"
        raise Killed

    def ftruncate(self, file: int, length: int) -> None:
        if self.world.disk == "stuck":
            raise OSError(EIO, os.strerror(EIO))
        os.ftruncate(file, length)


class Killed(BaseException):
    """The process is gone at this line."""


class ProcessClock:
    """`ports.Clock` of a process: its steady clock was set to the wall's time once, at its start."""

    def __init__(self, world: World, gate: "Gate") -> None:
        self._world = world
        self._gate = gate
        self._offset = world.wall - world.mono

    def steady(self) -> float:
        return self._world.mono + self._offset

    def wall(self) -> float:
        """The book's thread is told only when it is let through: what it does must not depend on when it runs."""
        if threading.current_thread() is not threading.main_thread():
            self._gate.wait()
        return self._world.wall

    def uptime(self) -> tuple[str, float]:
        return self._world.boot, self._world.mono


class Gate:
    """Where the book's thread waits before each transaction, until it is let through or killed."""

    def __init__(self) -> None:
        self._passing = threading.RLock()
        self._killed = False
        self._passing.acquire()

    def __enter__(self) -> None:
        self._passing.acquire()
        if self._killed:
            self._passing.release()
            raise sqlite3.OperationalError("killed")

    def __exit__(self, *_: object) -> None:
        self._passing.release()

    def wait(self) -> None:
        """Blocks until the thread is let through or killed."""
        with self._passing:
            pass

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Lets the thread through; afterwards it is in no transaction."""
        self._passing.release()
        try:
            yield
        finally:
            self._passing.acquire()

    def kill(self) -> None:
        """No transaction is to come any more."""
        self._killed = True
        self._passing.release()


class GatedTables(Tables):
    """The book's tables behind the gate of the process that is being started."""

    starting = Gate()

    def __init__(self, path: Path, durability: Durability) -> None:
        self._gate = self.starting
        super().__init__(path, durability)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._gate, super()._transaction():
            yield

    def checkpoint(self) -> bool:
        with self._gate:
            return super().checkpoint()


class Turns(asyncio.SelectorEventLoop):
    """An event loop on the world's clock, stepped by hand."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.set_exception_handler(_raised)
        self.broken: list[BaseException] = []

    def time(self) -> float:
        return self._world.mono

    @contextmanager
    def inside(self) -> Iterator[None]:
        """As a callback of this loop would run; what it schedules waits for `turn`."""
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def turn(self) -> None:
        """What is scheduled by now."""
        self.stop()
        self.run_forever()


def _raised(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    assert isinstance(loop, Turns)
    error = context.get("exception")
    if not isinstance(error, Killed):
        assert isinstance(error, BaseException)
        loop.broken.append(error)


class Process:
    """One run of the gateway on `folder`; `ledger` and `meter` are the real ones, records kept for `keep` seconds."""

    def __init__(self, folder: Path, world: World, accounts: tuple[Account, ...], keep: float = inf) -> None:
        self.folder = folder
        self.gate = GatedTables.starting = Gate()
        Os.world = world
        self.loop = Turns(world)
        clock = ProcessClock(world, self.gate)
        with self.loop.inside():
            self.ledger = Ledger.open(folder, "process", clock, segment=SEGMENT, keep=keep)
            self.meter = Meter(self.ledger, clock)
        self.configure(accounts)

    def configure(self, accounts: tuple[Account, ...]) -> None:
        with self.loop.inside():
            self.meter.configure(Roster.of(accounts, "UTC"))

    def do(self, act: Callable[[], T]) -> T:
        """Something the meter does in the present turn."""
        with self.loop.inside():
            return act()

    @property
    def posted(self) -> bool:
        """Whether this turn has anything for the journal."""
        return not self.ledger._group.empty

    def turn(self) -> bool:
        """Ends the turn; whether the journal took what was done in it."""
        with self.loop.inside():
            committed = self.ledger.committed()
        self.loop.turn()
        if self.loop.broken:
            raise self.loop.broken[0]
        return committed.done() and committed.exception() is None

    def drift(self) -> int:
        """What the ledger tells of it, without a turn."""
        accounts, drift = self.ledger.accounts, self.ledger.accounts.drift()
        with closing(sqlite3.connect(self.folder / BOOK)) as db:
            applied, sums = booked(db)
        if self.ledger.idle and applied == self.ledger._journal.sequence:
            drift += sum(abs(a - b) for a, b in zip(sums, accounts.sums(), strict=True))
        return drift

    def catch_up(self) -> None:
        """Has the book's thread apply everything that is in the journal."""
        with self.gate.opened():
            self.ledger._book.drain()

    def close(self) -> None:
        """Ends it in good order."""
        with self.gate.opened():
            self.loop.run_until_complete(self.ledger.close())
        self._end_loop()

    def kill(self, remains: Path) -> None:
        """Ends it as kill -9 does: `remains` is the folder as it is at this moment."""
        shutil.copytree(self.folder, remains)
        self.end()
        shutil.rmtree(self.folder)

    def end(self) -> None:
        """Ends it at once, if it has not ended."""
        if not self.loop.is_closed():
            self.gate.kill()
            self.ledger._book.close()
            self.ledger._journal.close()
            os.close(self.ledger._lock)
            self._end_loop()

    def _end_loop(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


def outcome_of(act: Callable[[], T]) -> "T | Problem":
    """What it returns, or the problem it is refused with."""
    try:
        return act()
    except Problem as problem:
        return problem
