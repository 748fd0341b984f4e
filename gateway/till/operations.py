"""Operations from their reservation to their end: settled, released or refunded, once each."""

import asyncio
from collections.abc import Callable

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome, due_for
from gateway.admission.snapshot import Account, Route
from gateway.errors import Problem
from gateway.fleet.call import Reply, Status, unavailable
from gateway.fleet.link import Link
from gateway.ledger import records
from gateway.ledger.tally import Tally
from gateway.metering import Keep
from gateway.ports import Clock
from gateway.reservation import Reservation, State
from gateway.till import items
from gateway.till.asked import Owed
from gateway.till.charging import UNKNOWN
from gateway.till.held import Draft, Held
from gateway.till.holder import Holder
from gateway.till.keeping import Keeping, keeping, key_of
from gateway.till.place import Place
from gateway.till.places import Places
from gateway.till.renewing import Renewing, nothing

Make = Callable[[Holder, Place], items.Words]
"""An end's words, of the holder that has reserved and of the place that the reply is to tell of."""

Ended = records.Settle | records.Release | records.Refund


class Operations:
    """Reserves and ends what has been reserved; what was executed for nobody is given back."""

    def __init__(
        self,
        link: Link,
        renewing: Renewing,
        places: Places,
        tally: Tally,
        clock: Clock,
        next_id: Callable[[], int],
    ) -> None:
        self._link = link
        self._renewing = renewing
        self._places = places
        self._tally = tally
        self._clock = clock
        self._next_id = next_id

    async def reserve(self, account: Account, route: Route, quote: Quote, request: str) -> Reservation:
        """As `metering.Metering.reserve`."""
        place, wall = await self._renewing.place(account), self._clock.wall()
        draft = Draft(self._next_id(), place, route, quote, quote.total, request, wall)

        def late(reply: Reply) -> None:
            if reply[0] == Status.done:
                holder, reserve = place.holder, draft.record
                self._owe(holder, lambda: items.release(holder, None, reserve, UNKNOWN, wall))

        reply = await self._renewing.ask(
            place, place.holder, lambda: items.reserve(place, draft.made(), forced=quote.forced), late
        )
        if reply[0] != Status.done:
            raise place.refusal(reply, self._clock.wall())
        return Held(place.account, quote, draft.record)

    async def settle(self, held: Held, outcome: Outcome, keep: Keep | None) -> Charge:
        """As `metering.Metering.settle`; Problem(ledger_unavailable) too where the fleet took this node for dead."""
        held.expect(State.reserved)
        reserve, tokens, wall = held.reserve, due_for(outcome, held.quote), self._clock.wall()
        receipt = reserve.id if tokens and not reserve.plain else None
        kept = keeping(self._places.of(held.account), keep, tokens, receipt)

        def words(holder: Holder, place: Place) -> items.Words:
            return (*items.settle(holder, place, reserve, tokens, outcome.name, wall), *kept.words)

        def late(reply: Reply) -> None:
            if reply[0] == Status.done:
                self._reverse(held, tokens, kept)

        charge = await self._end(held, State.settled, tokens, words, late, receipt)
        if held.late:
            raise unavailable()
        self._tally.count(records.Settle(reserve, tokens, False, outcome.name, wall), 1)
        return charge

    async def release(self, held: Held, outcome: str) -> Charge:
        """As `metering.Metering.release`."""
        if held.late:
            return await self._standing(await self._renewing.place(held.account, look=True), 0, None)
        held.expect(State.reserved)
        reserve, wall = held.reserve, self._clock.wall()

        def words(holder: Holder, place: Place) -> items.Words:
            return items.release(holder, place, reserve, outcome, wall)

        charge = await self._end(held, State.ended, 0, words, _ending(held), None)
        if not held.late:
            self._tally.count(records.Release(reserve, False, outcome, wall), 1)
        return charge

    async def refund(self, held: Held, outcome: Outcome, withdrawn: records.Kept | None) -> Charge:
        """As `metering.Metering.refund`."""
        if held.late:
            return await self._standing(await self._renewing.place(held.account, look=True), 0, None)
        held.expect(State.settled)
        reserve, tokens, wall = held.reserve, held.tokens, self._clock.wall()
        forget = () if withdrawn is None else items.forget(key_of(held.account, withdrawn))

        def words(holder: Holder, place: Place) -> items.Words:
            # One that was tried before may have been executed meanwhile.
            if held.late:
                return ()
            return (*items.refund(holder, place, reserve, tokens, outcome.name, wall), *forget)

        charge = await self._end(held, State.ended, 0, words, _ending(held), None)
        if not held.late:
            self._tally.count(records.Refund(reserve, tokens, False, outcome.name, wall), 1)
        return charge

    async def _end(
        self,
        held: Held,
        state: State,
        tokens: int,
        words: Make,
        late: Callable[[Reply], None],
        receipt: int | None,
    ) -> Charge:
        """The account's charge once the operation has ended; one that was gone by then is `held.late`."""
        before = held.state, held.tokens
        held.state, held.tokens = state, tokens
        try:
            place = await self._renewing.place(held.account, look=True)
            holder = self._places.holder(held.reserve.holder)
            reply = await self._renewing.ask(place, holder, lambda: words(holder, place), late)
        except (Problem, asyncio.CancelledError):
            if not held.late:
                held.reopen(*before)
            raise
        if reply[0] == Status.gone:
            held.end()
        elif place.holder is holder:
            return place.charge(tokens, reply[1], reply[2], receipt)
        return await self._standing(place, tokens, receipt)

    async def _standing(self, place: Place, tokens: int, receipt: int | None) -> Charge:
        """How the account stands after a charge that was not made of its own balance, or by itself."""
        wall = self._clock.wall()
        reply = await self._renewing.ask(
            place, place.holder, lambda: items.look(place, wall, forced=False, take=False), nothing
        )
        return place.charge(tokens, reply[3] + reply[5], reply[8], receipt)

    def _reverse(self, held: Held, tokens: int, kept: Keeping) -> None:
        """A settlement that nobody heard of is refunded."""
        held.end()
        holder, wall = self._places.holder(held.reserve.holder), self._clock.wall()
        self._owe(holder, lambda: (*items.refund(holder, None, held.reserve, tokens, UNKNOWN, wall), *kept.forget))

    def _owe(self, holder: Holder, words: Callable[[], items.Words]) -> None:
        self._link.submit(Owed(self._link, holder, words))


def _ending(held: Held) -> Callable[[Reply], None]:
    def late(reply: Reply) -> None:
        if reply[0] in (Status.done, Status.gone):
            held.end()

    return late
