"""Replacing stored responses in the background, on the house account: stale ones (RFC 5861 §3), and hot ones before."""

from contextlib import suppress
from dataclasses import replace

from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import AheadPolicy, ThrottlePolicy
from gateway.admission.throttle import TokenBucket
from gateway.cache import Cache
from gateway.collapse import Fetched, Flight
from gateway.errand import Errand
from gateway.errors import Problem
from gateway.fetch import Fetcher
from gateway.house import House, Sound
from gateway.lookup import Lookup
from gateway.ports import Clock
from gateway.rfc9111.reuse import Reuse
from gateway.settlement import Settlement
from gateway.tasks import Tasks
from gateway.watch import RefreshKind, Watch

# In place of a count of reuses: it was fetched ahead already, whatever came of that.
_TRIED = -1


class Revalidation:
    """Starts the fetches of the gateway's own; the collapse keeps them to one per key."""

    def __init__(self, cache: Cache, fetcher: Fetcher, settlement: Settlement, watch: Watch, clock: Clock) -> None:
        self._cache = cache
        self._collapse = fetcher.collapse
        self._house = House(fetcher, settlement)
        self._watch = watch
        self._clock = clock
        self._budgets: dict[str, TokenBucket] = {}
        self._tasks = Tasks()

    def start(self, errand: Errand) -> None:
        """Replace what `errand` validates, unless somebody does already or did."""
        if self._is_worth_it(errand):
            self._start(errand, "background")

    def anticipate(self, lookup: Lookup, ahead: AheadPolicy, reuse: Reuse) -> None:
        """Count a reuse, and replace what is asked for often in the last part of its lifetime, as the budget allows.

        A page that nobody asks for is never fetched, and none twice that could not be replaced; nothing here can fail
        the request that asks.
        """
        stored = reuse.stored
        if stored.hits == _TRIED:
            return
        stored.hits = min(stored.hits + 1, ahead.hits)
        if stored.hits < ahead.hits or not 0 < reuse.ttl <= ahead.last * (reuse.age + reuse.ttl):
            return
        if self._collapse.find(stored.key) is not None:
            return
        with suppress(Problem):
            errand = lookup.errand_of_our_own(stored)
            if self._is_worth_it(errand) and self._affords(lookup.prepared.route.name, ahead):
                stored.hits = _TRIED
                # Not behind the foreground: who asks once it is stale waits for this fetch.
                self._start(replace(errand, upstream=Sound(errand.upstream)), "ahead")

    async def finish(self) -> None:
        """Wait for every fetch that was started."""
        await self._tasks.finish()

    def _is_worth_it(self, errand: Errand) -> bool:
        key = errand.prepared.key
        if self._collapse.find(key) is not None or self._collapse.is_private(key):
            return False
        return errand.validating in self._cache.peek(key)

    def _affords(self, route: str, ahead: AheadPolicy) -> bool:
        """Take one from the route's budget, which is full at first, and when its rate is changed."""
        policy = ThrottlePolicy(ahead.rate, ahead.rate.count)
        budget = self._budgets.get(route)
        if budget is None or budget.policy != policy:
            budget = self._budgets[route] = TokenBucket(policy)
        return budget.take(self._clock.steady())

    def _start(self, errand: Errand, kind: RefreshKind) -> None:
        flight = self._collapse.take_off(errand.prepared.key)
        self._tasks.start(self._run(flight, errand, kind))

    async def _run(self, flight: Flight, errand: Errand, kind: RefreshKind) -> None:
        outcome = await self._house.fetch(flight, errand, _ending)
        delivered = isinstance(outcome, Fetched)
        self._watch.refreshed(errand.prepared.route.name, kind, delivered=delivered)


def _ending(outcome: Fetched) -> Outcome:
    return Outcome.validated if outcome.validated else Outcome.miss
