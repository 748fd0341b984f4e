"""One step of a background refresh, done by its stage."""

from typing import assert_never

from gateway.admission.jobs import Stage, Step
from gateway.background.endings import Ending
from gateway.background.fetching import Fetching
from gateway.background.selecting import Selecting
from gateway.background.triggering import Triggering
from gateway.background.waiting import Waiting
from gateway.background.work import Work


class Stages:
    """The four of them, in their order."""

    def __init__(self, triggering: Triggering, waiting: Waiting, selecting: Selecting, fetching: Fetching) -> None:
        self._triggering = triggering
        self._waiting = waiting
        self._selecting = selecting
        self._fetching = fetching

    async def end(self, step: Step, work: Work) -> Ending:
        """Do it. Raises Problem(jobs_unavailable), Ended, and the Problem of a step that cannot be done."""
        match step.stage:
            case Stage.trigger:
                return await self._triggering.end(step, work)
            case Stage.wait:
                return await self._waiting.end(step, work)
            case Stage.select:
                return await self._selecting.end(step, work)
            case Stage.fetch:
                return await self._fetching.end(step, work)
            case _:
                assert_never(step.stage)
