"""The meter of a fleet: each call is an item of a turn call, decided and written in Redis in one step."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Route
from gateway.admission.standing import Standing
from gateway.errors import Overtaken, Problem
from gateway.fleet import names
from gateway.fleet.call import Reply, Status, unavailable
from gateway.fleet.connection import Connection
from gateway.fleet.link import Link
from gateway.ledger import encoding, records
from gateway.ledger.tally import Tally
from gateway.meter import HOUSE
from gateway.metering import Keep, Spend
from gateway.ports import Clock
from gateway.quotas import Near
from gateway.reservation import Reservation
from gateway.roster import Roster
from gateway.till import items
from gateway.till.abandoned import Abandoned
from gateway.till.asked import Owed
from gateway.till.charging import Charging
from gateway.till.held import Held
from gateway.till.operations import Operations
from gateway.till.paying import Paid, Verdict
from gateway.till.place import Place
from gateway.till.places import Places
from gateway.till.renewing import Renewing, nothing
from gateway.till.survey import Survey
from gateway.till.tab import Tab

_MOST = 2**53
"""Tokens are counted in doubles."""


class RedisMeter:
    """`metering.Metering` and `paying.Till` for one node; the contract of the methods is there.

    What was executed for nobody, because the caller had been refused with ledger_unavailable or was cancelled, is
    reversed by the next call; room in throttle and cap stays taken.
    """

    def __init__(self, link: Link, connection: Connection, clock: Clock) -> None:
        self.house = HOUSE
        self.tally = Tally(free=HOUSE.id)
        self._link = link
        self._connection = connection
        self._clock = clock
        self._operation = 0
        self._places = Places(clock)
        self._renewing = Renewing(link, connection, self._places, clock)
        self._charging = Charging(link, self._renewing, self.tally, clock, self._next_id)
        self._operations = Operations(link, self._renewing, self._places, self.tally, clock, self._next_id)
        self._survey = Survey(connection, self._places, clock, self.balance)

    def configure(self, roster: Roster) -> None:
        """Take over plans, throttles and caps; a throttle goes on as it is unless its own setting changed."""
        self._places.configure(roster)

    def enroll(self, account: Account) -> None:
        """Take over one account."""
        self._places.enroll(account)

    def seat(self, account: Account) -> Place:
        """The account's place, if it is up to date. Raises Problem(ledger_unavailable) where it has to be asked for."""
        place = self._places.of(account)
        if not place.holder.prefix or not place.current(self._clock.wall()):
            raise unavailable()
        return place

    def known(self, account: Account) -> Place | None:
        """The account's place as it was last seen; None where its balance has not been."""
        place = self._places.of(account)
        return None if place.holder.left is None else place

    def pay(self, tab: Tab, times: int, done: Callable[[Verdict], None]) -> None:
        """Charge plain hits with the call that is flushed next."""
        self._charging.pay(tab, times, done)

    def check(self, done: Callable[[Verdict], None]) -> None:
        """The version check alone, with this turn's call."""
        self._link.verify().add_done_callback(lambda checked: done(_verdict(checked.exception())))

    def flush(self) -> None:
        """Have what this turn pays go."""
        self._link.flush()

    def abandoned(self, dead: Callable[[], Awaitable[set[int]]]) -> Abandoned:
        """What gives back what nodes that are `dead`, told by incarnation, had reserved."""
        return Abandoned(self._link, self._connection, self._clock, dead)

    async def charge(
        self,
        account: Account,
        route: Route,
        quote: Quote,
        outcome: Outcome,
        request: str = "",
        keep: Keep | None = None,
    ) -> Charge:
        """Admit and charge a reuse."""
        return await self._charging.charge(account, route, quote, outcome, request, keep)

    async def reserve(self, account: Account, route: Route, quote: Quote, request: str = "") -> Reservation:
        """Admit a fetch and set its quote's total aside."""
        return await self._operations.reserve(account, route, quote, request)

    async def settle(self, reservation: Reservation, outcome: Outcome, keep: Keep | None = None) -> Charge:
        """Charge what the outcome costs and give back the rest.

        Raises Problem(ledger_unavailable) too where the fleet took this node for dead and has given all of it back.
        """
        return await self._operations.settle(_held(reservation), outcome, keep)

    async def release(self, reservation: Reservation, outcome: str) -> Charge:
        """Give back all that is reserved."""
        return await self._operations.release(_held(reservation), outcome)

    async def refund(self, reservation: Reservation, outcome: Outcome, withdrawn: records.Kept | None = None) -> Charge:
        """Reverse the charge of a settled operation, and what was kept of its answer."""
        return await self._operations.refund(_held(reservation), outcome, withdrawn)

    async def correct(self, account: Account, tokens: int, reason: str) -> tuple[int, int]:
        """Add tokens to what the account may spend, or take some back; its balance before and after."""
        place = await self._renewing.place(account, look=True)
        name, wall = account.id, self._clock.wall()
        if place.unlimited:
            raise ValueError(f"the plan of {name} is unlimited: there is no balance to correct")
        if tokens >= _MOST:
            raise ValueError(f"{name} would have been granted more tokens than can be counted")
        bounded = max(tokens, -_MOST)
        late = partial(self._uncorrect, place, bounded, reason)
        reply = await self._renewing.ask(place, place.holder, lambda: items.correct(place, bounded, reason, wall), late)
        if reply[0] == Status.short:
            raise ValueError(f"{name} has {reply[1]} tokens to spend, so {-tokens} cannot be taken back")
        if reply[0] == Status.beyond:
            raise ValueError(f"{name} would have been granted more tokens than can be counted")
        return reply[1] - tokens, reply[1]

    async def spend(self, spends: Mapping[Spend, int]) -> None:
        """Record what the vendor charged for upstream calls."""
        minute, counted = int(self._clock.wall() // 60), Counter[records.Spend]()
        for (account, route, upstream, tokens), times in spends.items():
            counted[records.Spend(account.id, account.organization, route, upstream, tokens, minute)] += times

        def late(_: Reply) -> None:
            self._link.submit(Owed(self._link, self._places.holder(HOUSE.holder), lambda: _noted(counted, -1)))

        await self._renewing.asked(lambda: _noted(counted, 1), late)

    async def repeat(self, account: Account) -> Charge:
        """Admit what costs nothing."""
        return await self._look(account, take=True)

    async def standing(self, account: Account) -> Charge:
        """How the account stands."""
        return await self._look(account, take=False)

    async def balance(self, account: Account) -> Standing:
        """How the balance stands that the account spends from."""
        place, reply = await self._seen(account, forced=True, take=False)
        _, _, charged, reserved, _, free, _, given, level, *cap = reply
        limits = place.charge(0, free + reserved, level)
        known = (None, None) if place.unlimited else (free, given)
        return Standing(known[0], reserved, charged, known[1], cap[0] if cap else None, limits)

    async def refusal(self, account: Account, tokens: int, *, forced: bool) -> Problem | None:
        """What an operation of so many tokens would be refused with now."""
        place, reply = await self._seen(account, forced=forced, take=False)
        wall, free, level, cap = self._clock.wall(), reply[5], reply[8], reply[9:]
        if place.measure is not None and level < place.measure.cost:
            return place.refusal([Status.throttled, level], wall)
        if cap and not cap[0]:
            return place.refusal([Status.capped, cap[1]], wall)
        return place.used_up(wall) if not place.unlimited and free < tokens else None

    async def verify(self) -> None:
        """For a reuse that costs nothing. Raises Overtaken as `charge` does, and Problem(ledger_unavailable)."""
        await self._link.verify()

    async def accounts_above(self, percents: Sequence[int]) -> dict[int, int]:
        """How many accounts have used each of `percents` of their present grant, or more."""
        return await self._survey.above(percents)

    async def nearest(self, most: int) -> list[Near]:
        """The accounts that have used the largest part of their present grant."""
        return await self._survey.nearest(most)

    async def _look(self, account: Account, *, take: bool) -> Charge:
        place, reply = await self._seen(account, forced=False, take=take)
        return place.charge(0, reply[3] + reply[5], reply[8])

    async def _seen(self, account: Account, *, forced: bool, take: bool) -> tuple[Place, Reply]:
        """How everything stands; `take` takes room in the throttle. Raises Problem(throttled)."""
        place, wall = await self._renewing.place(account, look=True), self._clock.wall()
        reply = await self._renewing.ask(
            place, place.holder, lambda: items.look(place, wall, forced=forced, take=take), nothing
        )
        if reply[0] != Status.done:
            raise place.refusal(reply, wall)
        return place, reply

    def _uncorrect(self, place: Place, tokens: int, reason: str, reply: Reply) -> None:
        """The operator was told that nothing was corrected."""
        if reply[0] == Status.done:
            wall = self._clock.wall()
            words = partial(items.correct, place, -tokens, f"reversed: {reason}", wall)
            self._link.submit(Owed(self._link, place.holder, words))

    def _next_id(self) -> int:
        """An operation's id that no other one of the fleet has, had or will have."""
        self._operation += 1
        return self._connection.incarnation << 32 | self._operation


def _held(reservation: Reservation) -> Held:
    if not isinstance(reservation, Held):
        raise TypeError("a reservation of another ledger")
    return reservation


def _noted(counted: Counter[records.Spend], sign: int) -> items.Words:
    """Once, or taken back."""
    entries = defaultdict[str, list[bytes]](list)
    for record, count in counted.items():
        prefix = names.prefix(names.shard(record.organization))
        entries[prefix].append(encoding.entry(record, sign * count))
    return items.note(entries)


def _verdict(error: BaseException | None) -> Verdict:
    return error if isinstance(error, Overtaken | Problem) else Paid(None, ())
