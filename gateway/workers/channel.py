"""What the supervisor and a worker tell each other, pickled, over a socket pair that nobody else has."""

import asyncio
import pickle
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import TypeAlias

_LENGTH = Struct("!Q")


@dataclass(slots=True, frozen=True)
class Begin:
    """To a worker, first of all: its place, and the pickled `load.Loaded` in operation, read from `path`, to serve by.

    `incarnation` is another one for each process that the supervisor starts; `started` and `estate` as `crew.Crew` has
    them.
    """

    number: int
    size: int
    incarnation: int
    started: float
    path: Path | None
    loaded: bytes
    estate: bytes


@dataclass(slots=True, frozen=True)
class Ready:
    """From a worker: it serves."""


@dataclass(slots=True, frozen=True)
class Failed:
    """From a worker, last of all: it cannot serve, and why, in one line."""

    reason: str


@dataclass(slots=True, frozen=True)
class Ask:
    """From the first worker to the one with number `to`; `what` is pickled, `id` never used before."""

    id: int
    to: int
    what: bytes


@dataclass(slots=True, frozen=True)
class Answer:
    """To the first worker; None where the one that was asked does not serve, or ended before it had answered."""

    id: int
    content: bytes | None


@dataclass(slots=True, frozen=True)
class Keep:
    """From the first worker: what the next one is to begin with."""

    estate: bytes


@dataclass(slots=True, frozen=True)
class Commit:
    """From the first worker: the workers with these numbers are ready to swap this config in, itself among them.

    Answered with content where the supervisor has them do so; empty where others serve by now who are not.
    """

    id: int
    loaded: bytes
    voters: frozenset[int]


@dataclass(slots=True, frozen=True)
class Swap:
    """To a worker: the config that it has prepared is in operation."""


@dataclass(slots=True, frozen=True)
class Abandon:
    """To a worker: what it has prepared will not be swapped in."""


Frame: TypeAlias = Begin | Ready | Failed | Ask | Answer | Keep | Commit | Swap | Abandon


class Channel:
    """One end. Frames arrive in the order in which they were sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Over one end of a pair, which is closed with it."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, frame: Frame) -> None:
        """Have it sent; it goes nowhere where the other side has ended."""
        if self._writer.is_closing():
            # uvloop's raises.
            return
        content = pickle.dumps(frame, pickle.HIGHEST_PROTOCOL)
        self._writer.write(_LENGTH.pack(len(content)) + content)

    async def receive(self) -> Frame | None:
        """The next frame; None once the other side has ended."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            content = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            return None
        frame: Frame = pickle.loads(content)  # noqa: S301 - it comes from a process of our own
        return frame

    async def end(self, frame: Frame) -> None:
        """Have it sent before the process ends."""
        self.send(frame)
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def close(self) -> None:
        """Send and receive no more."""
        self._writer.close()
