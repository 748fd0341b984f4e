"""Loopback addresses for the processes under test, and ones where nobody, or nobody in time, answers."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain

HOST = "127.0.0.1"

# Below Linux's ephemeral range, so that no outgoing connection takes a port between its choice and its use.
LOWEST, HIGHEST = 12_000, 32_000

# Test processes that run at once have ports of their own: the range in as many parts.
_WORKERS = 8


def _ports() -> Iterator[int]:
    """The ports of this test process, one after the other and round again; from anywhere, as other runs do the same."""
    part = (HIGHEST - LOWEST) // _WORKERS
    lowest = LOWEST + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _WORKERS * part
    begin = random.randrange(lowest, lowest + part)
    while True:
        yield from chain(range(begin, lowest + part), range(lowest, begin))


_own_ports = _ports()


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and which nobody has been given for long."""
    for _ in range(200):
        port = next(_own_ports)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port found")


@contextmanager
def unanswering() -> Iterator[int]:
    """A port whose accept queue is full: connecting to it neither succeeds nor fails."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
