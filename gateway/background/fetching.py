"""The last step of a background refresh: one stored response fetched anew, which stays until it is replaced."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import structlog
from multidict import CIMultiDict

from gateway.admission.jobs import Step
from gateway.admission.outcomes import Outcome
from gateway.admission.prepared import Prepared
from gateway.admission.pricing import delivers
from gateway.admission.provision import Intent, provision
from gateway.admission.returning import prepared
from gateway.admission.snapshot import RefreshPolicy, Snapshot
from gateway.admission.target import canonical
from gateway.background.endings import Ending, GivenUp, Moment, Refetched, again, again_for
from gateway.background.firsts import Firsts
from gateway.background.following import further_pages, with_readable_codings
from gateway.background.turns import Turns
from gateway.background.work import Parts, Work
from gateway.collapse import Failed, Fetched, Private, Unkept
from gateway.collapse import Outcome as Ended
from gateway.errand import Errand
from gateway.errors import Problem
from gateway.house import House, Sound
from gateway.lookup import Lookup
from gateway.operation import Operation
from gateway.rfc9111.selecting import matches
from gateway.rfc9111.stored import StoredResponse

# Statuses that say: not now.
_NOT_NOW = frozenset({408, 425, 429})


class Fetching:
    """Fetches by the config in operation, on the house account; nothing else is outdated by it."""

    def __init__(self, parts: Parts, turns: Turns, draw: Callable[[], float]) -> None:
        self._parts = parts
        self._house = House(parts.fetcher, parts.settlement)
        self._turns = turns
        self._draw = draw
        self._left_out_of = Firsts()
        self._log = structlog.get_logger("gateway.background")

    async def end(self, step: Step, work: Work) -> Ending:
        """Fetch the step's target. Raises Ended."""
        errand = self._errand(step, work)
        if errand is None:
            # It cannot be asked for any more, so that nobody is served what was stored for it.
            if self._left_out_of.is_first(step.job):
                self._log.info("target left out", refresh=step.job, background=step.name, reason="no_route")
            return Refetched()
        try:
            await self._turns.room(errand.upstream)
        except Problem as problem:
            return again(step, work.policy.retry, problem, self._moment(), asked=False)
        return await self._fetched(step, work, errand)

    def _errand(self, step: Step, work: Work) -> Errand | None:
        """None where the config knows the route or the account no more."""
        parts, live = self._parts, self._parts.live()
        if step.target is None:
            raise RuntimeError(f"step {step.id} has nothing to fetch")
        found = prepared(parts.preparer(), step.target, parts.account_of)
        if found is None or found.route.cache is None:
            return None
        op = Operation(found.request, parts.watch.request_id(CIMultiDict()), parts.clock.steady(), found)
        plain = Lookup(op, found, found.route.cache, live).errand()
        forced = Lookup(op, _forced(found, live.snapshot), found.route.cache, live).errand()
        outgoing = replace(forced.outgoing, background=True)
        if work.policy.pages is not None:
            outgoing = with_readable_codings(outgoing)
        return replace(plain, outgoing=outgoing, upstream=Sound(plain.upstream), ours=True)

    async def _fetched(self, step: Step, work: Work, errand: Errand) -> Ending:
        cache, collapse, route = self._parts.cache, self._parts.fetcher.collapse, errand.prepared.route
        before = cache.look(errand.prepared.key)
        # Nobody joins it: whoever asks now goes before the background.
        outcome = await self._house.fetch(collapse.take_off(errand.prepared.key, alone=True), errand, _ending)
        ending = await self._concluded(step, work, errand, outcome)
        if isinstance(ending, Refetched):
            self._replace(errand, before)
        self._parts.watch.refreshed(route.name, "background", delivered=isinstance(ending, Refetched))
        return ending

    async def _concluded(self, step: Step, work: Work, errand: Errand, outcome: Ended) -> Ending:
        match outcome:
            case Fetched(stored=stored, kept=True):
                return Refetched(await further_pages(step, work, errand, stored))
            case Fetched(reason=Unkept.outdated):
                return again_for(step, work.policy.retry, Unkept.outdated.name, self._moment(), counts=False)
            case Fetched(stored=answer):
                return self._unkept(step, work, answer.status)
            case Private(answer=answer):
                status = 0 if answer is None or outcome.unproven else answer.status
                return self._unkept(step, work, status)
            case Failed(problem=problem):
                return again(step, work.policy.retry, problem, self._moment())
            case _:
                assert_never(outcome)

    def _unkept(self, step: Step, work: Work, status: int) -> Ending:
        """The upstream's answer is none that is stored: news all the same, if it speaks of the thing."""
        if status and delivers(status):
            return Refetched()
        if status in _NOT_NOW:
            return again_for(step, work.policy.retry, Outcome.undelivered.name, self._moment())
        return GivenUp(Outcome.undelivered.name)

    def _replace(self, errand: Errand, before: tuple[StoredResponse, ...]) -> None:
        """What was stored before and is not replaced is known to have changed: the next who asks fetches it."""
        cache = self._parts.cache
        held = cache.look(errand.prepared.key)
        for stored in before:
            if stored in held and matches(stored.selecting, errand.selecting):
                cache.outdate_one(stored)

    def _moment(self) -> Moment:
        return Moment(self._parts.clock.wall(), self._draw())


def _forced(found: Prepared, snapshot: Snapshot) -> Prepared:
    """The same as it is sent on: past the caches that the upstream has, as a force refresh would be."""
    route, refresh = found.route, found.route.refresh or RefreshPolicy()
    target = found.target
    if refresh.upstream_query:
        query = canonical(found.request.target).query
        target, _ = provision(route, snapshot).targets(found.path, query, Intent.force_refresh)
    return replace(found, route=replace(route, refresh=refresh), intent=Intent.force_refresh, target=target)


def _ending(outcome: Fetched) -> Outcome:
    return Outcome.refreshed if delivers(outcome.stored.status) else Outcome.undelivered
