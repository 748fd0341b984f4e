"""The wall clock for what cannot be taken back (pure): a jump ahead counts only once it has lasted.

A minute that is sealed stays so. A clock that is a year ahead for a moment must not close that year, with everything
that comes before its end posted behind it.
"""

PATIENCE = 3600.0
"""Seconds that a jump ahead must last, on the steady clock, to be believed."""

# Seconds between two looks by which a clock may be adjusted unquestioned.
_ADJUSTED = 60.0


class Doubt:
    """What to make of a wall clock that is looked at now and then; until it is set it shows the steady one's time."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._since: float | None = None

    def believed(self, wall: float, steady: float) -> float:
        """The wall clock's time, or while a jump ahead is doubted, what it would be without; in seconds."""
        ahead = wall - steady
        if ahead > self._ahead + _ADJUSTED:
            self._since = steady if self._since is None else self._since
            if steady - self._since < PATIENCE:
                return steady + self._ahead
        self._ahead, self._since = ahead, None
        return wall
