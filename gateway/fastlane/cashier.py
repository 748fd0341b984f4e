"""How the fast lane's hits are admitted and charged: by this process at once, or by the till of a fleet."""

from collections.abc import Callable
from typing import Any, Protocol

from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account
from gateway.answering import receipt_line
from gateway.answers.limits import token_lines
from gateway.errors import Problem
from gateway.fastlane.run import Run
from gateway.fastlane.turn import Turn
from gateway.fastlane.who import Seat, Tab
from gateway.ledger.ledger import Ledger
from gateway.meter import Meter

Ended = Callable[[Problem | None], object]


class Cashier(Protocol):
    """Whoever it admits is answered when it says that the turn has ended, by what is in the turn's runs then."""

    def seat(self, account: Account) -> Seat:
        """Where the account is charged; the very same while nothing has changed. Raises Problem where none is known."""

    def pay(self, turn: Turn, run: Run, tab: Tab) -> int:
        """How many of the run's clients, the first ones, are admitted for a charge of `tab` each."""

    def sell(self, turn: Turn, run: Run, quote: Quote) -> bool:
        """Whether a run of one that costs more than a plain lookup is admitted; `run.id_` is given."""

    def give(self, run: Run) -> None:
        """Let a run of one go that costs nothing."""

    def end(self, ended: Ended) -> None:
        """Has `ended` called when what is charged is durable; with a Problem where nothing of it is."""


class AtOnce:
    """Decides at once, as this process has all balances in memory; one append to the journal is a turn's."""

    def __init__(self, meter: Meter, ledger: Ledger) -> None:
        self.seat = meter.seat
        self._meter = meter
        self._ledger = ledger

    def pay(self, turn: Turn, run: Run, tab: Tab) -> int:
        """As many as throttle and tokens allow."""
        # Whoever is learnt by the seats of a meter is charged on their tabs. Two casts would take 1 % of a hit.
        sits: Any = run.who.seat
        owed: Any = tab
        states = sits.pay(owed, turn.now, turn.wall, len(run.clients))
        admitted = len(states)
        if admitted:
            run.clients, run.states = run.clients[:admitted], states
            run.remaining = self._ledger.count(owed, admitted)
        return admitted

    def sell(self, turn: Turn, run: Run, quote: Quote) -> bool:
        """As an operation with a receipt."""
        who = run.who
        if who.account is None or run.id_ is None:
            return False
        try:
            charge = self._meter.charge(who.account, run.what.plan.route, quote, Outcome.hit, run.id_.decode())
        except Problem:
            return False
        run.tokens, run.remaining = charge.tokens, charge.remaining
        run.lines = token_lines(charge, turn.wall) + receipt_line(charge.operation)
        return True

    def give(self, run: Run) -> None:
        """Nobody else outdates anything."""

    def end(self, ended: Ended) -> None:
        """One append, as each turn's end does."""
        self._ledger.when_committed(ended)
        self._ledger.flush()
