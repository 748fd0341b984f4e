"""The worker of background refreshes: a line of steps for each, taken from the durable register as they are due."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.background.calling import Calls
from gateway.background.fetching import Fetching
from gateway.background.line import Line
from gateway.background.selecting import Selecting
from gateway.background.stages import Stages
from gateway.background.triggering import Triggering
from gateway.background.turns import Turns
from gateway.background.waiting import Waiting
from gateway.background.work import Parts, routes
from gateway.ports import Jobs
from gateway.tasks import Tasks


class Worker:
    """Does what is in the register, and nothing twice; `draw` is the jitter's, in [0, 1)."""

    def __init__(self, jobs: Jobs, parts: Parts, draw: Callable[[], float] = random.random) -> None:
        self._jobs = jobs
        self._parts = parts
        self._turns = Turns()
        calls = Calls(parts.fetcher, parts.settlement, parts.watch)
        self._stages = Stages(
            Triggering(jobs, calls, self._turns, parts.clock, draw),
            Waiting(calls, self._turns, parts.clock),
            Selecting(jobs, parts, self._turns),
            Fetching(parts, self._turns, draw),
        )
        self._lines: dict[str, Line] = {}
        self._withheld = set[str]()
        self._running = Tasks()

    def configure(self) -> None:
        """Go by the config in operation from the next step on. What that has no more waits, as it may come back."""
        for name in routes(self._parts.live().snapshot):
            if name not in self._lines:
                line = self._lines[name] = Line(name, self._jobs, self._stages, self._parts, self._withheld)
                self._running.start(line.run())
        self.wake_all()

    def wake(self, name: str) -> None:
        """The background refresh `name` may have something to do."""
        if name in self._lines:
            self._lines[name].wake()

    def wake_all(self) -> None:
        """Any of them may: another node has asked for something, or this one has begun to lead."""
        for line in self._lines.values():
            line.wake()

    @contextmanager
    def withholding(self, job: str) -> Iterator[None]:
        """Nothing of the job is begun meanwhile: it may be taken back yet. To be entered in the turn that made it."""
        self._withheld.add(job)
        try:
            yield
        finally:
            self._withheld.discard(job)

    async def finish(self) -> None:
        """Take no new steps, and wait for those under way: what still waits to be sent is left to the next start."""
        for line in self._lines.values():
            line.end()
        self._turns.end()
        await self._running.finish()
