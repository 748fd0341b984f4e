"""What the fast lane asks of the till: many equal plain charges as one item, answered by a call."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from gateway.admission.snapshot import Account
from gateway.errors import Overtaken, Problem
from gateway.till.measure import State
from gateway.till.place import Place
from gateway.till.tab import Tab


class Paid(NamedTuple):
    """The first `len(states)` of those asked for are charged, in order; `states` has the throttle after each.

    `remaining` is what the last one leaves (None: unlimited); what is refused, the full lane says why.
    """

    remaining: int | None
    states: Sequence[State]


Verdict = Paid | Overtaken | Problem
"""Overtaken: nothing was charged, decide again. Problem: nothing was charged, and Redis does not answer."""


class Till(Protocol):
    """The meter as the fast lane knows it."""

    def seat(self, account: Account) -> Place:
        """The account's place, if it is known and up to date: `tab`, `limits`, `current(wall)`.

        Raises Problem(ledger_unavailable) where the full lane has to look first.
        """

    def pay(self, tab: Tab, times: int, done: Callable[[Verdict], None]) -> None:
        """Charge `times` plain hits of `tab` with the call that `flush` sends; `done` is called once, must not raise.

        Nothing is to leave before. Never calls `done` at once.
        """

    def check(self, done: Callable[[Verdict], None]) -> None:
        """For hits that cost nothing: the version check alone, with this turn's call; charges nothing."""

    def flush(self) -> None:
        """This turn pays no more: have all of it go."""
