"""Single refreshes in the durable register: written down before anybody is told of them, and their end however it goes.

A client's runs as any request does, only that nobody waits for its answer (RFC 7240 §4.1).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from gateway.admission.jobs import Job, Kind, State
from gateway.admission.masking import masked
from gateway.admission.outcomes import Outcome
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.pricing import delivers
from gateway.admission.repeating import kept
from gateway.answers.cache_status import cache_status
from gateway.errors import Problem, Reason
from gateway.ledger.records import HOUSE
from gateway.messages import Answer
from gateway.operation import Operation
from gateway.ports import Clock, Jobs
from gateway.tasks import Tasks

MOST_HELD = 1000

# Seconds between tries to write down an end that the register does not take.
_RETRY = 0.5


class Singles:
    """`preparer` is the one in operation. At most 1,000 clients' refreshes are under way."""

    def __init__(self, jobs: Jobs, preparer: Callable[[], Preparer], clock: Clock) -> None:
        self._jobs = jobs
        self._preparer = preparer
        self._clock = clock
        self._log = structlog.get_logger("gateway.refreshes")
        self._held = Tasks()
        self._beginning = 0
        self._ending = asyncio.Event()

    async def hold(self, prepared: Prepared) -> Job | None:
        """Keep a client's refresh, which has reserved what it may cost, so that its client need not wait for it.

        None where there are too many, or the register is out of reach: the client has to wait after all, as RFC 7240
        allows. What a dying process leaves is resumed for nothing, as its reservation is given back then.
        """
        if self._ending.is_set() or len(self._held) + self._beginning >= MOST_HELD:
            return None
        self._beginning += 1
        try:
            return await self.begin(prepared)
        except Problem:
            return None
        finally:
            self._beginning -= 1

    def follow(self, job: Job, op: Operation, answering: Awaitable[Answer]) -> None:
        """Await the answer to what is held, in a task of its own, and keep what came of it; the answer itself goes."""
        self._held.start(self._follow(job, op, answering))

    async def begin(self, prepared: Prepared) -> Job:
        """Keep a refresh, running. Raises Problem(jobs_unavailable), and that of what cannot be sent on."""
        preparer, request, account = self._preparer(), prepared.request, prepared.account
        now = self._clock.wall()
        job = Job(
            id=secrets.token_hex(8),
            kind=Kind.single,
            name=prepared.route.name,
            account=None if account is None or account.id == HOUSE else account.id,
            began=now,
            state=State.running,
            url=masked(request.target, preparer.snapshot),
            host=request.fields.get("Host", ""),
        )
        await self._jobs.begin(job, kept(prepared, preparer), now)
        return job

    async def end(self, job: Job, op: Operation, reason: str | None) -> None:
        """Keep what came of it, as `op` tells; `reason` is why it failed, None where it did not.

        What the register does not take before the gateway ends is resumed at its next start.
        """
        ended = replace(
            job,
            state=State.done if reason is None else State.failed,
            ended=self._clock.wall(),
            reason=reason,
            status=op.fwd_status,
            cache_status=None if op.fwd_status is None and op.ttl is None else cache_status(op.cache_status()),
            tokens=op.tokens,
        )
        stops = False
        while not await self._taken(ended):
            if stops:
                self._log.warning("refresh left to the next start", refresh=job.id)
                return
            stops = await self._pause()

    async def finish(self) -> None:
        """Hold no more, and wait for what is held."""
        self._ending.set()
        await self._held.finish()

    async def _follow(self, job: Job, op: Operation, answering: Awaitable[Answer]) -> None:
        reason: str | None = Reason.internal_error.name
        try:
            answer = await answering
            if answer.close is not None:
                await answer.close()
            reason = failure(op)
        finally:
            await self.end(job, op, reason)

    async def _taken(self, ended: Job) -> bool:
        try:
            await self._jobs.end(ended, self._clock.wall())
        except Problem:
            return False
        return True

    async def _pause(self) -> bool:
        """Whether the gateway stops, which ends the pause."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_RETRY):
                await self._ending.wait()
        return self._ending.is_set()


def failure(op: Operation) -> str | None:
    """Why a refresh that was answered brought nothing: the problem's reason, or `undelivered`; None where it did.

    A stale response in its place is no success, that of a refresh just before it (`cooldown`) is.
    """
    if op.refusal is not None:
        return op.refusal
    delivered = op.ttl is not None if op.fwd_status is None else delivers(op.fwd_status)
    return None if delivered and not op.stale else Outcome.undelivered.name
