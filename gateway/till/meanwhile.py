"""The till of a fleet that goes on while Redis does not answer: what is reused is charged here, and there after.

Only plain reuses of what is fresh, by accounts that this process has seen: up to what remained to them when Redis was
last heard, and as fast as their throttles allow. Everything else is refused, as there is nobody to ask.
"""

import asyncio
from collections.abc import Callable, Sequence

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome, due_for
from gateway.admission.snapshot import Account, Route
from gateway.admission.throttle import TokenBucket
from gateway.errors import Problem, Reason
from gateway.fleet.call import unavailable
from gateway.fleet.connection import Connection
from gateway.metering import Keep
from gateway.ports import Clock
from gateway.till.deferring import Deferring
from gateway.till.measure import UNTHROTTLED, State
from gateway.till.meter import RedisMeter
from gateway.till.paying import Paid, Verdict
from gateway.till.place import Place
from gateway.till.tab import Tab


class Meanwhile:
    """`metering.Metering` and `paying.Till` over a meter of the fleet; the contract of the methods is there."""

    def __init__(self, meter: RedisMeter, deferring: Deferring, connection: Connection, clock: Clock) -> None:
        self._meter = meter
        self._deferring = deferring
        self._connection = connection
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}
        connection.listen(self._changed)
        self.house, self.tally = meter.house, meter.tally
        self.configure, self.enroll, self.seat, self.check = meter.configure, meter.enroll, meter.seat, meter.check
        self.reserve, self.settle, self.release, self.refund = meter.reserve, meter.settle, meter.release, meter.refund
        self.correct, self.spend, self.repeat, self.verify = meter.correct, meter.spend, meter.repeat, meter.verify
        self.balance, self.refusal, self.flush = meter.balance, meter.refusal, meter.flush
        self.accounts_above, self.nearest = meter.accounts_above, meter.nearest

    def pay(self, tab: Tab, times: int, done: Callable[[Verdict], None]) -> None:
        """Charge plain hits with the call that is flushed next, or in this turn's group."""
        if self._connection.up:
            self._meter.pay(tab, times, done)
        elif tab.place.holder.left is None:
            asyncio.get_running_loop().call_soon(done, unavailable())
        else:
            self._defer(tab, times, done)

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
        if self._connection.up:
            try:
                return await self._meter.charge(account, route, quote, outcome, request, keep)
            except Problem as problem:
                if problem.reason is not Reason.ledger_unavailable or self._connection.up:
                    raise
        place, tokens = self._meter.known(account), due_for(outcome, quote)
        plain = outcome is Outcome.hit and tokens <= quote.base and not quote.forced and keep is None
        if place is None or not plain:
            raise unavailable()
        return await self._charge(place, place.tab(route, tokens, outcome.name, self._clock.wall()))

    async def standing(self, account: Account) -> Charge:
        """How the account stands, as far as is known."""
        place = None if self._connection.up else self._meter.known(account)
        return await self._meter.standing(account) if place is None else self._told(place, 0, self._state(place))

    async def _charge(self, place: Place, tab: Tab) -> Charge:
        waiter: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        # Who has gone is charged all the same: that is in the journal.
        self._defer(tab, 1, lambda verdict: None if waiter.done() else waiter.set_result(verdict))
        verdict = await waiter
        if not isinstance(verdict, Paid):
            raise verdict
        if not verdict.states:
            raise self._refusal(place, tab.tokens)
        return self._told(place, tab.tokens, verdict.states[0], verdict.remaining)

    def _defer(self, tab: Tab, times: int, done: Callable[[Verdict], None]) -> None:
        states = self._take(tab, times)
        number, holder = len(states), tab.place.holder
        if not number:
            asyncio.get_running_loop().call_soon(done, Paid(None, ()))
            return
        remaining = None if tab.unlimited else holder.left

        def written(problem: Problem | None) -> None:
            if problem is None:
                self._meter.tally.count(tab.record, number)
                done(Paid(remaining, states))
            else:
                self._give_back(tab, number)
                done(problem)

        self._deferring.charge(tab, number, written)

    def _take(self, tab: Tab, times: int) -> Sequence[State]:
        """Takes throttle and tokens of as many as there are both for; the throttle's state after each."""
        place, holder = tab.place, tab.place.holder
        left = holder.left or 0
        if not tab.unlimited and tab.tokens:
            times = min(times, left // tab.tokens)
        bucket = self._bucket(place)
        states = [UNTHROTTLED] * times if bucket is None else bucket.spend(self._clock.steady(), times)
        if not tab.unlimited:
            holder.left = left - len(states) * tab.tokens
        return states

    def _give_back(self, tab: Tab, times: int) -> None:
        holder, bucket = tab.place.holder, self._bucket(tab.place)
        if not tab.unlimited:
            holder.left = (holder.left or 0) + times * tab.tokens
        if bucket is not None:
            bucket.give_back(times)

    def _refusal(self, place: Place, tokens: int) -> Problem:
        """Why not even one charge was admitted."""
        bucket, now = self._bucket(place), self._clock.steady()
        if not place.unlimited and (place.holder.left or 0) < tokens:
            return place.used_up(self._clock.wall())
        return unavailable() if bucket is None else Problem(Reason.throttled, retry_after=bucket.wait(now))

    def _told(self, place: Place, tokens: int, state: State, remaining: int | None = None) -> Charge:
        charge = place.told(tokens, place.holder.left or 0 if remaining is None else remaining, 0)
        charge.throttle_remaining, charge.throttle_reset = state
        return charge

    def _state(self, place: Place) -> State:
        bucket = self._bucket(place)
        return UNTHROTTLED if bucket is None else bucket.state(self._clock.steady())

    def _bucket(self, place: Place) -> TokenBucket | None:
        """The account's throttle as long as Redis is away, full at first."""
        policy = place.account.plan.throttle
        if policy is None:
            return None
        bucket = self._buckets.get(place.account.id)
        if bucket is None or bucket.policy != policy:
            bucket = self._buckets[place.account.id] = TokenBucket(policy)
        return bucket

    def _changed(self, up: bool) -> None:
        if up:
            self._buckets.clear()
