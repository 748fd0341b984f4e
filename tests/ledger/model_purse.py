"""One holder's tokens, and what a plan or an operation does to them, in plain Python: not the code under test."""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from gateway.admission.charge import Quote
from gateway.admission.snapshot import Every, Plan

PAID: dict[str, Literal["total", "plain", "nothing"]] = {
    "hit": "plain",
    "stale": "plain",
    "stale_if_error": "plain",
    "cooldown": "plain",
    "miss": "plain",
    "validated": "plain",
    "collapsed": "plain",
    "passed": "plain",
    "refreshed": "total",
    "undelivered": "plain",
    "uncharged": "nothing",
    "unproven": "nothing",
    "test": "nothing",
    "truncated": "nothing",
    "repriced": "nothing",
    "abandoned": "nothing",
}


CARRIES = {Every.never: 0, Every.hour: 1, Every.day: 2, Every.month: 3}
LONGEST = {Every.never: 0, Every.hour: 3600, Every.day: 86_400, Every.month: 31 * 86_400}


def price(outcome: str, quote: Quote) -> int:
    """What an operation costs that ends so."""
    parts = [tokens for name, tokens in quote.lines if name != "force_refresh" or PAID[outcome] == "total"]
    return 0 if PAID[outcome] == "nothing" else sum(parts)


class Term(NamedTuple):
    """The latest period with a grant: its start, its kind where it carries over (one of `CARRIES`), what it granted."""

    start: int = -1
    carries: int = 0
    given: int = 0


class Purse(NamedTuple):
    """One holder's columns."""

    granted: int = 0
    charged: int = 0
    reserved: int = 0
    lapsed: int = 0
    balance: int = 0
    term: Term = Term()

    def take(self, tokens: int, *, unlimited: bool) -> "Purse":
        """`tokens` go from what is there to spend; unlimited: they are granted for that."""
        if unlimited:
            return self._replace(granted=self.granted + tokens)
        return self._replace(balance=self.balance - tokens)

    def give(self, tokens: int, origin: Term | None) -> "Purse":
        """`tokens` come back that were taken in the term `origin` (None: unlimited)."""
        if origin is None:
            return self._replace(granted=self.granted - tokens)
        if origin.start < self.term.start and not origin.carries:
            return self._replace(lapsed=self.lapsed + tokens)
        return self._replace(balance=self.balance + tokens)


def renewed(purse: Purse, plan: Plan, wall: float) -> Purse:
    """A balance as its plan has it at `wall`: a later period grants anew, in the same one only a raise does."""
    if plan.grant is None:
        return purse
    start, term = period_start(plan.every, wall), purse.term
    carries = CARRIES[plan.every] if plan.carry_over else 0
    if start > term.start:
        lapsed = 0 if plan.carry_over else purse.balance
        unseen = carries and carries == term.carries
        tokens = plan.grant * (periods(plan.every, term.start, start) if unseen else 1)
        term = Term(start, carries, plan.grant)
    else:
        lapsed, tokens = 0, max(0, plan.grant - term.given)
        term = term._replace(given=max(plan.grant, term.given))
        if start == term.start and not term.carries:
            term = term._replace(carries=carries)
    balance = purse.balance - lapsed + tokens
    return purse._replace(granted=purse.granted + tokens, lapsed=purse.lapsed + lapsed, balance=balance, term=term)


def periods(every: Every, start: int, end: int) -> int:
    """How many begin after `start`, which is one's beginning, up to `end`."""
    count = 0
    while start < end:
        start = period_start(every, start + LONGEST[every])
        count += 1
    return count


def period_start(every: Every, wall: float) -> int:
    """When the period of `wall` began, in UTC; prepaid is one from the epoch on."""
    now = datetime.fromtimestamp(wall, UTC)
    day = timedelta(hours=now.hour, minutes=now.minute, seconds=now.second, microseconds=now.microsecond)
    starts = {
        Every.never: datetime.fromtimestamp(0, UTC),
        Every.hour: now.replace(minute=0, second=0, microsecond=0),
        Every.day: now - day,
        Every.month: (now - day).replace(day=1),
    }
    return round(starts[every].timestamp())
