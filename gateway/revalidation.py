"""Replacing stale stored responses in the background (RFC 5861 §3), on the house account."""

from contextlib import suppress
from typing import assert_never

from gateway.admission.outcomes import Outcome
from gateway.cache import Cache
from gateway.collapse import Failed, Fetched, Flight, Private
from gateway.collapse import Outcome as Ended
from gateway.errors import Problem, Reason
from gateway.fetch import Errand, Fetcher
from gateway.messages import Stream
from gateway.meter import Reservation
from gateway.settlement import Settlement
from gateway.tasks import Tasks
from gateway.watch import Watch


class Revalidation:
    """Starts the fetches of the gateway's own; the collapse keeps them to one per key."""

    def __init__(self, cache: Cache, fetcher: Fetcher, settlement: Settlement, watch: Watch) -> None:
        self._cache = cache
        self._fetcher = fetcher
        self._collapse = fetcher.collapse
        self._settlement = settlement
        self._watch = watch
        self._tasks = Tasks()

    def start(self, errand: Errand) -> None:
        """Replace what `errand` validates, unless somebody does already or did."""
        key = errand.prepared.key
        if self._collapse.find(key) is not None or self._collapse.is_private(key):
            return
        if errand.validating not in self._cache.peek(key):
            return
        flight = self._collapse.take_off(key)
        self._tasks.start(self._run(flight, errand))

    async def finish(self) -> None:
        """Wait for every fetch that was started."""
        await self._tasks.finish()

    async def _run(self, flight: Flight, errand: Errand) -> None:
        prepared = errand.prepared
        try:
            reservation = await self._settlement.reserve_house(prepared)
        except Problem as problem:
            self._collapse.land(flight, Failed(problem))
            self._watch.refreshed(prepared.route.name, "background", delivered=False)
            return
        except BaseException:
            # A bug of ours, or the end of the process: nobody may wait for this flight any longer.
            self._collapse.land(flight, Failed(Problem(Reason.internal_error)))
            raise
        self._fetcher.start(flight, errand)
        outcome = await flight.lead()
        if isinstance(outcome, Private) and isinstance(outcome.answer, Stream):
            await outcome.answer.close()
        self._watch.refreshed(prepared.route.name, "background", delivered=isinstance(outcome, Fetched))
        # What the journal does not take now the settlement gives back itself.
        with suppress(Problem):
            await self._end(reservation, outcome)

    async def _end(self, reservation: Reservation, outcome: Ended) -> None:
        match outcome:
            case Fetched(validated=validated):
                await self._settlement.settle_house(reservation, Outcome.validated if validated else Outcome.miss)
            case Failed(problem=problem):
                await self._settlement.release_house(reservation, problem.reason.name)
            case Private():
                await self._settlement.settle_house(reservation, Outcome.uncharged)
            case _:
                assert_never(outcome)
