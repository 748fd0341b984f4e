"""Purges: what a response must meet that was stored, or is loaded, after one was ordered but began before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from gateway.rfc9111.stored import StoredResponse
from gateway.stores.selection import Broad, Everything, Exactly, Selection, Tagged


@dataclass(slots=True, eq=False)
class Purge:
    """What `selection` takes and began before `before` (steady seconds) is stale since then, or gone if `hard`.

    `purged` counts the stored responses in memory that have met it so far.
    """

    selection: Selection
    before: float
    hard: bool
    purged: int = 0

    @property
    def groups(self) -> tuple[str, ...] | None:
        """What it takes lies within these; None where no groups tell."""
        return self.selection.groups if isinstance(self.selection, Exactly | Tagged) else None

    def takes(self, stored: StoredResponse) -> bool:
        """Whether `stored` is to be purged."""
        return stored.began < self.before and self.selection.takes(stored)


class Lasting(NamedTuple):
    """A purge of what no groups tell, as a second tier keeps it: the same without the count."""

    selection: Broad
    before: float
    hard: bool

    def takes(self, stored: StoredResponse) -> bool:
        """Whether `stored` is to be purged."""
        return stored.began < self.before and self.selection.takes(stored)


_P = TypeVar("_P", Purge, Lasting)


def joined(kept: Sequence[Lasting], new: Lasting, most: int) -> list[Lasting]:
    """`kept`, in the order they were made, and one more, without those that it makes needless.

    Where they are more than `most`, the oldest two become one of everything: too much, never too little.
    """
    purges = [one for one in kept if not _is_needless(one, new)] + [new]
    if len(purges) > most:
        older, old = purges[:2]
        purges[:2] = [Lasting(Everything(), max(older.before, old.before), older.hard or old.hard)]
    return purges


def met(stored: StoredResponse, purges: Iterable[_P]) -> list[_P]:
    """Those of `purges` that take `stored` and that it meets now; it is purged by them, and gone by a hard one."""
    found: list[_P] = [purge for purge in purges if stored.purged < purge.before and purge.takes(stored)]
    stored.purged = max([stored.purged, *[purge.before for purge in found]])
    return found


class Purges:
    """The purges that something in memory may not have met yet, found by the groups that they lie within."""

    def __init__(self) -> None:
        self._narrow: dict[str, dict[Purge, None]] = {}
        self._broad: dict[Purge, None] = {}

    @property
    def broad(self) -> int:
        """How many of them no groups tell."""
        return len(self._broad)

    def add(self, purge: Purge) -> None:
        """One more."""
        if purge.groups is None:
            self._broad[purge] = None
        for group in purge.groups or ():
            self._narrow.setdefault(group, {})[purge] = None

    def discard(self, purge: Purge) -> None:
        """Everything has met this one."""
        self._broad.pop(purge, None)
        for group in purge.groups or ():
            del self._narrow[group][purge]
            if not self._narrow[group]:
                del self._narrow[group]

    def survives(self, stored: StoredResponse) -> bool:
        """Let `stored` meet them; False where it is gone."""
        if not self._narrow and not self._broad:
            return True
        asked = dict(self._broad)
        for group in stored.groups if self._narrow else ():
            asked |= self._narrow.get(group, {})
        found = met(stored, asked)
        for purge in found:
            purge.purged += 1
        return not any(purge.hard for purge in found)


def _is_needless(older: Lasting, newer: Lasting) -> bool:
    covered = newer.selection in (older.selection, Everything()) and newer.before >= older.before
    return covered and newer.hard >= older.hard
