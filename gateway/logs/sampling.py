"""Which of many alike are logged: one in so many, by chance, so that nothing that comes at regular intervals hides."""

from collections.abc import Callable, Mapping
from secrets import randbelow
from typing import Generic, TypeVar

Kind = TypeVar("Kind", bound=str)


class Sampling(Generic[Kind]):
    """Counts down, for each kind of `shares`, to the next one to be logged; kinds that are not named are all logged.

    A share of 1 is all, of 0 none, of N one in N on average: the next one logged is 1 to 2 N - 1 further, each as
    likely. `draw(n)` brings a number from 0 to n - 1.
    """

    def __init__(self, shares: Mapping[Kind, int], draw: Callable[[int], int] = randbelow) -> None:
        self._shares = {kind: share for kind, share in shares.items() if share > 1}
        self._left_out = {kind for kind, share in shares.items() if share == 0}
        self._draw = draw
        self._left = {kind: self._further(share) for kind, share in self._shares.items()}

    def weight(self, kind: Kind) -> int:
        """How many the one that is here stands for; 0: it is not logged."""
        left = self._left.get(kind)
        if left is None:
            return 0 if kind in self._left_out else 1
        if left > 1:
            self._left[kind] = left - 1
            return 0
        share = self._shares[kind]
        self._left[kind] = self._further(share)
        return share

    def among(self, kind: Kind, count: int) -> list[tuple[int, int]]:
        """Which of the next `count` are logged, by their place among them, and the weight of each."""
        left, due = self._left.get(kind), list[tuple[int, int]]()
        if left is None:
            return [] if kind in self._left_out else [(place, 1) for place in range(count)]
        while left <= count:
            share = self._shares[kind]
            due.append((left - 1, share))
            left += self._further(share)
        self._left[kind] = left - count
        return due

    def _further(self, share: int) -> int:
        return self._draw(2 * share - 1) + 1
