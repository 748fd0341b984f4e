"""Fetches in flight, and what outdates what they will bring before it is there."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import assert_never

from gateway.rfc9111.stored import StoredResponse
from gateway.stores.selection import Below, Everything, Exactly, Selection, Served, Tagged


@dataclass(slots=True, eq=False)
class Fetching:
    """A fetch in flight. `began` (steady seconds) is what its stored response must carry as its own `began`.

    `marks` says of each group, by its hash, before when a fetch must have begun to be outdated, where any in flight is.
    In a fleet `number` is that of the latest entry of its log that was known when the fetch began; `brought` is what a
    force refresh has brought, until it is known what that outdates; `token` is the fencing token, 0 for none.
    `deposed`: another node was to fetch it by the time that it came.
    """

    groups: tuple[str, ...]
    began: float
    marks: Mapping[int, float]
    ended: bool = False
    overtaken: bool = False
    number: int = 0
    brought: StoredResponse | None = None
    token: int = 0
    deposed: bool = False

    @property
    def outdated(self) -> bool:
        """Whether a refresh that began later, or an unsafe method, outdated one of its groups before it ended."""
        return self.overtaken or (not self.ended and self.meets_mark(self.groups))

    def join(self, groups: tuple[str, ...]) -> None:
        """It belongs to these groups too, and has from its beginning: so its response says (RFC 9875 §2)."""
        self.overtaken = self.outdated or self.meets_mark(groups)

    def end(self) -> None:
        """Let `outdated` stay as it is now."""
        self.overtaken = self.outdated
        self.ended = True

    def meets_mark(self, groups: tuple[str, ...]) -> bool:
        """Whether one of `groups` was outdated since it began."""
        return bool(self.marks) and any(self.began < self.marks.get(hash(group), 0.0) for group in groups)


class InFlight:
    """Fetches in flight, oldest first, and the marks on groups that one of them at least is older than.

    A mark is kept whether or not its group has anything stored or in flight: a response may name its groups only when
    it comes. None outlasts the fetches that were in flight when it was made. By hash: a group's name is as long as its
    client likes, and where two share one a response is only not stored.
    """

    def __init__(self) -> None:
        # Plain dicts would walk over all they have deleted at their front to find what is oldest.
        self._fetches: OrderedDict[Fetching, None] = OrderedDict()
        self._marks: OrderedDict[int, float] = OrderedDict()

    def begin(self, groups: tuple[str, ...], now: float, number: int = 0) -> Fetching:
        """One that is about to be sent; `now` (steady seconds) is later than any before."""
        fetching = Fetching(groups, now, self._marks, number=number)
        self._fetches[fetching] = None
        return fetching

    def end(self, fetching: Fetching) -> None:
        """It is over, and stays as outdated as it is. Idempotent."""
        fetching.end()
        self._fetches.pop(fetching, None)
        oldest = self._oldest()
        while self._marks and next(iter(self._marks.values())) <= oldest:
            self._marks.popitem(last=False)

    def mark(self, groups: tuple[str, ...], before: float) -> None:
        """Outdate those in `groups` that began before `before` (steady seconds)."""
        if self._oldest() < before:
            for group in map(hash, groups):
                self._marks[group] = max(before, self._marks.pop(group, 0.0))

    def purge(self, selection: Selection, before: float) -> None:
        """Outdate those that may bring what `selection` takes."""
        match selection:
            case Exactly() | Tagged():
                self.mark(selection.groups, before)
            case Below() | Served() | Everything():
                for fetching in self._fetches:
                    fetching.overtaken = fetching.overtaken or selection.may_take(fetching.groups)
            case _:
                assert_never(selection)

    def _oldest(self) -> float:
        return next((fetching.began for fetching in self._fetches), inf)
