"""Balances in memory: the authority on who may spend what. Every record moves tokens between a balance's columns.

One and the same code applies a record live, at replay and into the book; undoing it is applying it minus once.
"""

from dataclasses import dataclass
from typing import assert_never

from gateway.admission.snapshot import Plan
from gateway.ledger.periods import Period
from gateway.ledger.records import (
    BEFORE_ANY,
    Charge,
    Forced,
    Grant,
    Lapse,
    Record,
    Refund,
    Release,
    Reserve,
    Settle,
    Term,
)


@dataclass(slots=True)
class Balance:
    """Tokens of one holder since its first grant; granted = balance + charged + reserved + lapsed, always.

    Tokens of an unlimited plan are granted as they are spent and never stand in `balance`.
    """

    granted: int = 0
    charged: int = 0
    reserved: int = 0
    lapsed: int = 0
    balance: int = 0
    term: Term = BEFORE_ANY

    @property
    def remaining(self) -> int:
        """What the holder has left when everything reserved is given back: granted - lapsed - charged."""
        return self.balance + self.reserved

    @property
    def drift(self) -> int:
        """Tokens that the columns cannot account for, and those overspent; 0 in a sound ledger."""
        sum_ = self.balance + self.charged + self.reserved + self.lapsed
        return abs(self.granted - sum_) + max(0, -self.balance) + max(0, -self.reserved)


Sums = tuple[int, int, int, int, int]
"""granted, charged, reserved, lapsed and balance over all holders."""


class Accounts:
    """All balances by holder, and the reservations still open by their operation's id."""

    __slots__ = ("balances", "last_id", "open")

    def __init__(self) -> None:
        self.balances: dict[str, Balance] = {}
        self.open: dict[int, Reserve] = {}
        self.last_id = 0

    def balance(self, holder: str) -> Balance:
        """The holder's balance, an empty one at first; it stays the same object for good."""
        return self.balances.get(holder) or self.balances.setdefault(holder, Balance())

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
            case Settle():
                self._close(record.reserve, record.tokens, times, lapses=record.lapses)
            case Release():
                self._close(record.reserve, 0, times, lapses=record.lapses)
            case Refund():
                balance = self.balance(record.reserve.holder)
                balance.charged -= record.tokens * times
                _give(balance, record.reserve, record.tokens * times, lapses=record.lapses)
            case Grant():
                balance = self.balance(record.holder)
                balance.granted += record.tokens * times
                balance.balance += record.tokens * times
                balance.term = record.term if times > 0 else record.prior
            case Lapse():
                balance = self.balance(record.holder)
                balance.balance -= record.tokens * times
                balance.lapsed += record.tokens * times
            case Forced():
                pass
            case _:
                assert_never(record)

    def drift(self) -> int:
        """Tokens that the balances and open reservations cannot account for."""
        reserved = sum(balance.reserved for balance in self.balances.values())
        open_ = sum(reserve.tokens for reserve in self.open.values())
        return sum(balance.drift for balance in self.balances.values()) + abs(reserved - open_)

    def sums(self) -> Sums:
        """All balances' columns summed up."""
        balances = self.balances.values()
        return (
            sum(b.granted for b in balances),
            sum(b.charged for b in balances),
            sum(b.reserved for b in balances),
            sum(b.lapsed for b in balances),
            sum(b.balance for b in balances),
        )

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


def _give(balance: Balance, reserve: Reserve, tokens: int, *, lapses: bool) -> None:
    if reserve.period is None:
        balance.granted -= tokens
    elif lapses:
        balance.lapsed += tokens
    else:
        balance.balance += tokens


def due(holder: str, balance: Balance, plan: Plan, period: Period) -> tuple[Grant | Lapse, ...]:
    """The records that bring a balance up to its plan in `period`, the one that the wall clock is in.

    A new period lapses the rest and grants anew; one that the balance has left already grants nothing, so that a clock
    set back cannot grant twice. In the same period a raised plan grants the difference at once; a lowered one waits.
    """
    term = balance.term
    if plan.grant is None:
        return ()
    if period.id > term.period:
        grant = Grant(holder, plan.grant, Term(period.id, plan.grant), term)
        return (Lapse(holder, balance.balance), grant) if balance.balance else (grant,)
    if plan.grant > term.given:
        return (Grant(holder, plan.grant - term.given, Term(term.period, plan.grant), term),)
    return ()


def lapses(reserve: Reserve, balance: Balance) -> bool:
    """Whether what `reserve` gives back lapses: the period it was granted for is over."""
    return reserve.period is not None and reserve.period < balance.term.period
