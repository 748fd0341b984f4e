"""A background refresh as it is asked for: read, checked, admitted, written down, charged, and answered at once.

What is acknowledged is durable: the job is in the register before the charge is in the journal. Between the two a dying
process leaves a job that nobody paid for, never a charge that bought nothing.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import orjson

from gateway.admission.asking import Asked, asked
from gateway.admission.background import BackgroundPolicy, Call, Json
from gateway.admission.charge import Quote
from gateway.admission.entitlement import refuse_beyond
from gateway.admission.filled import called, filled, spelled
from gateway.admission.forwarding import lasting
from gateway.admission.jobs import EVERY_SCOPE, Accepted, How, Job, Order, Sending, Stage
from gateway.admission.outcomes import Outcome
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent, provision
from gateway.admission.snapshot import Account, Route, Share, Snapshot
from gateway.admission.target import canonical
from gateway.answering import Answering
from gateway.background.subjects import Subjects
from gateway.background.told import values
from gateway.background.worker import Worker
from gateway.errors import Problem, Reason
from gateway.lookup import Live
from gateway.messages import Answer
from gateway.meter import HOUSE
from gateway.once import Once
from gateway.operation import Operation
from gateway.ports import Clock, Jobs
from gateway.settlement import Settlement

# A request names one subject and one date.
_MOST_CONTENT = 64 * 1024


class Accepting:
    """The doors' way into the register, and to the worker, who is told that there is something to do."""

    def __init__(
        self,
        jobs: Jobs,
        subjects: Subjects,
        settlement: Settlement,
        once: Once,
        answering: Answering,
        live: Callable[[], Live],
        worker: Worker,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._subjects = subjects
        self._settlement = settlement
        self._once = once
        self._answering = answering
        self._live = live
        self._worker = worker
        self._clock = clock

    async def accept(self, op: Operation, prepared: Prepared, live: Live) -> Answer:
        """The answer to a client's request. Raises the Problem of what is not accepted, which costs nothing."""
        background, content = policy(prepared.route), await _content(prepared.request.body)
        query = canonical(prepared.request.target).query
        wanted = asked(background, query, content, self._clock.wall())
        account, sending = prepared.account or HOUSE, _sending(prepared, live, content)
        asking = _Asking(background, prepared.route, wanted, account, _scopes(account, live.snapshot), sending)
        return await self._once.answer(op, lambda: self._accepted(op, prepared, asking), repr(wanted))

    async def order(
        self, name: str, subject: str | None, since: str | None, account: Account | None
    ) -> tuple[Accepted, Job]:
        """What an operator orders, free, as the account's or for everybody. Raises Problem as `accept` does."""
        snapshot = self._live().snapshot
        route, background = _named(snapshot, name)
        named = {background.subject.name: subject}
        if background.since is not None:
            named[background.since.name] = since
        elif since is not None:
            raise Problem(Reason.bad_since, f"The background refresh {name} takes no date.")
        wanted = asked(background, (), orjson.dumps(named), self._clock.wall())
        by = account or HOUSE
        asking = _Asking(background, route, wanted, by, _scopes(by, snapshot), _written(route, snapshot, wanted))
        order = asking.order(await self._subjects_of(asking))
        accepted = await self._jobs.accept(order, self._clock.wall())
        self._worker.wake(name)
        job = await self._jobs.find(accepted.job)
        if job is None:
            raise Problem(Reason.jobs_unavailable)
        return accepted, job

    async def _accepted(self, op: Operation, prepared: Prepared, asking: "_Asking") -> Answer:
        subjects = await self._found(op, asking)
        quote = quoted(prepared, len(subjects))
        refuse_beyond(asking.account, quote, prepared.max_tokens, Intent.background_refresh)
        op.prepared = replace(prepared, quote=quote)
        await self._settlement.reserve(op)
        accepted = await self._jobs.accept(asking.order(subjects), self._clock.wall())
        with self._worker.withholding(accepted.job):
            told = self._answering.made(asking.content(accepted, len(subjects)), asking.fields(accepted))
            try:
                charge = await self._settlement.settle(op, Outcome.accepted, told)
            except Problem:
                with suppress(Problem):
                    await self._jobs.withdraw(accepted.job, self._clock.wall())
                raise
        self._worker.wake(asking.background.name)
        return self._answering.stored(op, told, 0.0, charge)

    async def _found(self, op: Operation, asking: "_Asking") -> tuple[str, ...]:
        """`_subjects_of`; what is refused there counts against the throttle: nobody tries ids as fast as they can."""
        try:
            return await self._subjects_of(asking)
        except Problem:
            await self._settlement.repeat(op)
            raise

    async def _subjects_of(self, asking: "_Asking") -> tuple[str, ...]:
        """All that it is about: one, or each that can be refreshed. Raises Problem where there is none."""
        background, subject = asking.background, asking.wanted.subject
        if subject is not None:
            refuse_unsendable(background, subject)
            if background.subjects is not None:
                await self._subjects.refreshable(asking.route, subject)
            return (subject,)
        if background.subjects is None:
            raise Problem(Reason.bad_subject, f"`{background.subject.name}` is required.")
        every = await self._subjects.every(asking.route)
        found = tuple([subject for subject, refreshable in every.items() if refreshable])
        if not found:
            raise Problem(Reason.not_refreshable, "There is nothing that can be refreshed.")
        return found


@dataclass(slots=True, frozen=True)
class _Asking:
    """What is asked for, by whom, and what is sent on where that triggers it; `scopes` as in `Order`."""

    background: BackgroundPolicy
    route: Route
    wanted: Asked
    account: Account
    scopes: tuple[str, ...]
    sending: Sending

    def order(self, subjects: tuple[str, ...]) -> Order:
        background = self.background
        return Order(
            name=background.name,
            account=self.account.id,
            subjects=subjects,
            whole=self.wanted.subject is None,
            since=self.wanted.since,
            scopes=self.scopes,
            first=_first(background),
            sending=self.sending if background.trigger.request == "client" else None,
        )

    def content(self, accepted: Accepted, count: int) -> bytes:
        background, wanted = self.background, self.wanted
        template = background.all if wanted.subject is None else background.one
        if accepted.how is How.joined and wanted.subject is not None:
            template = background.joined
        told: dict[str, Json] = {"job": accepted.job, "how": accepted.how.value, "subjects": count}
        return orjson.dumps(filled(template, told | values(background, wanted.subject, wanted.since)))

    def fields(self, accepted: Accepted) -> tuple[tuple[str, str], ...]:
        job, how = accepted.job, accepted.how.value
        return (("Location", f"/-/refreshes/{job}"), ("X-Background-Refresh", f'{how}; job="{job}"'))


def policy(route: Route) -> BackgroundPolicy:
    """What one of the routes for background refreshes is about; the others never come here."""
    if route.background is None:
        raise RuntimeError(f"the route {route.name} is for no background refresh")
    return route.background


def refuse_unsendable(background: BackgroundPolicy, subject: str) -> None:
    """Raises Problem(bad_subject) for one that a path of the config's own requests cannot hold: `..`, or with a `/`."""
    request, wait, told = background.trigger.request, background.trigger.wait, values(background, subject, 0.0)
    try:
        if isinstance(request, Call):
            called(request, told)
        if wait is not None:
            spelled(wait.target, told)
    except Problem:
        raise Problem(Reason.bad_subject, f"`{background.subject.name}` cannot stand in a path.") from None


def quoted(prepared: Prepared, subjects: int) -> Quote:
    """What a request costs that is about so many of them."""
    base, each = 0 if prepared.quote is None else prepared.quote.base, policy(prepared.route).per_subject
    return Quote(base + each * subjects, lines=(("base", base), ("subjects", each * subjects)))


def _scopes(account: Account, snapshot: Snapshot) -> tuple[str, ...]:
    """Where something may be stored that the account is served: with any other its work would be no one else's too."""
    if account is HOUSE:
        return (EVERY_SCOPE,)
    shares = {route.cache.share for route in snapshot.routes if route.cache is not None}
    narrow = {Share.organization: f"o:{account.organization}", Share.key: f"k:{account.id}"}
    return ("", *[scope for share, scope in narrow.items() if share in shares])


def _first(background: BackgroundPolicy) -> Stage:
    """Where the work begins: with a trigger, of the whole job where that is the client's request."""
    if background.trigger.request != "none":
        return Stage.trigger
    return Stage.select if background.trigger.wait is None else Stage.wait


def _sending(prepared: Prepared, live: Live, content: bytes) -> Sending:
    request = prepared.request
    fields = lasting(prepared, live.snapshot)
    return Sending(request.method, prepared.target, fields, content, request.scheme)


def _written(route: Route, snapshot: Snapshot, wanted: Asked) -> Sending:
    """The request that a client would send for it. Raises `Problem` where its path has parameters."""
    background = policy(route)
    if route.path.names:
        raise Problem(Reason.bad_subject, f"The path of {route.name} has parameters that nobody gave.")
    told = values(background, wanted.subject, wanted.since)
    names = {background.subject.name: told["subject"]}
    if background.since is not None:
        names[background.since.name] = told["since"]
    content = orjson.dumps({name: value for name, value in names.items() if value is not None})
    path = provision(route, snapshot).below(route.path.fill({}))
    return Sending("POST", path, (("Content-Type", "application/json"),), content)


def _named(snapshot: Snapshot, name: str) -> tuple[Route, BackgroundPolicy]:
    for route in snapshot.routes:
        if route.background is not None and route.name == name and not route.tells_status:
            return route, route.background
    raise Problem(Reason.no_route, f"There is no background refresh {name!r}.")


async def _content(body: AsyncIterator[bytes] | None) -> bytes:
    """Raises Problem(body_too_large), and as the body does."""
    content = bytearray()
    if body is not None:
        async for chunk in body:
            content += chunk
            if len(content) > _MOST_CONTENT:
                raise Problem(Reason.body_too_large)
    return bytes(content)
