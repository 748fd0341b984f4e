"""The meter: admits a request by throttle, cap and balance in one step, all or none, and accounts for what it cost."""

from collections.abc import Sequence
from functools import partial

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome, due_for
from gateway.admission.snapshot import Account, Plan, Route
from gateway.admission.standing import Standing
from gateway.caps import Caps
from gateway.errors import Problem
from gateway.ledger import records
from gateway.ledger.accounts import due, lapses, taken_over
from gateway.ledger.ledger import Ledger
from gateway.ledger.seat import Seat
from gateway.ledger.tally import Tally
from gateway.ports import Clock
from gateway.quotas import Near, Quotas, read
from gateway.reservation import Reservation, State
from gateway.roster import Roster
from gateway.seats import Seats

HOUSE = Account(id=records.HOUSE, organization=records.HOUSE, plan=Plan("house"), holder=records.HOUSE)
"""Who the gateway's own fetches are for, unlimited."""

# What the book can add to without passing 64 bits, other accounts' tokens included.
_MOST_GRANTED = 2**56

# Seconds that a force refresh is kept for the next start beyond the cap's window: the wall clock may be set meanwhile.
_FORCED_KEPT = 7200.0


class Meter:
    """Admits, charges, reserves and settles, synchronously: await the ledger's `committed` before anything leaves.

    `house` is the account of the gateway's own fetches, unlimited. `tally` counts what the journal has taken.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.house = HOUSE
        self.tally = Tally(free=HOUSE.id)
        self._ledger = ledger
        self._clock = clock
        self._caps = Caps(ledger.forced, clock)
        self._seats = Seats(ledger.accounts, self._caps)
        self._quotas = Quotas(ledger.accounts, self._seats, clock)
        ledger.listen(self.tally.count)

    def configure(self, roster: Roster) -> None:
        """Takes over plans, throttles and caps, as `Seats` does."""
        self._seats.configure(roster)

    def enroll(self, account: Account) -> None:
        """Takes over one account that is new, or that has changed, as `configure` does for all."""
        self._seats.enroll(account)

    def seat(self, account: Account) -> Seat:
        """The account's seat, brought up to its plan. After `configure` and `enroll` it may be another one."""
        seat, wall = self._seats.of(account), self._clock.wall()
        if not seat.current(wall):
            self._renew(seat, wall)
        return seat

    def charge(self, account: Account, route: Route, quote: Quote, outcome: Outcome, request: str = "") -> Charge:
        """Admits and charges a reuse. One that costs more than a plain lookup is an operation with a receipt.

        Raises Problem: throttled, force_refresh_capped, quota_exceeded, quota_exhausted, ledger_unavailable. What is
        refused takes nothing.
        """
        seat = self._seats.of(account)
        wall, now = self._clock.wall(), self._clock.steady()
        tokens = due_for(outcome, quote)
        self._admit(seat, tokens, quote.forced, wall, now)
        if tokens > quote.base:
            undo = None if seat.bucket is None else seat.bucket.give_back
            sale = seat.reserve(self._ledger.next_id(), route, quote.lines, tokens, request, wall)
            self._ledger.post(records.Sale(sale, outcome.name), undo)
            return seat.standing(tokens, now, sale.id)
        self._ledger.count(seat.tab(route, tokens, outcome.name, wall))
        return seat.standing(tokens, now)

    def reserve(self, account: Account, route: Route, quote: Quote, request: str = "") -> Reservation:
        """Admits a fetch and sets its quote's total aside; `request` is its X-Request-Id. Raises as `charge` does."""
        seat = self._seats.of(account)
        wall, now = self._clock.wall(), self._clock.steady()
        self._admit(seat, quote.total, quote.forced, wall, now)
        reserve = seat.reserve(self._ledger.next_id(), route, quote.lines, quote.total, request, wall)
        reservation = Reservation(seat.account, quote, reserve)
        self._ledger.post(reserve, partial(reservation.unadmit, seat.bucket))
        return reservation

    def settle(self, reservation: Reservation, outcome: Outcome) -> Charge:
        """Charges what the outcome costs and gives back the rest. Raises RuntimeError when it has ended already."""
        seat, wall = self._closing(reservation, State.reserved)
        reserve, tokens = reservation.reserve, due_for(outcome, reservation.quote)
        record = records.Settle(reserve, tokens, self._lapses(reserve), outcome.name, wall)
        self._end(reservation, record, State.settled, tokens)
        receipt = reserve.id if tokens and not reserve.plain else None
        return seat.standing(tokens, self._clock.steady(), receipt)

    def release(self, reservation: Reservation, outcome: str) -> Charge:
        """Gives back all that is reserved; `outcome` is a free `Outcome`'s name, or that of a `Problem`'s reason.

        Raises RuntimeError when the operation has ended already.
        """
        seat, wall = self._closing(reservation, State.reserved)
        record = records.Release(reservation.reserve, self._lapses(reservation.reserve), outcome, wall)
        self._end(reservation, record, State.ended, 0)
        return seat.standing(0, self._clock.steady())

    def refund(self, reservation: Reservation, outcome: Outcome) -> Charge:
        """Reverses the charge of a settled operation. Raises RuntimeError for one that is not settled."""
        seat, wall = self._closing(reservation, State.settled)
        reserve = reservation.reserve
        record = records.Refund(reserve, reservation.tokens, self._lapses(reserve), outcome.name, wall)
        self._end(reservation, record, State.ended, 0)
        return seat.standing(0, self._clock.steady())

    def correct(self, account: Account, tokens: int, reason: str) -> tuple[int, int]:
        """Adds tokens to what the account may spend, or takes some back; its balance before and after.

        Raises ValueError, in words for the operator, for an unlimited plan and for more than there is to take back.
        """
        seat, wall = self._seats.of(account), self._clock.wall()
        if seat.unlimited:
            raise ValueError(f"the plan of {account.id} is unlimited: there is no balance to correct")
        self._renew(seat, wall)
        before = seat.balance.balance
        if before + tokens < 0:
            raise ValueError(f"{account.id} has {before} tokens to spend, so {-tokens} cannot be taken back")
        if seat.balance.granted + tokens > _MOST_GRANTED:
            raise ValueError(f"{account.id} would have been granted more tokens than can be counted")
        self._ledger.post(records.Correction(seat.account.holder, tokens, reason, wall))
        return before, before + tokens

    def spend(self, account: Account, route: str, upstream: str, tokens: int) -> None:
        """Records what the vendor charged for one upstream call that the account caused."""
        minute = int(self._clock.wall() // 60)
        self._ledger.post(records.Spend(account.id, account.organization, route, upstream, tokens, minute))

    def repeat(self, account: Account) -> Charge:
        """Admits what costs nothing. Raises Problem(throttled)."""
        seat = self._seats.of(account)
        now = self._clock.steady()
        self._renew(seat, self._clock.wall())
        seat.throttle(now)
        return seat.standing(0, now)

    def standing(self, account: Account) -> Charge:
        """A charge of nothing, which says how the account stands; for refusals."""
        seat = self._seats.of(account)
        self._renew(seat, self._clock.wall())
        return seat.standing(0, self._clock.steady())

    def balance(self, account: Account) -> Standing:
        """How the balance stands that the account spends from, brought up to its plan."""
        seat, now = self._seats.of(account), self._clock.steady()
        self._renew(seat, self._clock.wall())
        return read(seat, now)

    def refusal(self, account: Account, tokens: int, *, forced: bool) -> Problem | None:
        """What an operation of so many tokens would be refused with now, None where it is admitted; takes nothing."""
        seat = self._seats.of(account)
        wall, now = self._clock.wall(), self._clock.steady()
        self._renew(seat, wall)
        try:
            window = seat.admit(tokens, forced, wall, now)
        except Problem as problem:
            return problem
        seat.give_back(window)
        return None

    async def accounts_above(self, percents: Sequence[int]) -> dict[int, int]:
        """How many accounts have used each of `percents` of their present grant, or more: see `Quotas.above`."""
        return await self._quotas.above(percents)

    async def nearest(self, most: int) -> list[Near]:
        """The `most` accounts that have used the largest part of their present grant: see `Quotas.nearest`."""
        return await self._quotas.nearest(most)

    def _admit(self, seat: Seat, tokens: int, forced: bool, wall: float, now: float) -> None:
        if not seat.current(wall):
            self._renew(seat, wall)
        window = seat.admit(tokens, forced, wall, now)
        if window is not None:
            until = wall + window.rate.seconds + _FORCED_KEPT
            forced_now = records.Forced(seat.account.organization, wall, until, *self._clock.uptime())
            self._ledger.post(forced_now, partial(self._caps.undo, seat.account.organization))

    def _renew(self, seat: Seat, wall: float) -> None:
        """Brings the balance up to its plan: grants are made when somebody looks."""
        account = seat.account
        # Whoever has taken the former name keeps what is granted under it.
        if account.former is not None and account.former not in self._seats.roster.accounts:
            self._take_over(account.former, account.holder, wall)
        period = self._seats.roster.calendar.period(account.plan.every, wall)
        for record in due(account.holder, seat.balance, account.plan, period, wall):
            self._ledger.post(record)
        seat.renewed(period)

    def _take_over(self, former: str, holder: str, wall: float) -> None:
        """Moves what the former holder has; what is still reserved there follows once it is given back."""
        accounts = self._ledger.accounts
        balance = accounts.balances.get(former)
        if balance is not None:
            record = taken_over(former, balance, holder, accounts.balance(holder), wall)
            if record is not None:
                self._ledger.post(record)

    def _closing(self, reservation: Reservation, state: State) -> tuple[Seat, float]:
        if reservation.state is not state:
            raise RuntimeError(f"operation {reservation.reserve.id} is {reservation.state.value}, not {state.value}")
        account, wall = reservation.account, self._clock.wall()
        seat = self._seats.of(account)
        if not seat.current(wall):
            self._renew(seat, wall)
        return seat, wall

    def _end(self, reservation: Reservation, record: records.Record, state: State, tokens: int) -> None:
        self._ledger.post(record, partial(reservation.reopen, reservation.state, reservation.tokens))
        reservation.state, reservation.tokens = state, tokens

    def _lapses(self, reserve: records.Reserve) -> bool:
        return lapses(reserve, self._ledger.accounts.balance(reserve.holder))
