"""The order API's rate limit: so many calls in a window that begins with its first call."""

import math


class Window:
    """At most `limit` calls in `seconds`; times are steady seconds."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self._seconds = seconds
        self._began = -math.inf
        self._calls = 0

    def take(self, now: float) -> bool:
        """Count a call; False for one too many, which is not counted."""
        self._open(now)
        if self._calls >= self.limit:
            return False
        self._calls += 1
        return True

    def left(self, now: float) -> tuple[int, int]:
        """How many calls are left in this window, and whole seconds until the next, at least 1."""
        self._open(now)
        return self.limit - self._calls, max(1, math.ceil(self._began + self._seconds - now))

    def _open(self, now: float) -> None:
        if now - self._began >= self._seconds:
            self._began, self._calls = now, 0
