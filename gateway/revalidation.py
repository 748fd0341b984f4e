"""Replacing stale stored responses in the background (RFC 5861 §3), on the house account."""

from gateway.admission.outcomes import Outcome
from gateway.cache import Cache
from gateway.collapse import Fetched, Flight
from gateway.fetch import Errand, Fetcher
from gateway.house import House
from gateway.settlement import Settlement
from gateway.tasks import Tasks
from gateway.watch import Watch


class Revalidation:
    """Starts the fetches of the gateway's own; the collapse keeps them to one per key."""

    def __init__(self, cache: Cache, fetcher: Fetcher, settlement: Settlement, watch: Watch) -> None:
        self._cache = cache
        self._collapse = fetcher.collapse
        self._house = House(fetcher, settlement)
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
        outcome = await self._house.fetch(flight, errand, _ending)
        delivered = isinstance(outcome, Fetched)
        self._watch.refreshed(errand.prepared.route.name, "background", delivered=delivered)


def _ending(outcome: Fetched) -> Outcome:
    return Outcome.validated if outcome.validated else Outcome.miss
