"""What is logged once for each job, though it happens to thousands of its steps."""

from collections import OrderedDict
from collections.abc import Hashable

_MOST = 1000


class Firsts:
    """Remembers what was told last; what was told before so many others is told once more."""

    def __init__(self, most: int = _MOST) -> None:
        self._told: OrderedDict[Hashable, None] = OrderedDict()
        self._most = most

    def is_first(self, *what: Hashable) -> bool:
        """Whether it is to be told, which it is held to be from now on."""
        first = what not in self._told
        self._told[what] = None
        self._told.move_to_end(what)
        if len(self._told) > self._most:
            self._told.popitem(last=False)
        return first
