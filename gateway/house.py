"""Fetches of the gateway's own, which go to the house account: reserved, led to their end, settled."""

from collections.abc import Callable
from contextlib import suppress
from typing import assert_never

from gateway.admission.outcomes import Outcome
from gateway.collapse import Failed, Fetched, Flight, Private
from gateway.collapse import Outcome as Ended
from gateway.errand import Errand
from gateway.errors import Problem, Reason
from gateway.fetch import Fetcher
from gateway.messages import Outgoing, Stream
from gateway.ports import Upstream
from gateway.reading import failure
from gateway.reservation import Reservation
from gateway.settlement import Settlement

Ending = Callable[[Fetched], Outcome]
"""What a fetch that brought something is in the books."""


class House:
    """Fetches for nobody, or for everybody; what they bring is stored, and never answered."""

    def __init__(self, fetcher: Fetcher, settlement: Settlement) -> None:
        self._fetcher = fetcher
        self._settlement = settlement

    async def fetch(self, flight: Flight, errand: Errand, ending: Ending) -> Ended:
        """Lead `flight`, which lands whatever happens; what the ledger refuses fails without an upstream call."""
        try:
            reservation = await self._settlement.reserve_house(errand.prepared)
        except Problem as problem:
            return self._given_up(flight, problem)
        except BaseException:
            # A bug of ours, or the end of the process: nobody may wait for this flight any longer.
            self._given_up(flight, Problem(Reason.internal_error))
            raise
        self._fetcher.start(flight, errand)
        outcome = await flight.lead()
        if isinstance(outcome, Private) and isinstance(outcome.answer, Stream):
            await outcome.answer.close()
        # What the journal does not take now the settlement gives back itself.
        with suppress(Problem):
            if flight.elsewhere:
                # What was called for is in the books of the node that called.
                await self._settlement.release_house(reservation, Outcome.collapsed.name)
            else:
                await self._settle(reservation, outcome, ending)
        return outcome

    def _given_up(self, flight: Flight, problem: Problem) -> Failed:
        outcome = Failed(problem)
        self._fetcher.collapse.land(flight, outcome)
        return outcome

    async def _settle(self, reservation: Reservation, outcome: Ended, ending: Ending) -> None:
        match outcome:
            case Fetched():
                await self._settlement.settle_house(reservation, ending(outcome))
            case Failed(problem=problem):
                await self._settlement.release_house(reservation, problem.reason.name)
            case Private():
                await self._settlement.settle_house(reservation, Outcome.uncharged)
            case _:
                assert_never(outcome)


class Sound:
    """An upstream whose server errors are failures, even where the route would store them in place of a response."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.room = upstream.room
        self.close = upstream.close

    async def send(self, outgoing: Outgoing) -> Stream:
        stream = await self._upstream.send(outgoing)
        if stream.status < 500:
            return stream
        await stream.close()
        raise failure(stream)
