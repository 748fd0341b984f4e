"""The fast lane's cashier in a fleet: all that a turn charges is one question to the till."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import assert_never, cast

from gateway.admission.charge import Quote
from gateway.errors import Overtaken, Problem
from gateway.fastlane.cashier import Ended
from gateway.fastlane.run import Run
from gateway.fastlane.turn import Turn
from gateway.fastlane.who import Tab
from gateway.till import tab as tabs
from gateway.till.paying import Paid, Till, Verdict


class Asking:
    """`cashier.Cashier` over a till. Who asks the till for a charge that it refuses goes the full lane, which says why.

    What costs nothing goes out while the till does not answer.
    """

    def __init__(self, till: Till) -> None:
        self.seat = till.seat
        self._till = till
        self._question = _Question()
        self._free: list[Run] = []

    def pay(self, turn: Turn, run: Run, tab: Tab) -> int:
        """All of them, as far as this process can tell; none where the key may not be the account's any more."""
        # Whoever is learnt by the places of a till is charged on their tabs.
        asked = cast("tabs.Tab", tab)
        if not asked.place.current(turn.wall):
            return 0
        self._till.pay(asked, len(run.clients), self._question.asked(partial(_charged, run)))
        return len(run.clients)

    def sell(self, _: Turn, __: Run, ___: Quote) -> bool:
        """No: its record is the full lane's to write."""
        return False

    def give(self, run: Run) -> None:
        """Only where no other node has outdated it, which is asked once for all of a turn."""
        if not self._free:
            self._till.check(self._question.asked(partial(_given, self._free)))
        self._free.append(run)

    def end(self, ended: Ended) -> None:
        """With this turn's call."""
        question, self._question, self._free = self._question, _Question(), []
        question.end(ended)
        self._till.flush()


class _Question:
    """What one turn has asked; it ends once all of it is answered."""

    def __init__(self) -> None:
        self._open = 1
        self._ended: Ended | None = None

    def asked(self, answered: Callable[[Verdict], None]) -> Callable[[Verdict], None]:
        """What is to be called with the verdict that `answered` is to have."""
        self._open += 1
        return partial(self._answered, answered)

    def end(self, ended: Ended) -> None:
        """Nothing more is asked."""
        self._ended = ended
        self._one_less()

    def _answered(self, answered: Callable[[Verdict], None], verdict: Verdict) -> None:
        answered(verdict)
        self._one_less()

    def _one_less(self) -> None:
        self._open -= 1
        if not self._open and self._ended is not None:
            self._ended(None)


def _charged(run: Run, verdict: Verdict) -> None:
    match verdict:
        case Paid(remaining, states):
            _keep(run, len(states))
            run.remaining, run.states = remaining, states
        case Overtaken() | Problem():
            _keep(run, 0)
        case _:
            assert_never(verdict)


def _given(runs: Sequence[Run], verdict: Verdict) -> None:
    for run in runs if isinstance(verdict, Overtaken) else ():
        _keep(run, 0)


def _keep(run: Run, number: int) -> None:
    """The first so many are answered; the others go the full lane."""
    declined, run.clients = run.clients[number:], run.clients[:number]
    for client in declined:
        client.decline(run.data)
