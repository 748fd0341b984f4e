"""The meter: admits a request by throttle, cap and balance in one step, all or none, and accounts for what it cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from gateway.admission.charge import Charge, Quote
from gateway.admission.snapshot import Account, Plan, Rate, Snapshot
from gateway.admission.throttle import SlidingWindow, TokenBucket
from gateway.ledger import records
from gateway.ledger.accounts import due, lapses
from gateway.ledger.ledger import Ledger
from gateway.ledger.periods import Calendar
from gateway.ledger.seat import Seat
from gateway.ledger.tally import Tally
from gateway.ports import Clock

HOUSE = Account(id="gateway:house", organization="gateway:house", plan=Plan("house"), holder="gateway:house")
"""Who the gateway's own fetches are for, unlimited; the colon keeps it apart from every configured name."""

_FORCED_KEPT = 120.0


class State(Enum):
    """How far an operation's reservation has come; a `void` one was never written to the journal."""

    reserved = "reserved"
    settled = "settled"
    ended = "ended"
    void = "void"


@dataclass(slots=True, eq=False)
class Reservation:
    """An admitted operation. When the journal does not take its end, `state` goes back, and it is to be ended again."""

    account: Account
    reserve: records.Reserve
    state: State = State.reserved
    tokens: int = 0


class Meter:
    """Admits, charges, reserves and settles, synchronously: await the ledger's `committed` before anything leaves.

    `house` is the account of the gateway's own fetches, unlimited. `tally` counts what the journal has taken.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.house = HOUSE
        self.tally = Tally(free=HOUSE.id)
        self._ledger = ledger
        self._clock = clock
        self._calendar = Calendar("UTC")
        self._accounts: dict[str, Account] = {}
        self._caps: dict[str, Rate | None] = {}
        self._seats: dict[str, Seat] = {}
        self._windows: dict[str, SlidingWindow] = {}
        ledger.listen(self.tally.count)

    def configure(self, snapshot: Snapshot) -> None:
        """Takes over plans, throttles and caps; a throttle goes on as it is unless its own setting changed.

        A cap that changed still counts what the former one has admitted.
        """
        self._calendar = Calendar(snapshot.timezone)
        self._accounts = {account.id: account for account in snapshot.keys.values()}
        self._caps = {account.organization: account.force_refresh_cap for account in self._accounts.values()}
        for organization, window in self._windows.items():
            cap = self._caps.get(organization)
            if cap is not None and cap != window.rate:
                self._windows[organization] = _restored(cap, window.times)
        seats, self._seats = self._seats, {}
        for name in seats.keys() & self._accounts.keys():
            self._sit(self._accounts[name], seats[name].bucket)

    def charge(self, account: Account, route: str, quote: Quote, charged: bool) -> Charge:
        """Admits and charges a reuse: the quote's plain price, or 0 unless `charged`.

        Raises Problem: throttled, force_refresh_capped, quota_exceeded, quota_exhausted, ledger_unavailable. What is
        refused takes nothing.
        """
        seat = self._seats.get(account.id) or self._sit(account)
        wall, now = self._clock.wall(), self._clock.steady()
        tokens = quote.plain if charged else 0
        self._admit(seat, tokens, quote.forced, wall, now)
        bucket = seat.bucket
        self._ledger.post(seat.charge(route, quote, tokens, wall), None if bucket is None else bucket.give_back)
        return seat.standing(tokens, now)

    def reserve(self, account: Account, route: str, quote: Quote) -> Reservation:
        """Admits a fetch and sets its quote's total aside. Raises as `charge` does."""
        seat = self._seats.get(account.id) or self._sit(account)
        wall, now = self._clock.wall(), self._clock.steady()
        self._admit(seat, quote.total, quote.forced, wall, now)
        account = seat.account
        reserve = records.Reserve(
            id=self._ledger.next_id(),
            account=account.id,
            holder=account.holder,
            organization=account.organization,
            route=route,
            period=None if seat.unlimited else seat.balance.term.period,
            tokens=quote.total,
            lines=quote.lines,
            at=wall,
        )
        reservation = Reservation(account, reserve)
        self._ledger.post(reserve, partial(_unadmit, reservation, seat.bucket))
        return reservation

    def settle(self, reservation: Reservation, tokens: int, outcome: str) -> Charge:
        """Charges `tokens` of what is reserved and gives back the rest.

        Raises ValueError for more than is reserved, RuntimeError when the operation has ended already.
        """
        reserve = reservation.reserve
        if not 0 <= tokens <= reserve.tokens:
            raise ValueError(f"operation {reserve.id} has reserved {reserve.tokens} tokens, not {tokens}")
        seat, wall = self._closing(reservation, State.reserved)
        record = records.Settle(reserve, tokens, self._lapses(reserve), outcome, wall)
        self._end(reservation, record, State.settled, tokens)
        return seat.standing(tokens, self._clock.steady())

    def release(self, reservation: Reservation, outcome: str) -> Charge:
        """Gives back all that is reserved. Raises RuntimeError when the operation has ended already."""
        seat, wall = self._closing(reservation, State.reserved)
        record = records.Release(reservation.reserve, self._lapses(reservation.reserve), outcome, wall)
        self._end(reservation, record, State.ended, 0)
        return seat.standing(0, self._clock.steady())

    def refund(self, reservation: Reservation, outcome: str) -> Charge:
        """Reverses the charge of a settled operation. Raises RuntimeError for one that is not settled."""
        seat, wall = self._closing(reservation, State.settled)
        reserve = reservation.reserve
        record = records.Refund(reserve, reservation.tokens, self._lapses(reserve), outcome, wall)
        self._end(reservation, record, State.ended, 0)
        return seat.standing(0, self._clock.steady())

    def standing(self, account: Account) -> Charge:
        """How an account stands, without charging it; for refusals."""
        seat = self._seats.get(account.id) or self._sit(account)
        self._renew(seat, self._clock.wall())
        return seat.standing(0, self._clock.steady())

    def accounts_above(self, percent: int) -> int:
        """How many accounts have used `percent` of their present grant, or more. Reads every account."""
        wall = self._clock.wall()
        return sum(self._above(account, percent, wall) for account in self._accounts.values())

    def _above(self, account: Account, percent: int, wall: float) -> bool:
        plan, balance = account.plan, self._ledger.accounts.balances.get(account.holder)
        if plan.grant is None or balance is None:
            return False
        period, given = balance.term
        present = self._calendar.period(plan.every, wall).id <= period
        return present and 100 * (given - balance.remaining) >= percent * given

    def _admit(self, seat: Seat, tokens: int, forced: bool, wall: float, now: float) -> None:
        if wall >= seat.until or seat.term is not seat.balance.term:
            self._renew(seat, wall)
        window = seat.admit(tokens, forced, wall, now)
        if window is not None:
            until = wall + max(window.rate.seconds, _FORCED_KEPT)
            self._ledger.post(records.Forced(seat.account.organization, wall, until), window.undo)

    def _renew(self, seat: Seat, wall: float) -> None:
        """Brings the balance up to its plan: grants are made when somebody looks."""
        account = seat.account
        period = self._calendar.period(account.plan.every, wall)
        for record in due(account.holder, seat.balance, account.plan, period):
            self._ledger.post(record)
        seat.renewed(period)

    def _closing(self, reservation: Reservation, state: State) -> tuple[Seat, float]:
        if reservation.state is not state:
            raise RuntimeError(f"operation {reservation.reserve.id} is {reservation.state.value}, not {state.value}")
        account, wall = reservation.account, self._clock.wall()
        seat = self._seats.get(account.id) or self._sit(account)
        self._renew(seat, wall)
        return seat, wall

    def _end(self, reservation: Reservation, record: records.Record, state: State, tokens: int) -> None:
        self._ledger.post(record, partial(_reopen, reservation, reservation.state, reservation.tokens))
        reservation.state, reservation.tokens = state, tokens

    def _lapses(self, reserve: records.Reserve) -> bool:
        return lapses(reserve, self._ledger.accounts.balance(reserve.holder))

    def _sit(self, account: Account, bucket: TokenBucket | None = None) -> Seat:
        """A seat by the present config; by the request's own for an account that is configured no more."""
        account = self._accounts.get(account.id, account)
        policy = account.plan.throttle
        if bucket is None or bucket.policy != policy:
            bucket = TokenBucket(policy) if policy is not None else None
        balance = self._ledger.accounts.balance(account.holder)
        seat = self._seats[account.id] = Seat(account, balance, bucket, self._window(account))
        return seat

    def _window(self, account: Account) -> SlidingWindow | None:
        """The organization's one window. Its rate is the present config's, whichever config `account` is from."""
        organization = account.organization
        cap = self._caps.get(organization, account.force_refresh_cap)
        if cap is None:
            return None
        window = self._windows.get(organization)
        if window is None:
            wall, now = self._clock.wall(), self._clock.steady()
            forced = (record.at for record in self._ledger.forced if record.organization == organization)
            window = self._windows[organization] = _restored(cap, (now - max(0.0, wall - at) for at in forced))
        return window


def _restored(cap: Rate, times: Iterable[float]) -> SlidingWindow:
    window = SlidingWindow(cap)
    window.restore(times)
    return window


def _unadmit(reservation: Reservation, bucket: TokenBucket | None) -> None:
    reservation.state = State.void
    if bucket is not None:
        bucket.give_back()


def _reopen(reservation: Reservation, state: State, tokens: int) -> None:
    reservation.state, reservation.tokens = state, tokens
