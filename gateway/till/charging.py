"""Charges of what is reused: plain ones by their tab, all else as a sale of its own."""

from collections.abc import Callable

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome, due_for
from gateway.admission.snapshot import Account, Route
from gateway.errors import Overtaken, Problem, Reason
from gateway.fleet.call import Reply, Status, unavailable
from gateway.fleet.link import Link
from gateway.ledger import records
from gateway.ledger.tally import Tally
from gateway.metering import Keep
from gateway.ports import Clock
from gateway.till import items
from gateway.till.asked import Hits, Owed
from gateway.till.held import Draft
from gateway.till.keeping import NOTHING, Keeping, keeping
from gateway.till.paying import Verdict
from gateway.till.place import Place
from gateway.till.renewing import Renewing
from gateway.till.tab import Tab

UNKNOWN = Reason.ledger_unavailable.name
"""The outcome of what was executed after its caller had been told that it was not."""


class Charging:
    """Charges that Redis admits; what was executed for nobody is given back."""

    def __init__(self, link: Link, renewing: Renewing, tally: Tally, clock: Clock, next_id: Callable[[], int]) -> None:
        self._link = link
        self._renewing = renewing
        self._tally = tally
        self._clock = clock
        self._next_id = next_id

    def pay(self, tab: Tab, times: int, done: Callable[[Verdict], None]) -> None:
        """Charge plain hits with the call that is flushed next."""
        hits = tab.hits
        if hits is None:
            hits = tab.hits = Hits(tab, self._counted, self._give_back)
            self._link.gather(hits)
        else:
            self._link.joined()
        # What cannot be sent any more fails in a later turn.
        hits.add(times, done)

    async def charge(
        self, account: Account, route: Route, quote: Quote, outcome: Outcome, request: str, keep: Keep | None
    ) -> Charge:
        """As `metering.Metering.charge`."""
        decided = self._link.known
        place, tokens = await self._renewing.place(account), due_for(outcome, quote)
        if tokens > quote.base:
            return await self._sell(place, route, quote, outcome, request, keep, decided)
        tab = place.tab(route, tokens, outcome.name, self._clock.wall())
        kept = keeping(place, keep, tokens, None)
        # What was accepted reuses nothing that another node may have outdated.
        if outcome is Outcome.accepted or (quote.forced and place.cap is not None):
            reuse = outcome is not Outcome.accepted
            return await self._charge_alone(place, tab, quote, kept, decided, reuse=reuse)
        return await self._charge_plain(place, tab, kept, decided)

    async def _charge_plain(self, place: Place, tab: Tab, kept: Keeping, decided: int) -> Charge:
        def late(reply: Reply) -> None:
            if reply[0] == Status.done:
                self._give_back(tab, 1, kept)

        reply = await self._renewing.ask(place, place.holder, lambda: (*tab.words(1), *kept.words), late, decided)
        if reply[0] == Status.short:
            raise self._unpaid(place, reply[2])
        self._refuse(place, reply)
        self._counted(tab, 1)
        return place.charge(tab.tokens, reply[1], reply[2])

    async def _charge_alone(
        self, place: Place, tab: Tab, quote: Quote, kept: Keeping, decided: int, *, reuse: bool
    ) -> Charge:
        """A plain charge that is counted against the cap, or whatever another node has outdated."""
        wall = self._clock.wall()

        def words() -> items.Words:
            said = items.sale(place, tab.tokens, tab.record, forced=quote.forced, reuse=reuse, wall=wall)
            return (*said, *kept.words)

        def late(reply: Reply) -> None:
            if reply[0] == Status.done:
                self._give_back(tab, 1, kept)

        reply = await self._renewing.ask(place, place.holder, words, late, decided)
        self._refuse(place, reply)
        self._counted(tab, 1)
        return place.charge(tab.tokens, reply[1], reply[2])

    async def _sell(
        self, place: Place, route: Route, quote: Quote, outcome: Outcome, request: str, keep: Keep | None, decided: int
    ) -> Charge:
        """A charge above the base, which has a receipt."""
        wall, tokens = self._clock.wall(), due_for(outcome, quote)
        draft = Draft(self._next_id(), place, route, quote, tokens, request, wall)
        kept = keeping(place, keep, tokens, draft.record.id)
        reuse = outcome is not Outcome.accepted

        def words() -> items.Words:
            sale = records.Sale(draft.made(), outcome.name)
            return (*items.sale(place, tokens, sale, forced=quote.forced, reuse=reuse, wall=wall), *kept.words)

        def late(reply: Reply) -> None:
            if reply[0] == Status.done:
                self._refund(place, draft.record, kept)

        reply = await self._renewing.ask(place, place.holder, words, late, decided)
        self._refuse(place, reply)
        self._tally.count(records.Sale(draft.record, outcome.name), 1)
        return place.charge(tokens, reply[1], reply[2], draft.record.id)

    def _counted(self, tab: Tab, times: int) -> None:
        self._tally.count(tab.record, times)

    def _give_back(self, tab: Tab, times: int, kept: Keeping = NOTHING) -> None:
        holder, tokens, entry = tab.place.holder, times * tab.tokens, tab.entry(-times)
        said = items.give_back(holder, tokens, entry, unlimited=tab.unlimited)
        self._link.submit(Owed(self._link, holder, lambda: (*said, *kept.forget)))

    def _refund(self, place: Place, reserve: records.Reserve, kept: Keeping) -> None:
        holder, wall = place.holder, self._clock.wall()

        def words() -> items.Words:
            return (*items.refund(holder, None, reserve, reserve.tokens, UNKNOWN, wall), *kept.forget)

        self._link.submit(Owed(self._link, holder, words))

    def _refuse(self, place: Place, reply: Reply) -> None:
        """Raises what an item was not done for."""
        if reply[0] == Status.overtaken:
            raise Overtaken
        if reply[0] != Status.done:
            raise place.refusal(reply, self._clock.wall())

    def _unpaid(self, place: Place, level: int) -> Problem:
        """Why not even one plain charge was admitted; `level` is the throttle's."""
        measure = place.measure
        if measure is not None and level < measure.cost:
            return place.refusal([Status.throttled, level], self._clock.wall())
        return unavailable() if place.unlimited else place.used_up(self._clock.wall())
