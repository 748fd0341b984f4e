"""A throttle in whole numbers, as Redis counts it: what it is asked with, and what its level means (pure)."""

from collections.abc import Sequence
from math import gcd

from gateway.admission.snapshot import ThrottlePolicy

State = tuple[int | None, int | None]
"""A throttle's room in whole requests, and whole seconds until it has all; None without a throttle."""

UNTHROTTLED: State = None, None

_SECOND = 1_000_000  # in microseconds
_EXACT = 2**52  # so that a level and what it gains stay whole in a double


class Measure:
    """`admission.throttle.TokenBucket` with its level elsewhere: a request takes `cost`, `capacity` is all there is.

    `gain` is what comes back in a tick of `tick` microseconds. A tick is longer than one only where a level would be
    too large otherwise, and what is left of one counts later. `policy` names it.
    """

    __slots__ = ("_second", "capacity", "cost", "gain", "policy", "tick")

    def __init__(self, throttle: ThrottlePolicy) -> None:
        count, window = throttle.rate.count, round(throttle.rate.seconds * _SECOND)
        self.policy = f"{count}/{window}/{throttle.burst}"
        self.tick = 1
        while True:
            ticks = max(1, window // self.tick)
            common = gcd(count, ticks)
            self.gain, self.cost = count // common, ticks // common
            self.capacity = throttle.burst * self.cost
            if self.capacity < _EXACT:
                break
            self.tick *= 10
        self._second = self.gain * _SECOND

    def state(self, level: int) -> State:
        """Whole requests there is room for, and whole seconds until there is room for all."""
        return level // self.cost, -((level - self.capacity) * self.tick // self._second)

    def states(self, level: int, times: int) -> Sequence[State]:
        """The state after each of `times` requests, the last of which has left `level`."""
        # As `state` has it: a call for each would take longer than all else.
        cost, capacity, tick, second = self.cost, self.capacity, self.tick, self._second
        levels = range(level + cost * (times - 1), level - 1, -cost)
        return [(left // cost, -((left - capacity) * tick // second)) for left in levels]

    def wait(self, level: int) -> float:
        """Seconds until there is room for one request."""
        return max(0, self.cost - level) * self.tick / self._second
