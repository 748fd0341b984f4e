"""The machine's clocks as `ports.Clock`."""

import time


class SystemClock:
    """`steady` is the monotonic clock, set once to the wall clock's time."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def steady(self) -> float:
        """Seconds since the epoch, without jumps."""
        return time.monotonic() + self._offset

    def wall(self) -> float:
        """Seconds since the epoch, as the machine's clock has them now."""
        return time.time()
