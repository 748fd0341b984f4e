"""The machine's clocks as `ports.Clock`."""

import time
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """`steady` is the monotonic clock, set once to the wall clock's time."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        # Where nothing names the boot, what an earlier process counted is judged by the wall clock.
        self._boot = _BOOT.read_text().strip() if _BOOT.exists() else ""

    def steady(self) -> float:
        """Seconds since the epoch, without jumps."""
        return time.monotonic() + self._offset

    def wall(self) -> float:
        """Seconds since the epoch, as the machine's clock has them now."""
        return time.time()

    def uptime(self) -> tuple[str, float]:
        """The boot's id, "" where it has none, and the monotonic clock, which all processes of a boot share."""
        return self._boot, time.monotonic()
