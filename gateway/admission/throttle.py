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

    __slots__ = ("_capacity", "_cost", "_gain", "_latest", "_level", "_moment", "_second", "policy")

    def __init__(self, policy: ThrottlePolicy) -> None:
        self.policy = policy
        self._cost = round(policy.rate.seconds * _TICKS)
        self._gain = policy.rate.count
        self._second = policy.rate.count * _TICKS
        self._capacity = self._level = policy.burst * self._cost
        self._latest = 0.0
        self._moment = 0

    def take(self, now: float) -> bool:
        """Takes room for one request, if there is."""
        if now > self._latest:
            self._refill(now)
        level = self._level - self._cost
        if level < 0:
            return False
        self._level = level
        return True

    def spend(self, now: float, most: int) -> list[tuple[int, int]]:
        """Takes room for up to `most` requests; the `state` after each that there was room for."""
        if now > self._latest:
            self._refill(now)
        level, cost, capacity, second = self._level, self._cost, self._capacity, self._second
        states: list[tuple[int, int]] = []
        while most and level >= cost:
            most -= 1
            level -= cost
            states.append((level // cost, -((level - capacity) // second)))
        self._level = level
        return states

    def give_back(self, times: int = 1) -> None:
        """Undoes so many of `take`."""
        self._level = min(self._capacity, self._level + self._cost * times)

    def wait(self, now: float) -> float:
        """Seconds until there is room for one request."""
        if now > self._latest:
            self._refill(now)
        return max(0, self._cost - self._level) / self._second

    def state(self, now: float) -> tuple[int, int]:
        """Whole requests there is room for, and whole seconds until the bucket is full."""
        if now > self._latest:
            self._refill(now)
        level = self._level
        return level // self._cost, -((level - self._capacity) // self._second)

    def _refill(self, now: float) -> None:
        moment = int(now * _TICKS)
        level = self._level + (moment - self._moment) * self._gain
        self._latest, self._moment, self._level = now, moment, level
        if level > self._capacity:
            self._level = self._capacity


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
