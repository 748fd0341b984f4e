"""What another machine's clock says when this node's steady one says something: neither has to be right."""

KEPT = 30.0
"""Seconds for which a comparison is worth more than a less exact one made later."""


class Offset:
    """The difference of the two clocks, from the most exact of the comparisons made lately."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._doubt: float | None = None
        self._compared = 0.0

    def compare(self, before: float, there: float, after: float) -> None:
        """The other clock said `there` at some time from `before` to `after` (steady seconds)."""
        if self.is_old(after) or self._doubt is None or after - before <= self._doubt:
            self._ahead, self._doubt, self._compared = there - (before + after) / 2, after - before, after

    def is_old(self, now: float) -> bool:
        """Whether the clocks are to be compared again."""
        return self._doubt is None or now - self._compared > KEPT

    def there(self, here: float) -> float:
        """What the other clock said at the steady time `here`."""
        return here + self._ahead

    def here(self, there: float) -> float:
        """The steady time at which the other clock said `there`."""
        return there - self._ahead
