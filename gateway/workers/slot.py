"""One worker's place at the supervisor: its process, its end of the channel, and its socket on the client port."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from gateway.config.units import Address
from gateway.listener.binding import bound
from gateway.workers.channel import Channel, Frame

HELD = 10.0
"""Seconds in which a worker's successor must serve: as long clients that were connecting to it wait for that."""

# Seconds before the second restart in a row, doubled for each further one up to the longest. A worker that has served
# for so long has begun well.
_FIRST, _LONGEST, _WELL = 0.5, 10.0, 10.0


def pause_before(failures: int) -> float:
    """Seconds until a worker is started again which has ended, or not begun, so many times in a row."""
    return 0.0 if failures <= 1 else min(_LONGEST, _FIRST * 2.0 ** min(failures - 2, 10))


class Slot:
    """What there is of the worker `number`; `command` starts one, its channel and its socket are two further words.

    The socket outlives the process, and with it the connections that the kernel has accepted and nobody has taken.
    """

    def __init__(self, number: int, address: Address, command: Sequence[str]) -> None:
        self.number = number
        self.listening = bound(address.host, address.port, shared=True)
        self.process: asyncio.subprocess.Process | None = None
        self.asked = set[int]()
        self.began = False
        self.ready = False
        self.held = False
        self.failures = 0
        self.replaced = False
        self._command = command
        self._channel: Channel | None = None
        self._since = 0.0

    async def start(self) -> tuple[asyncio.subprocess.Process, Channel]:
        """A new process, and the channel to it. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = await self._spawn(theirs)
            except OSError:
                ours.close()
                raise
        self._channel = await Channel.over(ours)
        return self.process, self._channel

    def serves(self, now: float) -> None:
        """The process has said so, at `now` (seconds of any clock, as for `ended`)."""
        self.began = self.ready = True
        self.held = False
        self._since = now

    def ended(self, now: float) -> None:
        """The process has: a failure, unless it was `replaced`."""
        if self.replaced or (self.ready and now - self._since >= _WELL):
            self.failures = 0
        self.failures += not self.replaced
        # Those who were connecting to one that died wait for the next one, if that begins at once. One that has drained
        # has shut its socket, and nobody connects to such a one ever again.
        listened = self.listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        self.held = self.ready and bool(listened) and not pause_before(self.failures)
        if not self.held:
            self.renew()
        self.process, self._channel, self.ready, self.replaced = None, None, False, False

    def renew(self) -> None:
        """Let go of the socket, so that the kernel sends no clients here, and have another one for the next process."""
        address = self.listening.getsockname()
        self.close()
        self.listening = bound(address[0], address[1], shared=True)

    def close(self) -> None:
        """Have nobody connect here any more."""
        with suppress(OSError):
            # Whichever process has it as well.
            self.listening.shutdown(socket.SHUT_RD)
        self.listening.close()

    def replace(self) -> None:
        """Have another process in place of the one that has yet to serve, if there is one; that is no failure."""
        if self.process is not None:
            self.replaced = True
            self.signal(signal.SIGKILL)

    def send(self, frame: Frame) -> None:
        """To its process, if there is one."""
        if self._channel is not None:
            self._channel.send(frame)

    def signal(self, number: int) -> None:
        """To its process, if there is one."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def _spawn(self, channel: socket.socket) -> asyncio.subprocess.Process:
        # It finds modules where we do, but not in the working folder by chance. In a session of its own: the
        # terminal's Ctrl-C reaches it through the supervisor alone.
        given = channel.fileno(), self.listening.fileno()
        return await asyncio.create_subprocess_exec(
            *self._command,
            *map(str, given),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=given,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
