"""Balances in memory: the authority on who may spend what. Every record moves tokens between a balance's columns.

One and the same code applies a record live, at replay and into the book; undoing it is applying it minus once.
"""

from typing import assert_never

from gateway.admission.snapshot import Plan
from gateway.ledger.balance import Balance as Balance
from gateway.ledger.periods import Period, carries_over, uncarried
from gateway.ledger.records import (
    BEFORE_ANY,
    Charge,
    Correction,
    Forced,
    Grant,
    Joined,
    Kept,
    Lapse,
    Opening,
    Position,
    Record,
    Refund,
    Release,
    Renamed,
    Reserve,
    Sale,
    Settle,
    Spend,
    Term,
)
from gateway.ledger.totals import Sums as Sums
from gateway.ledger.totals import Totals
from gateway.untracked import untracked

MOST_UNSEEN = 366 * 24
"""Periods that a plan with carry-over grants for at once: a year of hours; no clock that is set wrong grants more."""


class Accounts:
    """All balances by holder, and the reservations still open by their operation's id.

    `balances` is only read; what changes one asks for it by `balance`.
    """

    __slots__ = ("_totals", "balances", "last_id", "open")

    def __init__(self) -> None:
        self._totals = Totals()
        self.balances: dict[str, Balance] = {}
        self.open: dict[int, Reserve] = {}
        self.last_id = 0

    def balance(self, holder: str) -> Balance:
        """The holder's balance, an empty one at first; it stays the same object for good."""
        balance = self.balances.get(holder)
        if balance is None:
            balance = untracked(Balance())
            self.put(holder, balance)
        elif balance.counted:
            self._totals.opened(balance)
        return balance

    def opened(self, balance: Balance) -> None:
        """Says that a balance of these is about to change, where `balance` was not asked for it."""
        self._totals.opened(balance)

    def put(self, holder: str, balance: Balance) -> None:
        """Takes in the balance of a holder that has none here."""
        self.balances[holder] = balance
        self._totals.opened(balance)

    def apply(self, record: Record, times: int = 1) -> None:
        """What `times` such records do; below zero it undoes them, of several the newest first.

        Limits are not looked at: a record says what was decided.
        """
        match record:
            case Charge():
                balance, tokens = self.balance(record.holder), record.tokens * times
                balance.charged += tokens
                if record.unlimited:
                    balance.granted += tokens
                else:
                    balance.balance -= tokens
            case Reserve():
                self._reserve(record, times)
            case Sale():
                self._sell(record.reserve, times)
            case Settle():
                self._close(record.reserve, record.tokens, times, lapses=record.lapses)
            case Release():
                self._close(record.reserve, 0, times, lapses=record.lapses)
            case Refund():
                balance = self.balance(record.reserve.holder)
                balance.charged -= record.tokens * times
                _give(balance, record.reserve, record.tokens * times, lapses=record.lapses)
            case Grant() | Correction() | Lapse() | Renamed() | Opening():
                self._grant(record, times)
            case Forced() | Kept() | Spend() | Joined() | Position():
                pass
            case _:
                assert_never(record)

    def drift(self) -> int:
        """Tokens that the balances and open reservations cannot account for."""
        reserved = self.sums()[2]
        return self._totals.drift() + abs(reserved - sum([reserve.tokens for reserve in self.open.values()]))

    def sums(self) -> Sums:
        """All balances' columns summed up."""
        return self._totals.sums()

    def _grant(self, record: Grant | Correction | Lapse | Renamed | Opening, times: int) -> None:
        balance = self.balance(record.holder)
        match record:
            case Grant():
                balance.granted += record.tokens * times
                balance.balance += record.tokens * times
                balance.term = record.term if times > 0 else record.prior
            case Correction():
                balance.granted += record.tokens * times
                balance.balance += record.tokens * times
            case Lapse():
                balance.balance -= record.tokens * times
                balance.lapsed += record.tokens * times
            case Renamed():
                former = self.balance(record.former)
                _move(former, record, -times)
                _move(balance, record, times)
                balance.term = record.term if times > 0 else record.prior
                former.term = BEFORE_ANY if times > 0 else record.was
            case Opening():
                _move(balance, record, times)
                balance.term = record.term if times > 0 else BEFORE_ANY
            case _:
                assert_never(record)

    def _sell(self, reserve: Reserve, times: int) -> None:
        balance, tokens = self.balance(reserve.holder), reserve.tokens * times
        balance.charged += tokens
        if reserve.period is None:
            balance.granted += tokens
        else:
            balance.balance -= tokens
        self.last_id = max(self.last_id, reserve.id)

    def _reserve(self, reserve: Reserve, times: int) -> None:
        balance, tokens = self.balance(reserve.holder), reserve.tokens * times
        balance.reserved += tokens
        if reserve.period is None:
            balance.granted += tokens
        else:
            balance.balance -= tokens
        if times > 0:
            self.open[reserve.id] = reserve
            self.last_id = max(self.last_id, reserve.id)
        else:
            del self.open[reserve.id]

    def _close(self, reserve: Reserve, tokens: int, times: int, *, lapses: bool) -> None:
        balance = self.balance(reserve.holder)
        balance.reserved -= reserve.tokens * times
        balance.charged += tokens * times
        _give(balance, reserve, (reserve.tokens - tokens) * times, lapses=lapses)
        if times > 0:
            self.open.pop(reserve.id, None)
        else:
            self.open[reserve.id] = reserve


def _move(balance: Balance, moved: Renamed | Opening, times: int) -> None:
    balance.granted += moved.granted * times
    balance.charged += moved.charged * times
    balance.lapsed += moved.lapsed * times
    balance.balance += moved.balance * times


def _give(balance: Balance, reserve: Reserve, tokens: int, *, lapses: bool) -> None:
    if reserve.period is None:
        balance.granted -= tokens
    elif lapses:
        balance.lapsed += tokens
    else:
        balance.balance += tokens


def due(holder: str, balance: Balance, plan: Plan, period: Period, at: float) -> tuple[Grant | Lapse, ...]:
    """The records that bring a balance up to its plan in `period`, the one that the wall clock `at` is in.

    A new period lapses the rest and grants anew. With carry-over nothing lapses, and periods that went by unseen are
    granted as well. One that the balance has left already grants nothing, so that a clock set back cannot grant twice.
    In the same period a raised plan grants the difference at once; a lowered one waits.
    """
    term = balance.term
    if plan.grant is None:
        return ()
    if period.id > term.period:
        tokens = plan.grant * _begun(plan, period, term)
        grant = Grant(holder, tokens, untracked(Term(_term_id(plan, period), plan.grant)), term, at)
        lapsed = 0 if plan.carry_over else balance.balance
        return (Lapse(holder, lapsed, at), grant) if lapsed else (grant,)
    # Of a plan that carries over from now on, the term says so: with the next grant it would be too late.
    present = _term_id(plan, period) if period.id == term.period else term.period
    raised = Term(present, max(plan.grant, term.given))
    return (Grant(holder, raised.given - term.given, untracked(raised), term, at),) if raised != term else ()


def _begun(plan: Plan, period: Period, term: Term) -> int:
    """How many periods the plan owes a grant for."""
    return max(1, min(period.since(term.period), MOST_UNSEEN)) if plan.carry_over else 1


def _term_id(plan: Plan, period: Period) -> int:
    return period.carried if plan.carry_over else period.id


def lapses(reserve: Reserve, balance: Balance) -> bool:
    """Whether what `reserve` gives back lapses: the period it was granted for is over, and carries nothing over."""
    period = reserve.period
    return period is not None and not carries_over(period) and period < uncarried(balance.term.period)


def taken_over(former: str, old: Balance, holder: str, new: Balance, at: float) -> Renamed | None:
    """The record by which `holder` takes over all that `former` has free; None where that is nothing."""
    if not (old.charged or old.lapsed or old.balance) and old.term == BEFORE_ANY:
        return None
    granted, term = old.charged + old.lapsed + old.balance, max(old.term, new.term)
    return Renamed(former, holder, granted, old.charged, old.lapsed, old.balance, term, old.term, new.term, at)
