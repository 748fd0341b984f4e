"""Seconds that are the tested program's own, on a machine that also has other work."""

import time
from pathlib import Path

_PRESSURE = Path("/proc/pressure/cpu")


class Stopwatch:
    """Runs from when it is made, and stands while anything that could run waits for a processor.

    What others let this program wait for does not count against it; a quiet machine is held to every second. Linux
    tells the waiting in /proc/pressure/cpu (`some`, in µs, Documentation/accounting/psi.rst); without it none counts.
    """

    def __init__(self) -> None:
        self._began = _now()

    @property
    def seconds(self) -> float:
        return _now() - self._began


def _now() -> float:
    return time.monotonic() - _waited()


def _waited() -> float:
    """Seconds since boot in which somebody waited for a processor."""
    try:
        text = _PRESSURE.read_text()
    except OSError:
        return 0.0
    return int(text.splitlines()[0].rpartition("total=")[2]) / 1e6
