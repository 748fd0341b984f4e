"""A clock that stands still until a test moves it."""


class FakeClock:
    """Both of `ports.Clock`'s times, in seconds since the epoch; 2026-01-15 12:00 UTC at first."""

    def __init__(self, now: float = 1_768_478_400.0) -> None:
        self.steady_now = now
        self.wall_now = now
        self.boot = "boot"

    def steady(self) -> float:
        return self.steady_now

    def wall(self) -> float:
        return self.wall_now

    def uptime(self) -> tuple[str, float]:
        return self.boot, self.steady_now

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.steady_now += seconds
        self.wall_now += seconds
