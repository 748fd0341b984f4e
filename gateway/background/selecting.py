"""The third step of a background refresh: which stored responses are to be fetched again, each as a durable target."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import structlog

from gateway.admission.filled import worded
from gateway.admission.jobs import EVERY_SCOPE, Step, Target
from gateway.admission.places import tag_groups
from gateway.admission.returning import Returning
from gateway.background.endings import Ending, Nothing
from gateway.background.told import values
from gateway.background.turns import Turns
from gateway.background.work import Parts, Work
from gateway.errors import Problem, Reason
from gateway.ports import Jobs
from gateway.rfc9111.stored import StoredResponse
from gateway.stores import TierUnavailable
from gateway.tasks import Tasks

MOST_WAITING = 500
"""Subjects that one walk is for, at most."""

# Of the loop's time a walk takes one part for what it finds, and leaves so many to everything else.
_LEFT = 4

# Seconds between two subjects whose targets are written down.
_REST = 0.002

# Targets that are held at most, of one subject and of all, before they are written down.
_MOST_OF_ONE = 100
_MOST_OF_ALL = 1000


@dataclass(slots=True, eq=False)
class _Selection:
    """One subject's; `found` is what is not yet written down."""

    step: Step
    groups: tuple[str, ...]
    ended: asyncio.Future[None]
    found: dict[Target, None] = field(default_factory=dict)

    def takes(self, target: Target) -> bool:
        return EVERY_SCOPE in self.step.scopes or target.scope in self.step.scopes

    def slice(self) -> tuple[Target, ...]:
        found, self.found = self.found, {}
        return tuple(found)


class Selecting:
    """One walk over what is stored at a time, for all subjects that wait for it then."""

    def __init__(self, jobs: Jobs, parts: Parts, turns: Turns) -> None:
        self._jobs = jobs
        self._turns = turns
        self._cache = parts.cache
        self._preparer = parts.preparer
        self._clock = parts.clock
        self._waiting: list[_Selection] = []
        self._walking = False
        self._tasks = Tasks()
        self._log = structlog.get_logger("gateway.background")

    async def end(self, step: Step, work: Work) -> Ending:
        """Return once all that it found is written down. Raises Problem(jobs_unavailable), and Ended."""
        # Here, as what cannot be told of one subject is none of the others' affair.
        selection = _Selection(step, tuple(_groups(step, work)), asyncio.get_running_loop().create_future())
        self._waiting.append(selection)
        if not self._walking:
            self._walking = True
            self._tasks.start(self._walk())
        await self._turns.waited(lambda: selection.ended)
        return Nothing()

    async def _walk(self) -> None:
        while self._waiting:
            selections, self._waiting = self._waiting[:MOST_WAITING], self._waiting[MOST_WAITING:]
            try:
                await self._select(selections)
            except Exception as error:  # noqa: BLE001 - each step hears of it, which tells a bug from the rest
                _end(*selections, error=error)
        self._walking = False

    async def _select(self, selections: list[_Selection]) -> None:
        wanted: dict[str, list[_Selection]] = {}
        for selection in selections:
            for group in selection.groups:
                wanted.setdefault(group, []).append(selection)
        await self._turns.waited(lambda: self._collect_behind(wanted, selections))
        # What is on disk alone cannot be walked over: it is fetched again when it is asked for.
        self._cache.outdate_behind(tuple(wanted))
        await self._turns.waited(lambda: self._collect(self._cache.members(wanted), selections))
        for selection in selections:
            await self._jobs.found(selection.step, selection.slice(), last=True, now=self._clock.wall())
            _end(selection)
            await asyncio.sleep(_REST)

    async def _collect_behind(self, wanted: dict[str, list[_Selection]], selections: list[_Selection]) -> None:
        """What other nodes have stored, all of it written down: once it is outdated nobody could find it any more."""
        try:
            await self._collect(self._cache.members_behind(wanted), selections)
        except TierUnavailable as error:
            raise Problem(Reason.jobs_unavailable) from error
        for selection in selections:
            await self._written(selection)

    async def _collect(
        self, members: AsyncIterator[tuple[list[_Selection], StoredResponse]], selections: list[_Selection]
    ) -> None:
        returning, left_out, held = Returning(self._preparer()), 0, 0
        async for interested, stored in members:
            began = self._clock.steady()
            target = returning.target_of(stored)
            spent = self._clock.steady() - began
            left_out += target is None
            for selection in interested:
                if target is not None and selection.takes(target):
                    held += target not in selection.found
                    selection.found[target] = None
                    held -= await self._written(selection) if len(selection.found) >= _MOST_OF_ONE else 0
            if held >= _MOST_OF_ALL:
                held -= sum([await self._written(selection) for selection in selections])
            # Making a request of each takes longer than finding it.
            await asyncio.sleep(spent * _LEFT)
        if left_out:
            self._log.warning("stored responses not refreshed: nobody's request can be made again", count=left_out)

    async def _written(self, selection: _Selection) -> int:
        """How many it was that are written down now."""
        found = selection.slice()
        if found:
            await self._jobs.found(selection.step, found, last=False, now=self._clock.wall())
        return len(found)


def _groups(step: Step, work: Work) -> Iterator[str]:
    told = values(work.policy, step.subject, step.since)
    for template in work.policy.tags:
        yield from tag_groups(work.live.snapshot, worded(template, told))


def _end(*selections: _Selection, error: Exception | None = None) -> None:
    """Tell those who still wait."""
    for selection in selections:
        if selection.ended.done():
            continue
        if error is None:
            selection.ended.set_result(None)
        else:
            selection.ended.set_exception(error)
