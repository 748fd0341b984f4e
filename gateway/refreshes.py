"""Single refreshes that operators ask for: one fresh fetch of one GET each, on the house account, kept in a register.

A refresh joins a force refresh of the same thing that is under way, and outdates its group as any does.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count, dropwhile, islice
from typing import assert_never

from gateway.admission.outcomes import Outcome
from gateway.admission.prepare import Prepared, Preparer
from gateway.admission.pricing import delivers
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Account, RefreshPolicy, Share
from gateway.admission.target import Target, canonical, component
from gateway.answers.cache_status import cache_status
from gateway.collapse import Failed, Fetched, Private, Rank
from gateway.collapse import Outcome as Ended
from gateway.errors import Problem, Reason
from gateway.explaining.fields import masked
from gateway.fetch import Errand, Fetcher
from gateway.house import House
from gateway.keys.orders import Fault, Refused
from gateway.lookup import Live, Lookup
from gateway.messages import Request
from gateway.meter import HOUSE
from gateway.operation import Operation
from gateway.ports import Clock
from gateway.rfc9111.reuse import Fwd
from gateway.settlement import Settlement
from gateway.tasks import Tasks
from gateway.watch import Watch

MOST_KEPT = 1000
MOST_RUNNING = 100


class State(StrEnum):
    """How far a refresh has come; `cancelled`: nobody waits for it, but a fetch that has begun goes on to its end."""

    running = "running"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"


@dataclass(slots=True)
class Refresh:
    """One refresh; times are wall-clock seconds. `url` is the target without secrets, at `host`.

    Once it has ended, `status` is what the upstream answered, and `cache_status` what an answer's Cache-Status would
    say (RFC 9211), both None where no answer came; `reason` is why it failed: a `Problem`'s, or `undelivered` where
    the upstream's answer (a 403, say) was no news of the thing.
    """

    id: str
    url: str
    host: str
    route: str
    account: str | None
    began: float
    state: State = State.running
    ended: float | None = None
    status: int | None = None
    cache_status: str | None = None
    reason: str | None = None


class Refreshes:
    """The register: the last 1,000 in memory, at most 100 under way."""

    def __init__(
        self,
        live: Callable[[], Live],
        preparer: Callable[[], Preparer],
        fetcher: Fetcher,
        settlement: Settlement,
        watch: Watch,
        clock: Clock,
    ) -> None:
        self._live = live
        self._preparer = preparer
        self._collapse = fetcher.collapse
        self._house = House(fetcher, settlement)
        self._watch = watch
        self._clock = clock
        self._kept: dict[str, Refresh] = {}
        self._tasks = Tasks()
        self._ending = False
        # Another process's refreshes are not this one's.
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)

    def start(self, request: Request, account: Account | None = None) -> Refresh:
        """Begin a refresh of the GET `request`, prepared as the account's where one is given.

        Raises Refused where it cannot be, or too many are under way, and the Problem that the request is refused with.
        """
        if self._ending:
            raise Refused(Fault.conflict, "the gateway is stopping")
        if len(self._tasks) >= MOST_RUNNING:
            raise Refused(Fault.conflict, f"{MOST_RUNNING} refreshes are under way: wait for one to end")
        live = self._live()
        prepared = _forced(_prepared(self._preparer(), request, account))
        op = Operation(prepared.request, self._watch.request_id(request.fields), self._clock.steady(), prepared)
        op.route, op.fwd = prepared.route.name, Fwd.request
        errand = _errand(op, prepared, live)
        refresh = self._registered(prepared, masked(request.target, live.snapshot), account)
        self._tasks.start(self._run(refresh, op, errand))
        return refresh

    def find(self, id_: str) -> Refresh:
        """The refresh of this id. Raises Refused(unknown)."""
        refresh = self._kept.get(id_)
        if refresh is None:
            raise Refused(Fault.unknown, f"there is no such refresh; the last {MOST_KEPT} are kept")
        return refresh

    def latest(self, after: str | None, most: int) -> list[Refresh]:
        """At most `most` refreshes, latest first, of those that began before `after`. Raises Refused(unknown)."""
        before = None if after is None else self.find(after)
        return list(islice(self._older(before), most))

    def cancel(self, id_: str) -> Refresh:
        """Wait for it no more. Raises Refused: unknown, or conflict for one that has ended."""
        refresh = self.find(id_)
        if refresh.state is not State.running:
            raise Refused(Fault.conflict, f"the refresh has ended: it is {refresh.state.value}")
        self._end(refresh, State.cancelled)
        return refresh

    async def finish(self) -> None:
        """Begin no more, and wait for those under way."""
        self._ending = True
        await self._tasks.finish()

    def _registered(self, prepared: Prepared, url: str, account: Account | None) -> Refresh:
        refresh = Refresh(
            id=f"{self._prefix}-{next(self._numbers):x}",
            url=url,
            host=prepared.request.fields.get("Host", ""),
            route=prepared.route.name,
            account=None if account is None else account.id,
            began=self._clock.wall(),
        )
        self._kept[refresh.id] = refresh
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(id_ for id_, kept in self._kept.items() if kept.state is not State.running)]
        return refresh

    def _older(self, before: Refresh | None) -> Iterator[Refresh]:
        found = reversed(self._kept.values())
        if before is not None:
            found = dropwhile(lambda refresh: refresh is not before, found)
            next(found)
        return found

    async def _run(self, refresh: Refresh, op: Operation, errand: Errand) -> None:
        outcome: Ended = Failed(Problem(Reason.internal_error))
        try:
            outcome = await self._obtained(op, errand)
        finally:
            delivered = _note(refresh, op, outcome)
            if refresh.state is State.running:
                self._end(refresh, State.done if delivered else State.failed)
            self._watch.refreshed(op.route, "admin", delivered=delivered)

    async def _obtained(self, op: Operation, errand: Errand) -> Ended:
        flight = self._collapse.find(errand.prepared.key, Rank.forced)
        if flight is not None:
            outcome = await flight.follow()
            op.collapsed = not isinstance(outcome, Private)
            if op.collapsed:
                return outcome
        flight = self._collapse.take_off(errand.prepared.key, Rank.forced)
        return await self._house.fetch(flight, errand, _ending)

    def _end(self, refresh: Refresh, state: State) -> None:
        refresh.state, refresh.ended = state, self._clock.wall()


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


def _note(refresh: Refresh, op: Operation, outcome: Ended) -> bool:
    """What came of it; whether that is fresh data."""
    match outcome:
        case Fetched(stored=stored):
            op.fwd_status, op.stored, unkept = stored.status, outcome.kept, outcome.reason
        case Private(answer=answer):
            op.fwd_status, unkept = None if answer is None else answer.status, outcome.reason
        case Failed(problem=problem):
            op.fwd_status, unkept, refresh.reason = problem.upstream_status, None, problem.reason.name
        case _:
            assert_never(outcome)
    op.detail = None if unkept is None else unkept.detail
    refresh.status = op.fwd_status
    refresh.cache_status = None if op.fwd_status is None else cache_status(op.cache_status())
    delivered = refresh.reason is None and op.fwd_status is not None and delivers(op.fwd_status)
    if not delivered and refresh.reason is None:
        refresh.reason = Outcome.undelivered.name
    return delivered
