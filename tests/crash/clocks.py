"""Clocks that a test moves under a running process: two offsets in a file that both of them map.

`wall` is what somebody sets the machine's clock by, `steady` is time that really passes; a file outlives kill -9.
"""

import mmap
import struct
import time
from pathlib import Path

_OFFSETS = struct.Struct("dd")


class ShiftedClock:
    """The test's side. Offsets are in seconds and start at 0."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_OFFSETS.size))
        self.path = path
        self._offsets = _mapped(path)

    @property
    def wall(self) -> float:
        """Seconds since the epoch as the process has them."""
        return time.time() + self._read()[0]

    @property
    def steady(self) -> float:
        """The monotonic clock as the process has it."""
        return time.monotonic() + self._read()[1]

    def advance(self, seconds: float) -> None:
        """Time passes, for every clock."""
        wall, steady = self._read()
        self._write(wall + seconds, steady + seconds)

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        wall, steady = self._read()
        self._write(wall + seconds, steady)

    def set(self, wall: float) -> None:
        """Somebody sets the wall clock to `wall`."""
        self.jump(wall - self.wall)

    def _read(self) -> tuple[float, float]:
        wall, steady = _OFFSETS.unpack_from(self._offsets)
        return wall, steady

    def _write(self, wall: float, steady: float) -> None:
        _OFFSETS.pack_into(self._offsets, 0, wall, steady)


def follow(path: str) -> None:
    """The process's side: `time.time` and `time.monotonic` go by the file from now on."""
    offsets, wall, steady = _mapped(Path(path)), time.time, time.monotonic
    time.time = lambda: wall() + _OFFSETS.unpack_from(offsets)[0]
    time.monotonic = lambda: steady() + _OFFSETS.unpack_from(offsets)[1]


def _mapped(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _OFFSETS.size)
