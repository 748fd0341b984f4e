"""Single refreshes of the gateway's own, on the house account: what operators ask for, and what a dead process left.

Each is one fresh fetch of one GET. It joins a force refresh of the same thing that is under way, and outdates its group
as any does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import assert_never

import structlog

from gateway.admission.jobs import Job, Sending
from gateway.admission.outcomes import Outcome
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.pricing import delivers
from gateway.admission.provision import Intent
from gateway.admission.repeating import LOST, again
from gateway.admission.snapshot import Account, RefreshPolicy, Share
from gateway.admission.target import Target, canonical, component
from gateway.collapse import Failed, Fetched, Private, Rank
from gateway.collapse import Outcome as Ended
from gateway.errand import Errand
from gateway.errors import Problem, Reason
from gateway.fetch import Fetcher
from gateway.house import House
from gateway.keys.orders import Fault, Refused
from gateway.lookup import Live, Lookup
from gateway.messages import Request
from gateway.meter import HOUSE
from gateway.operation import Operation
from gateway.ports import Clock, Jobs
from gateway.rfc9111.reuse import Fwd
from gateway.settlement import Settlement
from gateway.singles import Singles, failure
from gateway.tasks import Tasks
from gateway.watch import Watch

MOST_RUNNING = 100

# Of those that a dead process left, so many are fetched at once.
_MOST_RESUMED = 4


@dataclass(slots=True, frozen=True)
class _Due:
    """A refresh that can begin."""

    op: Operation
    prepared: Prepared
    errand: Errand


class Refreshes:
    """The operators' way to the register of `jobs`, and to refreshes of their own: at most 100 under way.

    `account_of` finds an account by its id.
    """

    def __init__(
        self,
        jobs: Jobs,
        singles: Singles,
        live: Callable[[], Live],
        preparer: Callable[[], Preparer],
        account_of: Callable[[str], Account | None],
        fetcher: Fetcher,
        settlement: Settlement,
        watch: Watch,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._singles = singles
        self._live = live
        self._preparer = preparer
        self._account_of = account_of
        self._collapse = fetcher.collapse
        self._house = House(fetcher, settlement)
        self._watch = watch
        self._clock = clock
        self._log = structlog.get_logger("gateway.refreshes")
        self._tasks = Tasks()
        self._beginning = 0
        self._ending = False

    async def start(self, request: Request, account: Account | None = None) -> Job:
        """Begin a refresh of the GET `request`, prepared as the account's where one is given.

        Raises Refused where it cannot be, or too many are under way; the Problem that the request is refused with, and
        Problem(jobs_unavailable).
        """
        if self._ending:
            raise Refused(Fault.conflict, "the gateway is stopping")
        if len(self._tasks) + self._beginning >= MOST_RUNNING:
            raise Refused(Fault.conflict, f"{MOST_RUNNING} refreshes are under way: wait for one to end")
        due = self._due(request, account)
        self._beginning += 1
        try:
            job = await self._singles.begin(due.prepared)
        finally:
            self._beginning -= 1
        self._tasks.start(self._run(job, due))
        return job

    async def resume(self) -> None:
        """Go on with what dead processes left, a few at a time and behind all that clients wait for.

        To be called before any other begins, and where another node has died.
        """
        try:
            left = await self._jobs.unfinished()
        except Problem as problem:
            self._log.warning("refreshes not resumed", reason=problem.reason.name)
            return
        queue = iter(left)
        for _ in range(min(len(left), _MOST_RESUMED)):
            self._tasks.start(self._resume(queue))

    async def find(self, id_: str) -> Job:
        """The job of this id. Raises Refused(unknown), Problem(jobs_unavailable)."""
        job = await self._jobs.find(id_)
        if job is None:
            raise Refused(Fault.unknown, "there is no such refresh")
        return job

    async def latest(self, after: str | None, most: int) -> tuple[Job, ...]:
        """At most `most` jobs, latest first, of those that began before `after`. Raises as `find` does."""
        if after is not None:
            await self.find(after)
        return await self._jobs.latest(after, most)

    async def cancel(self, id_: str) -> Job:
        """Wait for it no more. Raises as `find` does, and Refused(conflict) for one that has ended."""
        former = await self._jobs.cancel(id_, self._clock.wall())
        if former is not None and former.final:
            raise Refused(Fault.conflict, f"the refresh has ended: it is {former.value}")
        return await self.find(id_)

    async def finish(self) -> None:
        """Begin no more, and wait for those under way, clients' included."""
        self._ending = True
        await self._singles.finish()
        await self._tasks.finish()

    def _due(self, request: Request, account: Account | None) -> _Due:
        """Raises as `start` does."""
        live = self._live()
        prepared = _prepared(self._preparer(), request, account)
        forced = _forced(prepared)
        op = Operation(forced.request, self._watch.request_id(request.fields), self._clock.steady(), forced)
        op.route, op.fwd = prepared.route.name, Fwd.request
        return _Due(op, prepared, _errand(op, forced, live))

    async def _resume(self, queue: Iterator[tuple[Job, Sending]]) -> None:
        for job, sending in queue:
            # The rest is left to the next start.
            if self._ending:
                return
            try:
                await self._again(job, sending)
            except Problem as problem:
                self._log.warning("refresh not resumed", refresh=job.id, reason=problem.reason.name)

    async def _again(self, job: Job, sending: Sending) -> None:
        """Raises Problem(jobs_unavailable)."""
        standing = await self._jobs.find(job.id)
        if standing is None or standing.state.final:
            return
        due = self._due_again(job, sending)
        if isinstance(due, _Due):
            await self._run(job, due)
        else:
            op = Operation(again(sending), job.id, self._clock.steady())
            await self._singles.end(job, op, due)

    def _due_again(self, job: Job, sending: Sending) -> _Due | str:
        """What is left to do, or why it cannot be done any more."""
        account = None if job.account is None else self._account_of(job.account)
        if sending == LOST:
            return "credentials_not_kept"
        if job.account is not None and account is None:
            return "account_gone"
        try:
            due = self._due(again(sending), account)
        except Problem as problem:
            return problem.reason.name
        except Refused:
            return Reason.not_refreshable.name
        outgoing = replace(due.errand.outgoing, background=True)
        return replace(due, errand=replace(due.errand, outgoing=outgoing))

    async def _run(self, job: Job, due: _Due) -> None:
        reason: str | None = Reason.internal_error.name
        try:
            reason = _note(due.op, await self._obtained(due))
        finally:
            self._watch.refreshed(due.op.route, "admin", delivered=reason is None)
            await self._singles.end(job, due.op, reason)

    async def _obtained(self, due: _Due) -> Ended:
        op, key = due.op, due.errand.prepared.key
        flight = self._collapse.find(key, Rank.forced)
        if flight is not None:
            outcome = await flight.follow()
            op.collapsed = not isinstance(outcome, Private)
            if op.collapsed:
                return outcome
        flight = self._collapse.take_off(key, Rank.forced)
        outcome = await self._house.fetch(flight, due.errand, _ending)
        op.collapsed = flight.elsewhere
        return outcome


def _prepared(preparer: Preparer, request: Request, account: Account | None) -> Prepared:
    """As the account's, or as that of the API key among the fields, or as nobody's where all get the same."""
    try:
        return preparer.prepare(request, account)
    except Problem as problem:
        if problem.reason is not Reason.missing_key:
            raise
    prepared = preparer.prepare(request, HOUSE)
    cache = prepared.route.cache
    if cache is not None and cache.share is not Share.everyone:
        message = f"the route {prepared.route.name} shares by {cache.share.value}: an account is needed"
        raise Refused(Fault.invalid, message)
    return prepared


def _forced(prepared: Prepared) -> Prepared:
    """The force refresh of what a lookup asks for. Its own directives are left aside: it is for everybody."""
    route = prepared.route
    if prepared.account is not None and prepared.account.test:
        raise Refused(Fault.invalid, "a test key's requests reach no upstream")
    refresh = route.refresh or RefreshPolicy()
    return replace(
        prepared,
        route=replace(route, refresh=refresh),
        intent=Intent.force_refresh,
        target=_target(prepared.target, refresh),
        demands=None,
        demanded_quote=None,
    )


def _target(target: str, refresh: RefreshPolicy) -> str:
    """The upstream's target, with what the route adds to forced ones."""
    if not refresh.upstream_query:
        return target
    added = tuple([(component(name), component(value)) for name, value in refresh.upstream_query])
    path, query = canonical(target)
    kept = tuple([pair for pair in query if pair[0] not in dict(added)])
    return Target(path, kept + added).render()


def _errand(op: Operation, prepared: Prepared, live: Live) -> Errand:
    """Raises Refused where nothing is stored, and the Problem of a request that cannot be sent on."""
    cache = prepared.route.cache
    if cache is None:
        raise Refused(Fault.invalid, f"the route {prepared.route.name} stores nothing")
    return replace(Lookup(op, prepared, cache, live).errand(), ours=True)


def _ending(outcome: Fetched) -> Outcome:
    return Outcome.refreshed if delivers(outcome.stored.status) else Outcome.undelivered


def _note(op: Operation, outcome: Ended) -> str | None:
    """What came of it; returns why that is no fresh data, None where it is."""
    match outcome:
        case Fetched(stored=stored):
            op.fwd_status, op.stored, unkept = stored.status, outcome.kept, outcome.reason
        case Private(answer=answer):
            op.fwd_status, unkept = None if answer is None else answer.status, outcome.reason
        case Failed(problem=problem):
            op.fwd_status, unkept, op.refusal = problem.upstream_status, None, problem.reason.name
        case _:
            assert_never(outcome)
    op.detail = None if unkept is None else unkept.detail
    return failure(op)
