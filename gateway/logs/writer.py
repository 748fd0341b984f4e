"""The thread that writes log lines: whoever logs never waits for a slow reader, and hears of no failure."""

import os
import select
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from queue import SimpleQueue

MOST_WAITING = 10_000
"""Lines; a few MiB as they usually are."""

# What one write takes at most, but for a single longer line.
_BATCH = 64 * 1024
# In seconds: how long the end of the process waits for a reader that takes nothing.
_PATIENCE = 2.0
# In seconds, after a write: to wake the thread for every line takes whoever logs longer than the line itself.
_REST = 0.01


class Writer:
    """Writes whole lines to `descriptor`, in their order; None is nowhere.

    What does not fit behind `MOST_WAITING` others, or cannot be written, is dropped and counted. Once writing works
    again, the line that `telling` makes of the number goes before the next.
    """

    def __init__(self, descriptor: int | None, telling: Callable[[int], bytes], *, shared: bool = False) -> None:
        self._most = select.PIPE_BUF if shared else 2 * _BATCH
        self._descriptor = None if descriptor is None else _own(descriptor)
        self._telling = telling
        # It takes lines without a lock that a line of a signal's or of the garbage collector's could find taken.
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._refused = 0
        self._lost = 0
        self._told = 0
        self._torn = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written, since the start."""
        return self._refused + self._lost

    def put(self, line: bytes) -> None:
        """Have a line written, its end included; never waits and never raises."""
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(line)
        else:
            self._refused += 1

    def close(self) -> None:
        """Return once all lines are written, or after two seconds; later lines go nowhere."""
        self._waiting.put(None)
        self._ending.set()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        ended = False
        while not ended:
            lines, ended = self._gathered()
            self._write(lines)
            # Behind a whole batch more lines wait, of which only so many may.
            if sum(map(len, lines)) < _BATCH:
                self._ending.wait(_REST)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _gathered(self) -> tuple[list[bytes], bool]:
        """The next line and those that wait behind it, and whether the end does."""
        lines, size = list[bytes](), 0
        # Nobody else takes lines: what waits will not be gone.
        while not lines or (size < _BATCH and not self._waiting.empty()):
            line = self._waiting.get()
            if line is None:
                return lines, True
            lines.append(line)
            size += len(line)
        return lines, False

    def _write(self, lines: list[bytes]) -> None:
        """Write them behind what is to be told of others, and count those that did not go out whole."""
        untold = self.dropped - self._told
        pieces = [self._telling(untold), *lines] if untold else lines
        if self._torn:
            pieces = [b"\n", *pieces]
        ends = list(accumulate(map(len, pieces)))
        sent = 0
        for together in _parted(pieces, self._most):
            written = self._sent(together)
            sent += written
            if written < len(together):
                break
        whole = bisect_right(ends, sent)
        self._lost += min(len(pieces) - whole, len(lines))
        if untold and whole > self._torn:
            self._told += untold
        if sent:
            self._torn = sent not in ends

    def _sent(self, data: bytes) -> int:
        """How many of the bytes could be written; waits where the reader is slow."""
        sent = 0
        while self._descriptor is not None and sent < len(data):
            try:
                sent += os.write(self._descriptor, data[sent:])
            except BlockingIOError:
                _await_room(self._descriptor)
            except OSError:
                # Closed, or no room: the next line may find it otherwise.
                break
        return sent


def _parted(pieces: Sequence[bytes], most: int) -> Iterator[bytes]:
    """All of them, in their order, as many at a time as are no more than `most` bytes, but for a longer one."""
    together, size = list[bytes](), 0
    for piece in pieces:
        if together and size + len(piece) > most:
            yield b"".join(together)
            together, size = [], 0
        together.append(piece)
        size += len(piece)
    yield b"".join(together)


def _own(descriptor: int) -> int | None:
    """A descriptor of our own, None where it is closed: its number may be another file's by the next line."""
    try:
        return os.dup(descriptor)
    except OSError:
        return None


def _await_room(descriptor: int) -> None:
    """For a terminal or pipe that whoever shares it has made non-blocking for all."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()
