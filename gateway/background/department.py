"""All that background refreshes are made of, put together once."""

from collections.abc import Callable
from dataclasses import replace

from gateway.admission.snapshot import Account
from gateway.answering import Answering
from gateway.background.accepting import Accepting
from gateway.background.pruning import Pruning
from gateway.background.subjects import Subjects
from gateway.background.telling import Telling
from gateway.background.work import Parts
from gateway.background.worker import Worker
from gateway.meter import HOUSE
from gateway.once import Once
from gateway.ports import Jobs
from gateway.tasks import Tasks


class Background:
    """Background refreshes: `accepting` and `telling` answer requests, `worker` does the work."""

    def __init__(self, jobs: Jobs, parts: Parts, once: Once, answering: Answering) -> None:
        settlement, clock = parts.settlement, parts.clock
        subjects = self._subjects = Subjects(parts.live, parts.fetcher, settlement, parts.watch, clock)
        self._pruning = Pruning(jobs, clock)
        self._tasks = Tasks()
        self.worker = Worker(jobs, parts)
        self.telling = Telling(jobs, subjects, settlement, answering, parts.live, clock)
        self.accepting = Accepting(jobs, subjects, settlement, once, answering, parts.live, self.worker, clock)

    def start(self) -> None:
        """Go on with what is in the register."""
        self.worker.configure()
        self._tasks.start(self._pruning.run())

    async def finish(self) -> None:
        """Begin nothing more, and wait for the steps under way."""
        self._pruning.end()
        await self.worker.finish()
        await self._subjects.finish()
        await self._tasks.finish()


def within(account_of: Callable[[str], Account | None]) -> Callable[[str], Account | None]:
    """Who may be served what is stored in a share scope; an organization's is anybody of it."""

    def found(scope: str) -> Account | None:
        kind, _, name = scope.partition(":")
        return replace(HOUSE, organization=name) if kind == "o" else account_of(name)

    return found
