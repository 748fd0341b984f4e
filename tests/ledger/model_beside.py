"""A process beside the reference of what it must do, and how a step is played on both."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from math import inf
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine
from ledger.model_audit import audit, prove
from ledger.model_process import Process, World, outcome_of
from ledger.model_reference import Reference

from gateway.admission.charge import Charge
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account
from gateway.errors import Problem
from gateway.meter import HOUSE
from gateway.reservation import Reservation, State

FOLDERS = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


class Beside(RuleBasedStateMachine):
    """`held` are the reservations that the process has handed out; `age` is its steps so far.

    `accounts` are the configured ones by id, `keep` seconds is what the book is to keep; a subclass sets both first.
    """

    accounts: dict[str, Account]
    keep: float
    process: Process

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=FOLDERS))
        self.runs = 0
        self.renames = 0
        self.world = World()
        self.reference = Reference()
        self.held: list[Reservation] = []
        self.age = 0
        self.failing = 0

    @property
    def configured(self) -> tuple[Account, ...]:
        return tuple(self.accounts.values())

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(self.accounts.keys() - {"ci", "cd"})

    def account(self, place: int) -> Account:
        return (HOUSE, *self.configured, *self.configured)[place % (1 + 2 * len(self.accounts))]

    def try_(self, act: Callable[[], Charge | Reservation]) -> Charge | Reservation | Problem:
        return self.process.do(lambda: outcome_of(act))

    def agrees(self, done: object, account: Account, tokens: int, forced: bool) -> bool:
        """Whether it was admitted; just as the reference says."""
        refused = self.reference.admit(account, tokens, forced, self.world.wall, self.world.mono)
        assert (done.reason.name if isinstance(done, Problem) else None) == refused
        return refused is None

    def told(self, charge: Charge, account: Account, tokens: int, *, receipt: bool) -> None:
        purse = self.reference.purse(account.holder)
        unlimited = account.plan.grant is None
        assert charge.tokens == tokens
        assert charge.remaining == (None if unlimited else purse.granted - purse.lapsed - purse.charged)
        assert (charge.operation is not None) == receipt

    def corrected(self, account: Account, tokens: int) -> tuple[int, int] | None:
        try:
            return self.process.meter.correct(account, tokens, "why")
        except ValueError:
            return None

    def pick(self, place: int, state: str) -> Reservation:
        """Most often one in `state`, but any that was ever made is to be refused as it must."""
        operations = self.reference.books.operations
        fitting = [held for held in self.held if held.reserve.id in operations]
        fitting = [held for held in fitting if operations[held.reserve.id].state == state]
        choice = fitting if fitting and place % 8 else self.held
        return choice[place // 8 % len(choice)]

    def close(self, reservation: Reservation, state: str, act: Callable[[], Charge], outcome: Outcome | None) -> None:
        """Ends or refunds an operation, if it is in `state`; else that must be refused, and change nothing."""
        number = reservation.reserve.id
        operation = self.reference.books.operations.get(number)
        if operation is None or operation.state != state:
            assert (operation is None) == (reservation.state is State.void)
            try:
                self.process.do(act)
            except RuntimeError:
                return
            raise AssertionError("an operation ended twice")
        account = self.reference.present(operation.account)
        self.adopt(operation.account)
        self.reference.look(account, self.world.wall)
        charge, tokens = self.process.do(act), 0
        if outcome is not None:
            tokens = self.reference.settle(number, outcome.name)
        elif state == "reserved":
            self.reference.release(number)
        else:
            self.reference.refund(number)
        if account.id == operation.account.id:
            quote = operation.quote
            self.told(charge, account, tokens, receipt=tokens > 0 and quote.total > quote.lines[0][1])
        self.adopt(operation.account)

    def adopt(self, account: Account) -> None:
        """Whoever took over from an account that is configured no more looks, and so takes what is there to take."""
        heir = self.reference.present(account)
        if heir.id != account.id:
            self.process.do(lambda: self.process.meter.standing(heir))
            self.reference.look(heir, self.world.wall)

    def ends(self, ends: bool) -> None:
        if ends:
            self.turn()

    def turn(self) -> None:
        """Ends the turn: what was done in it is in the journal, or undone."""
        posted = self.process.posted
        assert posted or self.reference.books == self.reference.committed
        taken = self.process.turn()
        assert taken == (not posted or self.world.disk == "sound")
        if taken:
            self.reference.commit()
        else:
            self.reference.undo()
            self.failing -= 1
            if not self.failing:
                self.world.disk = "sound"

    def start_again(self, folder: Path) -> None:
        self.world.disk = "sound"
        self.held.clear()
        self.age = 0
        self.reference.restart()
        self.process = Process(folder, self.world, self.configured, self.keep)
        self.reference.commit()

    def teardown(self) -> None:
        try:
            if hasattr(self, "process"):
                self.finish()
        finally:
            shutil.rmtree(self.home)

    def finish(self) -> None:
        if sys.exception() is not None:
            self.process.end()
            return
        self.world.disk = "sound"
        self.turn()
        self.process.close()
        audit(self.process.folder, self.reference.committed, pruned=self.keep < inf)
        prove(self.process.folder)
