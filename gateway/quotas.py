"""How much of their present grants all accounts have used: read some at a time, and nothing is granted in passing."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from gateway.admission.snapshot import Account, Every
from gateway.admission.standing import Standing
from gateway.ledger.accounts import Accounts, Balance
from gateway.ledger.seat import Seat
from gateway.ports import Clock
from gateway.seats import Seats

# Accounts that are read before requests get their turn: half a millisecond.
_SLICE = 500


class Near(NamedTuple):
    """An account, how much of its present grant is used, 1.0 for all of it, and how it stands."""

    account: Account
    used: float
    standing: Standing


class Quotas:
    """Reads the balances of all who have a grant in the present period: who has none yet has used nothing.

    What is used is what the grant has beyond what remains, reservations included in what remains. Tokens that an
    operator adds, and what is carried over, make it less; a prepaid grant is a grant like any other.
    """

    def __init__(self, accounts: Accounts, seats: Seats, clock: Clock) -> None:
        self._accounts = accounts
        self._seats = seats
        self._clock = clock

    async def above(self, percents: Sequence[int]) -> dict[int, int]:
        """How many accounts have used each of `percents` of their present grant, or more; others go on meanwhile."""
        above = dict.fromkeys(percents, 0)
        for some in self._slices():
            for _, balance in some:
                given = balance.term.given
                used = 100 * (given - balance.remaining)
                for percent in percents:
                    above[percent] += used >= percent * given
            await asyncio.sleep(0)
        return above

    async def nearest(self, most: int) -> list[Near]:
        """The `most` that have used the largest part, it first; who has used nothing is not among them.

        A balance that several accounts spend from is there once, with the first of them. Others go on meanwhile.
        """
        found: dict[str, tuple[float, Account]] = {}
        least = 0.0
        for some in self._slices():
            for account, balance in some:
                if balance.remaining < (1.0 - least) * balance.term.given and account.holder not in found:
                    found[account.holder] = _used(balance), account
            if len(found) > most:
                found = dict(sorted(found.items(), key=lambda one: one[1][0], reverse=True)[:most])
                least = min([used for used, _ in found.values()])
            await asyncio.sleep(0)
        near = [self._near(account) for _, account in found.values()]
        return sorted([one for one in near if one.used > 0], key=lambda one: one.used, reverse=True)

    def _slices(self) -> Iterator[list[tuple[Account, Balance]]]:
        roster, wall, balances = self._seats.roster, self._clock.wall(), self._accounts.balances
        present = {every: roster.calendar.period(every, wall).id for every in Every}
        accounts = list(roster.accounts.values())
        for start in range(0, len(accounts), _SLICE):
            yield [
                (account, balance)
                for account in accounts[start : start + _SLICE]
                if (plan := account.plan).grant is not None
                and (balance := balances.get(account.holder)) is not None
                and balance.term.period >= present[plan.every]
            ]

    def _near(self, account: Account) -> Near:
        seat = self._seats.of(account)
        standing = read(seat, self._clock.steady())
        # The seat knows its period only once it has been brought up to its plan.
        period = self._seats.roster.calendar.period(seat.account.plan.every, self._clock.wall())
        limits = replace(standing.limits, quota=standing.granted, window=period.seconds, renews_at=period.end)
        return Near(seat.account, _used(seat.balance), replace(standing, limits=limits))


def read(seat: Seat, now: float) -> Standing:
    """How the balance stands that the seat's account spends from, as it is at `now` (steady seconds)."""
    balance, left = seat.balance, None if seat.window is None else seat.window.room(now)
    free, given = (None, None) if seat.unlimited else (balance.balance, balance.term.given)
    return Standing(free, balance.reserved, balance.charged, given, left, seat.standing(0, now))


def _used(balance: Balance) -> float:
    given = balance.term.given
    return (given - balance.remaining) / given if given else 0.0
