from copy import deepcopy

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.admission.snapshot import Every, Plan
from gateway.ledger.accounts import Accounts, Balance, due, lapses, taken_over
from gateway.ledger.encoding import decode, encode
from gateway.ledger.periods import Period
from gateway.ledger.records import (
    BEFORE_ANY,
    Charge,
    Correction,
    Grant,
    Opening,
    Record,
    Refund,
    Release,
    Reserve,
    Sale,
    Settle,
    Term,
)


def period(number: int) -> Period:
    return Period(number, 1e9, 3600)


def reserve(number: int, tokens: int, granted_for: int | None) -> Reserve:
    lines = (("base", tokens),)
    return Reserve(number, "ci", "acme", "acme", "product", "api", granted_for, tokens, lines, "a-request", 1.0)


def test_drift_sees_what_does_not_add_up() -> None:
    accounts = Accounts()
    accounts.apply(Grant("acme", 10, Term(1, 10), BEFORE_ANY, 0.0))
    assert accounts.drift() == 0
    accounts.balance("acme").charged += 3
    assert accounts.drift() == 3
    accounts.apply(reserve(1, 4, 1))
    accounts.open.clear()
    assert accounts.drift() == 3 + 4


def test_drift_sees_what_is_overspent() -> None:
    accounts = Accounts()
    accounts.apply(Charge("ci", "acme", "acme", "product", "api", 5, 0, "hit", unlimited=False))
    assert accounts.drift() == 5


class Spending(RuleBasedStateMachine):
    """One holder spends as the meter would let it; anything may be undone, newest first."""

    plan: Plan
    granted_for: int | None

    def __init__(self) -> None:
        super().__init__()
        self.accounts = Accounts()
        self.log: list[tuple[Record, int]] = []
        self.before: list[Accounts] = []
        self.settled: list[Settle] = []
        self.now = 0
        self.next_id = 0

    @property
    def balance(self) -> Balance:
        return self.accounts.balance("acme")

    def post(self, record: Record, count: int = 1) -> None:
        self.before.append(deepcopy_of(self.accounts))
        self.accounts.apply(record, count)
        self.log.append((record, count))

    @initialize(grant=st.none() | st.integers(0, 30))
    def begin(self, grant: int | None) -> None:
        self.change_plan(grant, 0)

    @rule(grant=st.none() | st.integers(0, 30), later=st.integers(-1, 2))
    def change_plan(self, grant: int | None, later: int) -> None:
        self.plan = Plan("pro", grant, Every.month)
        self.now += later
        for record in due("acme", self.balance, self.plan, period(max(0, self.now)), 0.0):
            self.post(record)

    @rule(tokens=st.integers(0, 9), count=st.integers(1, 3))
    def charge(self, tokens: int, count: int) -> None:
        unlimited = self.plan.grant is None
        if unlimited or self.balance.balance >= tokens * count:
            self.post(Charge("ci", "acme", "acme", "product", "api", tokens, 0, "hit", unlimited), count)

    @rule(tokens=st.integers(0, 9))
    def sell(self, tokens: int) -> None:
        unlimited = self.plan.grant is None
        if unlimited or self.balance.balance >= tokens:
            self.next_id += 1
            sold = reserve(self.next_id, tokens, None if unlimited else self.balance.term.period)
            self.post(Sale(sold, "hit"))

    @rule(tokens=st.integers(-9, 9))
    def correct(self, tokens: int) -> None:
        if self.plan.grant is not None and self.balance.balance + tokens >= 0:
            self.post(Correction("acme", tokens, "billed twice", 4.0))

    @rule()
    def rename(self) -> None:
        """To another holder and back, so that the one that is looked at has everything again."""
        for former, holder in (("acme", "elsewhere"), ("elsewhere", "acme")):
            balances = self.accounts.balance(former), self.accounts.balance(holder)
            record = taken_over(former, balances[0], holder, balances[1], 5.0)
            if record is not None:
                self.post(record)

    @rule(tokens=st.integers(0, 9))
    def reserve(self, tokens: int) -> None:
        unlimited = self.plan.grant is None
        if unlimited or self.balance.balance >= tokens:
            self.next_id += 1
            self.post(reserve(self.next_id, tokens, None if unlimited else self.balance.term.period))

    @precondition(lambda self: self.accounts.open)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        opened = data.draw(st.sampled_from(list(self.accounts.open.values())))
        tokens = data.draw(st.integers(0, opened.tokens))
        record = Settle(opened, tokens, lapses(opened, self.balance), "miss", 2.0)
        self.post(record)
        self.settled.append(record)

    @precondition(lambda self: self.accounts.open)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        opened = data.draw(st.sampled_from(list(self.accounts.open.values())))
        self.post(Release(opened, lapses(opened, self.balance), "failed", 2.0))

    @precondition(lambda self: self.settled)
    @rule()
    def refund(self) -> None:
        record = self.settled.pop()
        self.post(Refund(record.reserve, record.tokens, lapses(record.reserve, self.balance), "broken", 3.0))

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        for _ in range(data.draw(st.integers(1, len(self.log)))):
            record, count = self.log.pop()
            self.accounts.apply(record, -count)
            before = self.before.pop()
            assert used(self.accounts) == used(before)
            assert self.accounts.open == before.open
        self.settled.clear()

    @invariant()
    def adds_up(self) -> None:
        balance = self.balance
        assert self.accounts.drift() == 0
        assert min(balance.balance, balance.reserved, balance.charged, balance.lapsed) >= 0
        assert balance.granted == balance.balance + balance.charged + balance.reserved + balance.lapsed

    def teardown(self) -> None:
        replayed = Accounts()
        for record, count in decode(encode(self.log)):
            replayed.apply(record, count)
        assert replayed.open == self.accounts.open
        assert used(replayed) == used(self.accounts)


def used(accounts: Accounts) -> dict[str, Balance]:
    return {name: balance for name, balance in accounts.balances.items() if balance != Balance()}


def deepcopy_of(accounts: Accounts) -> Accounts:
    copy = Accounts()
    copy.balances, copy.open = deepcopy(accounts.balances), dict(accounts.open)
    return copy


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=40, stateful_step_count=30)


def test_a_balance_begins_with_its_opening_and_is_nothing_without_it() -> None:
    accounts, opening = Accounts(), Opening("acme", 90, 30, 20, 40, Term(8, 60), 1.0)
    accounts.apply(opening)
    assert accounts.balance("acme") == Balance(90, 30, 0, 20, 40, Term(8, 60))
    accounts.apply(opening, -1)
    assert accounts.balance("acme") == Balance()
