"""Sums over all balances, kept so that nobody has to read them all: only what may have changed since is read anew."""

from collections import deque

from gateway.ledger.balance import Balance

MOST = 4096
"""Balances that are read anew at a time; the longest unchanged of more are counted."""

Sums = tuple[int, int, int, int, int]
"""granted, charged, reserved, lapsed and balance over all holders."""


class Totals:
    """A balance is `opened` before it changes; from then on, until it is counted, it is read each time.

    One that drifts is never counted. What changes without being opened is so found when it is opened next.
    """

    __slots__ = ("_balance", "_changed", "_charged", "_granted", "_lapsed", "_reserved")

    def __init__(self) -> None:
        self._changed = deque[Balance]()
        self._granted = self._charged = self._reserved = self._lapsed = self._balance = 0

    def opened(self, balance: Balance) -> None:
        """Takes out a balance that was counted, or takes in a new one."""
        if balance.counted:
            balance.counted = False
            self._add(balance, -1)
        self._changed.append(balance)
        if len(self._changed) > MOST:
            self._count(self._changed.popleft())

    def sums(self) -> Sums:
        """All balances' columns summed up."""
        self._count_all()
        for balance in self._changed:
            self._add(balance, 1)
        sums = self._granted, self._charged, self._reserved, self._lapsed, self._balance
        for balance in self._changed:
            self._add(balance, -1)
        return sums

    def drift(self) -> int:
        """Tokens that the balances cannot account for, each for itself."""
        self._count_all()
        return sum([balance.drift for balance in self._changed])

    def _count_all(self) -> None:
        for _ in range(len(self._changed)):
            self._count(self._changed.popleft())

    def _count(self, balance: Balance) -> None:
        if balance.drift:
            self._changed.append(balance)
        else:
            balance.counted = True
            self._add(balance, 1)

    def _add(self, balance: Balance, times: int) -> None:
        self._granted += balance.granted * times
        self._charged += balance.charged * times
        self._reserved += balance.reserved * times
        self._lapsed += balance.lapsed * times
        self._balance += balance.balance * times
