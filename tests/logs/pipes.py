"""A pipe whose reader is the test's."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_ROOM = 1 << 20


class Pipe:
    """`end` is what is written to."""

    def __init__(self) -> None:
        self.reading, self.end = os.pipe()

    def fill(self) -> None:
        """Leave no room in it."""
        os.set_blocking(self.end, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.end, b"\n" * 4096)
        with suppress(BlockingIOError):
            while True:
                os.write(self.end, b"\n")
        os.set_blocking(self.end, True)

    def read(self) -> bytes:
        """What is there, at least one byte of it."""
        return os.read(self.reading, _ROOM)

    def read_until(self, text: bytes) -> bytes:
        """What is there up to the line with `text`, and perhaps more."""
        read = b""
        while text not in read or not read.endswith(b"\n"):
            read += self.read()
        return read

    def rest(self) -> bytes:
        """All that was written, once nobody else has the end."""
        os.close(self.end)
        pieces = list(iter(self.read, b""))
        os.close(self.reading)
        return b"".join(pieces)

    def events(self) -> list[dict[str, Any]]:
        """`rest`, each line as the JSON object that it is."""
        return [json.loads(line) for line in self.rest().splitlines()]


@contextmanager
def piped() -> Iterator[Pipe]:
    """A pipe that is closed, whatever happens."""
    pipe = Pipe()
    try:
        yield pipe
    finally:
        for descriptor in (pipe.reading, pipe.end):
            with suppress(OSError):
                os.close(descriptor)
