"""The register of refreshes of a fleet: `ports.Jobs` over Redis; docs/decisions/fleet-jobs.md says how."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog

from gateway.admission.jobs import Accepted, How, Job, Order, Recorded, Sending, Stage, State, Step, Target
from gateway.errors import BadStart, Problem
from gateway.fleet.connection import Connection, Refused, Unreachable
from gateway.fleet.nodes import Nodes
from gateway.jobs import accepting, commands, owning, reading, seen, stepping
from gateway.jobs.copies import Copies
from gateway.jobs.leading import BEAT, Leading
from gateway.jobs.missing import Missing
from gateway.jobs.register import too_much
from gateway.jobs.replica import Performed
from gateway.jobs.replication import Change, Deposed, Replication
from gateway.jobs.rounds import Rounds
from gateway.jobs.transactions import unavailable
from gateway.ports import Clock

CHARGED_WITHIN = 1.0
"""Seconds for which the leader leaves alone what another node has accepted: it may yet be taken back."""

# Bytes of commands that nobody has a copy of, before a copy of less is worth its cost.
_LIGHT = 4 << 20

# Seconds that the leader's clock goes on before the register is told of it without any other reason.
_SEEN_WITHIN = 10.0

# Subjects from which writing an order down is left to a thread.
_MANY = 1000

# Seconds for which one waits for others' rounds, and between two tries where Redis is ill.
_FOLLOWED, _PAUSE = 1.0, 0.5

# Seconds between two looks at how long the stream has become.
_SHORTENED = 5.0


class ReplicatedRegister:
    """`ports.Jobs`; the contract of its methods is there. Made by `open`.

    Only the node that leads is given steps to do, and what it reports of them counts only while it leads.
    """

    def __init__(self, connection: Connection, nodes: Nodes, clock: Clock) -> None:
        node = secrets.token_hex(8)
        self._connection = connection
        self._clock = clock
        self._leading = Leading(connection, node, clock, self._tell)
        rounds = Rounds(connection, node, _LIGHT)
        copies = Copies(connection, node)
        self._replication = Replication(node, rounds, copies, lambda: self._leading.token, self._hear)
        self._missing = Missing(nodes, clock)
        self._log = structlog.get_logger("gateway.jobs")
        # Jobs that others accepted a moment ago, each with when it may begin.
        self._withheld: dict[str, float] = {}
        self._changed: Callable[[], None] | None = None
        self._left: Callable[[], Awaitable[None]] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, connection: Connection, nodes: Nodes, clock: Clock) -> "ReplicatedRegister":
        """The fleet's register as it is now. Raises BadStart where it cannot be read."""
        register = cls(connection, nodes, clock)
        try:
            await register._begin()
        except (Unreachable, Refused, Problem) as error:
            raise BadStart(f"the fleet's register of refreshes cannot be used: {error}") from error
        return register

    @property
    def leads(self) -> bool:
        """Whether this node does the fleet's background refreshes."""
        return self._leading.leads

    def listen(self, changed: Callable[[], None], left: Callable[[], Awaitable[None]]) -> None:
        """Have `changed` called where there may be something to do that this node has not asked for itself.

        `left` is awaited where a dead node may have left something `unfinished`.
        """
        self._changed, self._left = changed, left

    async def put_back(self) -> None:
        """Give Redis what it has lost of the register: for `Recovery.keep`. Raises Unreachable."""
        await self._replication.put_back()

    async def accept(self, order: Order, now: float) -> Accepted:
        """Make a job of an order, or join one."""
        id_ = accepting.new_id()

        def undo(accepted: Accepted | None) -> Change:
            return Change(commands.withdraw(id_ if accepted is None else accepted.job, now))

        if len(order.subjects) < _MANY:
            command = commands.accept(order, id_, now)
        else:
            command = await asyncio.to_thread(commands.accept, order, id_, now)
        accepted: Accepted | None = await self._replication.change(Change(command, undo=undo))
        if accepted is None:
            raise too_much()
        return accepted

    async def withdraw(self, job: str, now: float) -> None:
        """Take an order back that could not be charged."""
        await self._change(commands.withdraw(job, now))

    async def steps(self, name: str, now: float, most: int, busy: Iterable[tuple[str, int]]) -> tuple[Step, ...]:
        """What is due, for the leader."""
        if not self.leads:
            return ()
        excluded = frozenset(busy)
        if await self._is_out_of_time(now):
            await self._report(commands.see_time(now))
        due = await self._replication.look(lambda db: stepping.steps(db, name, now, most, excluded))
        return tuple([step for step in due if not self._is_withheld(step.job)])

    async def next_due(self, name: str) -> float | None:
        """When something is due, for the leader."""
        if not self.leads:
            return None
        return await self._replication.look(lambda db: stepping.next_due(db, name))

    async def sent(self, step: Step, now: float) -> bool:
        """A trigger is about to be sent; False where it is wanted no more, or others do it."""

        def undo(_: object) -> Change:
            return Change(commands.unsent(step, now), led=True)

        with suppress(Deposed):
            return bool(await self._replication.change(Change(commands.sent(step, now), led=True, undo=undo)))
        return False

    async def passed(self, step: Step, following: Stage, due: float, now: float) -> None:
        """A trigger or a wait has ended well."""
        await self._report(commands.passed(step, following, due, now))

    async def found(self, step: Step, targets: Iterable[Target], *, last: bool, now: float) -> None:
        """A selection has found these."""
        await self._report(commands.found(step, targets, now, last=last))

    async def fetched(self, step: Step, further: Iterable[Target], now: float) -> None:
        """A target has been fetched."""
        await self._report(commands.fetched(step, further, now))

    async def later(self, step: Step, due: float, reason: str, now: float, *, failed: bool) -> None:
        """Try the step again later."""
        await self._report(commands.later(step, due, reason, now, failed=failed))

    async def failed(self, step: Step, reason: str, now: float) -> None:
        """Give the step up."""
        await self._report(commands.failed(step, reason, now))

    async def recorded(self, account: str, name: str, subject: str) -> Recorded:
        """What is recorded of an account's subject."""
        return await self._replication.look(lambda db: reading.recorded(db, account, name, subject))

    async def begin(self, job: Job, sending: Sending, now: float) -> None:
        """Keep a single refresh, which this node does."""

        def undo(_: object) -> Change:
            return Change(commands.cancel(job.id, now))

        await self._replication.change(Change(commands.begin(job, sending, self._connection.incarnation), undo=undo))

    async def end(self, job: Job, now: float) -> None:
        """Keep what became of it."""
        await self._change(commands.end(job, now))

    async def unfinished(self) -> tuple[tuple[Job, Sending], ...]:
        """What dead nodes left, each told to one node once."""
        try:
            if not await self._missing.look(await self._replication.look(owning.owners)):
                return ()
        except (Unreachable, Refused):
            raise unavailable() from None

        def undo(inherited: tuple[tuple[Job, Sending], ...] | None) -> Change:
            return Change(commands.disown([job.id for job, _ in inherited or ()]))

        command = commands.inherit(self._missing.dead, self._connection.incarnation)
        inherited: tuple[tuple[Job, Sending], ...] = await self._replication.change(Change(command, undo=undo))
        return inherited

    async def find(self, id_: str, account: str | None = None) -> Job | None:
        """One job."""
        return await self._replication.look(lambda db: reading.find(db, id_, account))

    async def latest(self, after: str | None, most: int, account: str | None = None) -> tuple[Job, ...]:
        """Jobs, latest first."""
        return await self._replication.look(lambda db: reading.latest(db, after, most, account))

    async def cancel(self, id_: str, now: float) -> State | None:
        """End a job as cancelled."""
        former: State | None = await self._change(commands.cancel(id_, now))
        return former

    async def prune(self, before: float) -> None:
        """Forget what ended before, in slices that let others in between."""
        while await self._change(commands.prune(before)):
            pass

    async def close(self) -> None:
        """Write what is asked for already, and let another node lead."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._replication.close()
        # Whoever cannot be told sees the lease end.
        with suppress(Unreachable):
            await self._leading.leave()

    async def attend(self) -> None:
        """What is to be done twice a second: lead, and miss who is dead.

        Raises Unreachable, Refused, Problem(jobs_unavailable).
        """
        await self._leading.keep()
        if not self.leads:
            return
        # As far as this node knows: it is asked again soon.
        if self._left is not None and await self._missing.look(await self._replication.replica.read(owning.owners)):
            await self._left()

    async def shorten(self) -> None:
        """Leave a copy of the register in the place of what led to it, where that is worth it. Raises as `attend`."""
        if self.leads and self._replication.wants_copy:
            await self._replication.copy()

    async def _begin(self) -> None:
        await self._replication.begin()
        await self._leading.keep()
        # A copy takes longer than a lease may.
        turns = (self._attended, self._followed, self._shortened)
        self._tasks = [asyncio.create_task(self._again(turn)) for turn in turns]

    async def _again(self, turn: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await turn()
            except (Unreachable, Refused, Problem):
                # Redis or the register, which say so themselves.
                await asyncio.sleep(_PAUSE)
            except Exception as error:  # noqa: BLE001 - a bug of ours: nobody would look again
                self._log.error("refreshes of the fleet not looked at for a moment", exc_info=error)
                await asyncio.sleep(_PAUSE)

    async def _attended(self) -> None:
        await self.attend()
        await asyncio.sleep(BEAT)

    async def _shortened(self) -> None:
        await asyncio.sleep(_SHORTENED)
        await self.shorten()

    async def _followed(self) -> None:
        await self._replication.follow(_FOLLOWED)

    async def _change(self, command: str) -> Any:
        return await self._replication.change(Change(command))

    async def _report(self, command: str) -> None:
        """What came of a step. From who no longer leads it changes nothing: another node does the step again."""
        with suppress(Deposed):
            await self._replication.change(Change(command, led=True))

    async def _is_out_of_time(self, now: float) -> bool:
        """Whether the register's time is so far from `now` that it has to be told."""
        at = await self._replication.replica.read(seen.latest)
        return at is None or not at - seen.SLACK < now < at + _SEEN_WITHIN

    def _is_withheld(self, job: str) -> bool:
        until = self._withheld.get(job)
        return until is not None and self._clock.steady() < until

    def _hear(self, performed: Performed) -> None:
        """Of another node's round."""
        now = self._clock.steady()
        self._withheld = {job: until for job, until in self._withheld.items() if now < until}
        for outcome in performed.free:
            if isinstance(outcome, Accepted) and outcome.how is not How.joined:
                self._withheld[outcome.job] = now + CHARGED_WITHIN
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None and self.leads:
            self._changed()
