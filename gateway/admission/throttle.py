"""Limits over time as pure state, time being an argument: a throttle's token bucket, a cap's sliding window."""

from collections import deque
from collections.abc import Iterable

from gateway.admission.snapshot import Rate, ThrottlePolicy

_TICKS = 1 << 22
"""Ticks per second: what a float of today's seconds since the epoch can tell apart, so that no time is rounded."""


class TokenBucket:
    """A throttle's bucket: full at first, refilled at the policy's rate up to its burst.

    Times are steady seconds; one that goes backwards refills nothing. The level is a whole number, in units of which
    one tick adds `rate.count` and one request takes `rate.seconds` in ticks, so that nothing drifts.
    """

    __slots__ = ("_capacity", "_cost", "_gain", "_latest", "_level", "_moment", "policy")

    def __init__(self, policy: ThrottlePolicy) -> None:
        self.policy = policy
        self._cost = round(policy.rate.seconds * _TICKS)
        self._gain = policy.rate.count
        self._capacity = self._level = policy.burst * self._cost
        self._latest = 0.0
        self._moment = 0

    def take(self, now: float) -> bool:
        """Takes room for one request, if there is."""
        self._refill(now)
        if self._level < self._cost:
            return False
        self._level -= self._cost
        return True

    def give_back(self) -> None:
        """Undoes one `take`."""
        self._level = min(self._capacity, self._level + self._cost)

    def wait(self, now: float) -> float:
        """Seconds until there is room for one request."""
        self._refill(now)
        return max(0, self._cost - self._level) / (self._gain * _TICKS)

    def state(self, now: float) -> tuple[int, int]:
        """Whole requests there is room for, and whole seconds until the bucket is full."""
        self._refill(now)
        return self._level // self._cost, -((self._level - self._capacity) // (self._gain * _TICKS))

    def _refill(self, now: float) -> None:
        if now > self._latest:
            self._latest = now
            before, self._moment = self._moment, int(now * _TICKS)
            self._level = min(self._capacity, self._level + (self._moment - before) * self._gain)


class SlidingWindow:
    """At most `rate.count` events in any `rate.seconds`, both ends included, counted exactly.

    Times are steady seconds; one that goes backwards counts as the latest seen.
    """

    __slots__ = ("_latest", "_times", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._times: deque[float] = deque()
        self._latest = float("-inf")

    @property
    def times(self) -> tuple[float, ...]:
        """The events that may still count, oldest first."""
        return tuple(self._times)

    def admit(self, now: float) -> bool:
        """Counts one event, if there is room."""
        self._advance(now)
        if len(self._times) >= self.rate.count:
            return False
        self._times.append(self._latest)
        return True

    def room(self, now: float) -> int:
        """How many more events there is room for."""
        self._advance(now)
        return max(0, self.rate.count - len(self._times))

    def undo(self) -> None:
        """Takes back the newest event; nothing if it has left the window by itself."""
        if self._times:
            self._times.pop()

    def wait(self, now: float) -> float:
        """Seconds after which there is room: at any moment later than that."""
        self._advance(now)
        excess = len(self._times) - self.rate.count
        return self._times[excess] + self.rate.seconds - self._latest if excess >= 0 else 0.0

    def restore(self, times: Iterable[float]) -> None:
        """Counts events of an earlier window, more than `rate.count` included."""
        self._times = deque(sorted((*self._times, *times)))

    def _advance(self, now: float) -> None:
        self._latest = max(self._latest, now)
        while self._times and self._latest - self._times[0] > self.rate.seconds:
            self._times.popleft()
