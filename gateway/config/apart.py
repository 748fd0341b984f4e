"""A question to a Python module that is run as a process of its own, and its answer: pickled, over one socket."""

import asyncio
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from subprocess import Popen
from typing import Any

from gateway.config.unseen import unpickled

_NICER = 10
_PIECE = 1 << 18


class Unanswered(Exception):
    """The process could not be started, ended, or had no time left, before it had answered; the message says which."""


async def answer_of(module: str, question: object, within: float) -> Any:
    """What `python -m module`, which calls `answer`, makes of `question`, if it takes `within` seconds at most.

    The answer holds no cycles: see `unpickled`. The process is killed when its time is over or the caller is cancelled.
    Raises Unanswered.
    """
    try:
        ours, process = _started(module)
    except OSError as error:
        raise Unanswered(f"cannot be started: {error.strerror}") from None
    try:
        async with asyncio.timeout(within):
            # In a thread, as the answer may be large; where Python code runs, that lets the loop have its turns.
            return await asyncio.to_thread(_exchange, ours, process, question)
    except TimeoutError:
        raise Unanswered(f"took more than {within:g} s") from None
    finally:
        # The thread finds the socket at its end then, closes it and reaps the process.
        process.kill()


def answer(given: Callable[[Any], object], within: float) -> None:
    """What the module does as the process: it answers the question on its standard input with what `given` makes of it.

    It yields the processors to others, and ends by itself after `within` seconds, should nobody be left to kill it.
    """
    signal.setitimer(signal.ITIMER_REAL, within)
    os.nice(_NICER)
    with socket.socket(fileno=sys.stdin.fileno()) as line:
        question = pickle.loads(_received(line))  # noqa: S301 - it comes from the process that started this one
        line.sendall(pickle.dumps(given(question), pickle.HIGHEST_PROTOCOL))


def _started(module: str) -> tuple[socket.socket, Popen[bytes]]:
    """The process, and the socket that it is at the other end of."""
    # The socket is its standard input, and what it prints joins our errors: no stray line gets into the answer. It
    # finds modules where we do, but not in the working folder by chance. Every word of the command is ours.
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", module]
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            return ours, Popen(command, stdin=theirs.fileno(), stdout=2, env=environ, start_new_session=True)  # noqa: S603
        except OSError:
            ours.close()
            raise


def _exchange(line: socket.socket, process: Popen[bytes], question: object) -> Any:
    with line:
        try:
            line.sendall(pickle.dumps(question, pickle.HIGHEST_PROTOCOL))
            line.shutdown(socket.SHUT_WR)
            answered = _received(line)
        except OSError:
            answered = b""
    if (code := process.wait()) != 0:
        raise Unanswered(f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}")
    if not answered:
        raise Unanswered("ended without an answer")
    return unpickled(answered)


def _received(line: socket.socket) -> bytes:
    """All until the other side has no more to say."""
    pieces = bytearray()
    while piece := line.recv(_PIECE):
        pieces += piece
    return bytes(pieces)
