"""The register of refreshes on SQLite: `ports.Jobs`, each method one call in the file's thread."""

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from gateway.admission.jobs import Accepted, Job, Order, Recorded, Sending, Stage, State, Step, Target
from gateway.errors import Problem, Reason
from gateway.jobs import accepting, ending, reading, stepping
from gateway.jobs.database import Durability, connect
from gateway.jobs.seen import see
from gateway.jobs.transactions import Transactions

T = TypeVar("T")

_TOO_MUCH = "Too many background refreshes of this account are under way."

# Seconds after which some of those may have ended.
_AGAIN = 60.0


class JobRegister:
    """`ports.Jobs`; the contract of its methods is there."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._transactions = Transactions(db)

    @classmethod
    def open(cls, folder: Path, durability: Durability) -> "JobRegister":
        """The register in the store's folder, made where it is missing.

        Raises BadStart where its file is damaged, another version's, in use, or cannot be written.
        """
        return cls(connect(folder, durability))

    async def accept(self, order: Order, now: float) -> Accepted:
        """Make a job of an order, or join one."""
        id_ = accepting.new_id()
        accepted = await self._at(now, lambda db: accepting.accept(db, order, id_, now))
        if accepted is None:
            raise too_much()
        return accepted

    async def withdraw(self, job: str, now: float) -> None:
        """Take an order back that could not be charged."""
        await self._at(now, lambda db: ending.withdraw(db, job, now))

    async def steps(self, name: str, now: float, most: int, busy: Iterable[tuple[str, int]]) -> tuple[Step, ...]:
        """What is due."""
        excluded = frozenset(busy)
        return await self._at(now, lambda db: stepping.steps(db, name, now, most, excluded))

    async def next_due(self, name: str) -> float | None:
        """When something is due."""
        return await self._transactions.run(lambda db: stepping.next_due(db, name))

    async def sent(self, step: Step, now: float) -> bool:
        """A trigger is about to be sent; False where it is wanted no more."""
        return await self._at(now, lambda db: stepping.sent(db, step, now))

    async def passed(self, step: Step, following: Stage, due: float, now: float) -> None:
        """A trigger or a wait has ended well."""
        await self._at(now, lambda db: stepping.passed(db, step, following, due, now))

    async def found(self, step: Step, targets: Iterable[Target], *, last: bool, now: float) -> None:
        """A selection has found these."""
        slice_ = tuple(targets)
        await self._at(now, lambda db: stepping.found(db, step, slice_, now, last=last))

    async def fetched(self, step: Step, further: Iterable[Target], now: float) -> None:
        """A target has been fetched."""
        pages = tuple(further)
        await self._at(now, lambda db: stepping.fetched(db, step, pages, now))

    async def later(self, step: Step, due: float, reason: str, now: float, *, failed: bool) -> None:
        """Try the step again later."""
        await self._at(now, lambda db: stepping.later(db, step, due, reason, now, failed=failed))

    async def failed(self, step: Step, reason: str, now: float) -> None:
        """Give the step up."""
        await self._at(now, lambda db: stepping.failed(db, step, reason, now))

    async def recorded(self, account: str, name: str, subject: str) -> Recorded:
        """What is recorded of an account's subject."""
        return await self._transactions.run(lambda db: reading.recorded(db, account, name, subject))

    async def begin(self, job: Job, sending: Sending, now: float) -> None:
        """Keep a single refresh."""
        await self._at(now, lambda db: reading.begin(db, job, sending))

    async def end(self, job: Job, now: float) -> None:
        """Keep what became of it."""
        await self._at(now, lambda db: reading.end(db, job, now))

    async def unfinished(self) -> tuple[tuple[Job, Sending], ...]:
        """The single refreshes that have not ended."""
        return await self._transactions.run(reading.unfinished)

    async def find(self, id_: str, account: str | None = None) -> Job | None:
        """One job."""
        return await self._transactions.run(lambda db: reading.find(db, id_, account))

    async def latest(self, after: str | None, most: int, account: str | None = None) -> tuple[Job, ...]:
        """Jobs, latest first."""
        return await self._transactions.run(lambda db: reading.latest(db, after, most, account))

    async def cancel(self, id_: str, now: float) -> State | None:
        """End a job as cancelled."""
        return await self._at(now, lambda db: ending.cancel(db, id_, now))

    async def prune(self, before: float) -> None:
        """Forget what ended before, in slices that let others in between."""
        while await self._transactions.run(lambda db: reading.prune(db, before)):
            pass

    async def close(self) -> None:
        """Write what is asked for already, and close the file."""
        await self._transactions.close()

    async def _at(self, now: float, action: Callable[[sqlite3.Connection], T]) -> T:
        def call(db: sqlite3.Connection) -> T:
            see(db, now)
            return action(db)

        return await self._transactions.run(call)


def too_much() -> Problem:
    """The account has too much under way."""
    return Problem(Reason.throttled, _TOO_MUCH, retry_after=_AGAIN)
