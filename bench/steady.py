"""A load at a fixed rate over plain sockets: an answer's time counts from when its request was to be sent.

So a server that is late once is late for all that was to be sent meanwhile, as it is for clients that know nothing of
each other.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from select import select
from time import perf_counter
from typing import Final

from bench.client import PATIENCE, whole
from bench.processes import HOST, Server

_CONNECTIONS: Final = 64


@dataclass(slots=True, eq=False)
class _Line:
    """A connection that waits for one answer at most: to a request of this `kind` that was `meant` to be sent then."""

    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    kind: str = ""
    meant: float = 0.0

    def fileno(self) -> int:
        return self.socket.fileno()


@dataclass(frozen=True, slots=True)
class Times:
    """How long the answers to one kind of request took: milliseconds, shortest first."""

    sorted: Sequence[float]

    def at(self, share: float) -> float:
        """The time within which this share of them came."""
        return self.sorted[min(len(self.sorted) - 1, int(len(self.sorted) * share))]

    def together(self, other: "Times") -> "Times":
        """Those of both."""
        return Times(sorted([*self.sorted, *other.sorted]))


class Load:
    """`requests` gives kind and bytes of what is asked for next, `rate` times a second at moments drawn by chance."""

    def __init__(self, server: Server, requests: Iterator[tuple[str, bytes]], rate: float) -> None:
        self._server = server
        self._requests = requests
        self._rate = rate
        self._draw = Random(0)
        self._idle: deque[_Line] = deque()
        self._busy: set[_Line] = set()
        self._late: deque[float] = deque()
        self._times: dict[str, list[float]] = {}

    def run(self, is_over: Callable[[], bool]) -> dict[str, Times]:
        """The times by kind of all that was sent until it is over; every answer is a 200."""
        self._times = {}
        with ExitStack() as stack:
            for _ in range(_CONNECTIONS):
                connection = stack.enter_context(socket.create_connection((HOST, self._server.port), PATIENCE))
                self._idle.append(_Line(connection))
            self._send_until(is_over)
            while self._late or self._busy:
                self._send_late()
                self._receive(PATIENCE)
            self._idle.clear()
        return {kind: Times(sorted(times)) for kind, times in self._times.items()}

    def _send_until(self, is_over: Callable[[], bool]) -> None:
        following = perf_counter()
        while not is_over():
            now = perf_counter()
            while following <= now:
                self._late.append(following)
                following += self._draw.expovariate(self._rate)
            self._send_late()
            self._receive(max(0.0, following - perf_counter()))

    def _send_late(self) -> None:
        """What was to be sent by now, as far as there are connections for it."""
        while self._late and self._idle:
            self._send(self._idle.popleft(), self._late.popleft())

    def _send(self, line: _Line, meant: float) -> None:
        line.kind, request = next(self._requests)
        line.meant = meant
        line.socket.sendall(request)
        self._busy.add(line)

    def _receive(self, patience: float) -> None:
        """Take what has come, or comes within `patience` seconds."""
        for line in select(list(self._busy), [], [], patience)[0]:
            received = line.socket.recv(65536)
            assert received, f"{self._server.name} closes a connection without an answer"
            line.received += received
            if whole(line.received):
                self._times.setdefault(line.kind, []).append((perf_counter() - line.meant) * 1000)
                line.received.clear()
                self._busy.discard(line)
                self._idle.append(line)
