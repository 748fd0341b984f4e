"""The second tier as the cache uses it: told by tasks of its own, after the answer, and believed with care."""

from contextlib import suppress
from typing import Any, assert_never

from gateway.ports import Notes, SecondTier
from gateway.rfc9111.stored import Selecting, StoredResponse, Terms
from gateway.stores import Mark, TierUnavailable
from gateway.stores.purging import Lasting, Purge, joined, met
from gateway.stores.selection import Below, Everything, Exactly, Served, Tagged
from gateway.stores.selection import read as read_selection
from gateway.tasks import Tasks

SAVES = 64
"""Saves in flight at most; a response beyond is kept in memory alone."""

UNTOLD = 10_000
"""Groups, and stored responses, at most that are outdated and of which the tier has yet to be told."""

PURGES = 64
"""Purges at most of which the tier has yet to be told; beyond they become one of everything."""

LOADS = 3
"""How often one load reads again because the tier was told of something meanwhile."""

_Place = tuple[str, tuple[tuple[str, str], ...]]


class Behind:
    """A second tier that is told later. What it has yet to be told holds for its loads at once.

    A failed telling is tried again whenever the tier is next heard of, so that a refresh it missed is never forgotten.
    Nor is it by the next process where there are `notes`: all is noted there at once, until the tier has been told.
    """

    def __init__(self, tier: SecondTier, notes: Notes | None = None) -> None:
        self._tier = tier
        self._notes = notes
        self._marks: dict[str, Mark] = {}
        self._outdated: dict[_Place, StoredResponse] = {}
        self._purges: list[Lasting] = []
        self._told = 0
        self._telling = False
        self._saving = 0
        self._tasks = Tasks()
        for note in () if notes is None else notes.earlier:
            self._recall(note)

    @property
    def settled(self) -> bool:
        """Whether the tier has been told everything."""
        return not (self._marks or self._outdated or self._purges)

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant that the tier holds under `key` and nothing outdates; a failing tier holds nothing."""
        for _ in range(LOADS):
            told = self._told
            try:
                found = await self._tier.load(key)
            except TierUnavailable:
                return ()
            self._tell_soon()
            # What was told meanwhile is gone from here, and may have come too late for what the tier was reading.
            if told == self._told:
                return tuple(stored for stored in found if not self._outdates(stored) and self._leaves(stored))
        return ()

    def save(self, stored: StoredResponse) -> None:
        """Keep `stored` there too, if it can be done soon."""
        if self._saving < SAVES:
            self._saving += 1
            self._tasks.start(self._save(stored))

    def drop(self, groups: tuple[str, ...], began: float, now: float, keep: str | None) -> None:
        """Outdate all in `groups` that began before `began`, and up to `now` all but what is under the key `keep`."""
        self._note("drop", groups, began, now, keep)
        self._mark(groups, began, now, keep)
        self._tell_soon()

    def outdate(self, stored: StoredResponse, now: float) -> None:
        """Take out `stored`, or the copy or older response in its place."""
        self._note("outdate", stored.key, stored.selecting, stored.began, now)
        self._single_out(stored.replaced(head=b"", body=b"", splice=None, outdated=True), now)
        self._tell_soon()

    async def purge(self, purge: Purge) -> None:
        """Purge it there too; returns once the tier was told, or failed to listen and is told later."""
        selection = purge.selection
        try:
            match selection:
                case Exactly() | Tagged():
                    self._note("drop", selection.groups, purge.before, purge.before, None)
                    self._mark(selection.groups, purge.before, purge.before, None)
                    await self._tell_marks(selection.groups)
                case Below() | Served() | Everything():
                    lasting = Lasting(selection, purge.before, purge.hard)
                    self._note("purge", selection.written, purge.before, purge.hard)
                    self._purges = joined(self._purges, lasting, PURGES)
                    await self._tell_purge(lasting)
                case _:
                    assert_never(selection)
        except TierUnavailable:
            return
        finally:
            self._tell_soon()
            self._settle()

    async def close(self) -> None:
        """Wait until the tier has been told everything, or has failed to listen."""
        self._tell_soon()
        await self._tasks.finish()

    def _outdates(self, stored: StoredResponse) -> bool:
        outdated = self._outdated.get((stored.key, stored.selecting))
        if outdated is not None and stored.began <= outdated.began:
            return True
        marks = (self._marks[group] for group in stored.groups if group in self._marks)
        return any(mark.outdates(stored.key, stored.began) for mark in marks)

    def _mark(self, groups: tuple[str, ...], began: float, now: float, keep: str | None) -> None:
        for group in groups:
            if group in self._marks or len(self._marks) < UNTOLD:
                self._marks[group] = self._marks.get(group, Mark()).joined(began, None).joined(now, keep)
            else:
                self._distrust(now)

    def _single_out(self, stored: StoredResponse, now: float) -> None:
        place = stored.key, stored.selecting
        known = self._outdated.get(place)
        if known is not None or len(self._outdated) < UNTOLD:
            self._outdated[place] = stored if known is None or known.began <= stored.began else known
        else:
            self._distrust(now)

    def _distrust(self, now: float) -> None:
        """Too much to tell: take nothing of what began before `now`."""
        self._purges = joined(self._purges, Lasting(Everything(), now, hard=True), PURGES)

    def _note(self, *note: object) -> None:
        if self._notes is not None:
            self._notes.add(note)

    def _recall(self, note: tuple[Any, ...]) -> None:
        """What a process before this one noted, of which the tier may not have been told."""
        match note:
            case ("drop", groups, began, now, keep):
                self._mark(groups, began, now, keep)
            case ("outdate", key, selecting, began, now):
                self._single_out(_nothing(key, selecting, began), now)
            case ("purge", written, before, hard):
                lasting = Lasting(read_selection(written), before, hard)
                self._purges = joined(self._purges, lasting, PURGES)
            case _:
                raise ValueError(f"no note: {note!r}")

    def _settle(self) -> None:
        if self._notes is not None and self.settled:
            self._notes.settled()

    def _leaves(self, stored: StoredResponse) -> bool:
        return not any(purge.hard for purge in met(stored, self._purges))

    def _tell_soon(self) -> None:
        if not self.settled and not self._telling:
            self._telling = True
            self._tasks.start(self._tell())

    async def _tell(self) -> None:
        try:
            with suppress(TierUnavailable):
                while not self.settled:
                    await self._tell_marks(tuple(self._marks))
                    for place, stored in tuple(self._outdated.items()):
                        await self._tell_outdated(place, stored)
                    for purge in tuple(self._purges):
                        await self._tell_purge(purge)
        finally:
            self._telling = False
            self._settle()

    async def _tell_marks(self, groups: tuple[str, ...]) -> None:
        for group in groups:
            if (mark := self._marks.get(group)) is not None:
                await self._tell_mark(group, mark)

    async def _tell_purge(self, purge: Lasting) -> None:
        await self._tier.purge(purge.selection.written, purge.before, hard=purge.hard)
        self._told += 1
        self._purges = [one for one in self._purges if one is not purge]

    async def _tell_mark(self, group: str, mark: Mark) -> None:
        if mark.keep is not None:
            await self._tier.drop((group,), mark.floor, None)
        await self._tier.drop((group,), mark.before, mark.keep)
        self._told += 1
        if self._marks.get(group) is mark:
            del self._marks[group]

    async def _tell_outdated(self, place: _Place, stored: StoredResponse) -> None:
        await self._tier.save(stored)
        self._told += 1
        if self._outdated[place] is stored:
            del self._outdated[place]

    async def _save(self, stored: StoredResponse) -> None:
        try:
            with suppress(TierUnavailable):
                await self._tier.save(stored)
        finally:
            self._saving -= 1


def _nothing(key: str, selecting: Selecting, began: float) -> StoredResponse:
    """What takes the place of a response that is to be taken out."""
    return StoredResponse(key, 0, "", b"", b"", Terms(), selecting, None, None, began, began, 0.0, outdated=True)
