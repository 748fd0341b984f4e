"""Brings a place up to its plan: finds its shard, takes over a former holder, grants what is due."""

import asyncio
from functools import partial

from gateway.admission.snapshot import Account
from gateway.fleet import names
from gateway.fleet.call import Reply, Status, unavailable
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.link import Link
from gateway.fleet.script import Script
from gateway.ledger.accounts import due, taken_over
from gateway.ledger.balance import Balance
from gateway.ledger.records import BEFORE_ANY, Grant, Renamed
from gateway.ports import Clock
from gateway.till import items
from gateway.till.asked import Asked, Late, Sent, Words
from gateway.till.holder import Holder, balance
from gateway.till.place import Place
from gateway.till.places import Places

# Another node may have been first, each time: about a balance that many spend from at the end of its period.
_TRIES = 8

_HOME = Script("home")


class Renewing:
    """Asks for what is due in the same call as, and right before, whatever needs it."""

    def __init__(self, link: Link, connection: Connection, places: Places, clock: Clock) -> None:
        self._link = link
        self._connection = connection
        self._places = places
        self._clock = clock
        self._finding: dict[str, asyncio.Task[str]] = {}

    async def place(self, account: Account, *, look: bool = False) -> Place:
        """The account's place, whose holder's shard is known, and who has taken over what its former holder has.

        `look` for that even where the place is up to date. Raises Problem(ledger_unavailable).
        """
        place = self._places.of(account)
        if not place.holder.prefix:
            await self._find(place.holder, place.account.organization, place.account.former)
        former = self._places.former(place.account)
        if former is not None and (look or not place.current(self._clock.wall())):
            await self._take_over(self._places.holder(former), place)
        return place

    async def ask(self, place: Place, holder: Holder, words: Words, late: Late, decided: int | None = None) -> Reply:
        """The reply to an item about `holder`, in the term that Redis has. Raises Problem(ledger_unavailable).

        What is reused was `decided` by the log up to this entry, however long this takes.
        """
        for _ in range(_TRIES):
            self.bring_up(place)
            reply = await self.asked(words, late, decided)
            if reply[0] != Status.stale:
                return reply
            holder.believe(reply[1:])
        raise unavailable()

    async def asked(self, words: Words, late: Late, decided: int | None = None) -> Reply:
        """The reply to an item that goes with this turn's call."""
        item = Asked(words, late)
        self._link.submit(item, decided)
        try:
            return await item.waiter
        except asyncio.CancelledError:
            item.left()
            raise

    def bring_up(self, place: Place) -> None:
        """Has granted, by this turn's call, what is due to a balance in the term that is believed."""
        wall = self._clock.wall()
        if place.current(wall):
            return
        account, holder = place.account, place.holder
        period = self._places.roster.calendar.period(account.plan.every, wall)
        # Asked with a token left it tells whether that lapses; how much there is the turn script sees.
        records = due(holder.name, Balance(balance=1, term=holder.term), account.plan, period, wall)
        for grant in records:
            if isinstance(grant, Grant):
                self._link.submit(Sent(partial(self._renew, holder, grant, lapses=len(records) > 1)))
                holder.term = grant.term
        place.renewed(period)

    def _renew(self, holder: Holder, grant: Grant, *, lapses: bool) -> items.Words:
        # Another node may have a config by which somebody has taken over; this one may have had it meanwhile.
        return items.renew(holder, grant, lapses=lapses, since=self._places.in_use(holder.name))

    async def _find(self, holder: Holder, organization: str, former: str | None) -> None:
        """Asked once for all who want to know it: of those who come first there may be a thousand."""
        finding = self._finding.get(holder.name)
        if finding is None:
            finding = asyncio.create_task(self._home(holder.name, organization, former))
            self._finding[holder.name] = finding
            finding.add_done_callback(lambda _: self._finding.pop(holder.name))
        await asyncio.wait((finding,))
        holder.prefix = finding.result()

    async def _home(self, holder: str, organization: str, former: str | None) -> str:
        try:
            home = await self._connection.run(_HOME, (names.HOMES,), (holder, organization, former or ""))
        except Unreachable as error:
            raise unavailable() from error
        return names.prefix(names.shard(home.decode()))

    async def _take_over(self, former: Holder, place: Place) -> None:
        """Moves what the former holder has; what is still reserved there follows once it is given back."""
        holder = place.holder
        if not former.prefix:
            await self._find(former, place.account.organization, None)
        for _ in range(_TRIES):
            looks = [self.asked(partial(items.columns, one), nothing) for one in (former, holder)]
            old, new = [balance(reply[1:8]) for reply in await asyncio.gather(*looks)]
            record = taken_over(former.name, old, holder.name, new, self._clock.wall())
            if record is None:
                return
            reply = await self.asked(partial(self._rename, former, holder, record), nothing)
            if reply[0] == Status.done:
                former.term, holder.term = BEFORE_ANY, record.term
            # Gone: by a later config, here or at another node, the name is in use again.
            if reply[0] in (Status.done, Status.gone):
                return
        raise unavailable()

    def _rename(self, former: Holder, holder: Holder, record: Renamed) -> items.Words:
        since = self._places.taken_over(former.name, holder.name)
        return () if since is None else items.rename(former, holder, record, since=since)


def nothing(reply: Reply) -> None:
    """What nobody waits for may stay: it was due, or it took nothing."""
