from copy import deepcopy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.admission.snapshot import Every, Plan
from gateway.ledger.accounts import Accounts, Balance, due, lapses
from gateway.ledger.periods import Period
from gateway.ledger.records import (
    BEFORE_ANY,
    Charge,
    Grant,
    Lapse,
    Record,
    Refund,
    Release,
    Reserve,
    Settle,
    Term,
    decode,
    encode,
)

MONTHLY = Plan("pro", 2000, Every.month)


def period(number: int) -> Period:
    return Period(number, 1e9, 3600)


@pytest.mark.parametrize(
    ("balance", "plan", "now", "expected"),
    [
        pytest.param(Balance(), MONTHLY, 7, (Grant("acme", 2000, Term(7, 2000), BEFORE_ANY),), id="the first grant"),
        pytest.param(Balance(2000, 0, 0, 0, 2000, Term(7, 2000)), MONTHLY, 7, (), id="granted already"),
        pytest.param(
            Balance(2000, 500, 9, 0, 1491, Term(7, 2000)),
            MONTHLY,
            8,
            (Lapse("acme", 1491), Grant("acme", 2000, Term(8, 2000), Term(7, 2000))),
            id="no carry-over, what is reserved stays",
        ),
        pytest.param(
            Balance(2000, 2000, 0, 0, 0, Term(7, 2000)),
            MONTHLY,
            9,
            (Grant("acme", 2000, Term(9, 2000), Term(7, 2000)),),
            id="nothing left to lapse, one grant for two periods",
        ),
        pytest.param(Balance(2000, 5, 0, 0, 1995, Term(7, 2000)), MONTHLY, 6, (), id="clock set back"),
        pytest.param(
            Balance(500, 500, 0, 0, 0, Term(7, 500)),
            MONTHLY,
            7,
            (Grant("acme", 1500, Term(7, 2000), Term(7, 500)),),
            id="raised at once",
        ),
        pytest.param(Balance(5000, 0, 0, 0, 5000, Term(7, 5000)), MONTHLY, 7, (), id="lowered later"),
        pytest.param(
            Balance(5000, 0, 0, 0, 5000, Term(7, 5000)),
            MONTHLY,
            8,
            (Lapse("acme", 5000), Grant("acme", 2000, Term(8, 2000), Term(7, 5000))),
            id="lowered at the next period",
        ),
        pytest.param(Balance(), Plan("free"), 7, (), id="unlimited"),
    ],
)
def test_due(balance: Balance, plan: Plan, now: int, expected: tuple[Record, ...]) -> None:
    assert due("acme", balance, plan, period(now)) == expected


def reserve(number: int, tokens: int, granted_for: int | None) -> Reserve:
    return Reserve(number, "ci", "acme", "acme", "product", granted_for, tokens, (("base", tokens),), 1.0)


@pytest.mark.parametrize(
    ("granted_for", "expected"),
    [pytest.param(7, True, id="over"), pytest.param(8, False, id="present"), pytest.param(None, False, id="unlimited")],
)
def test_lapses(granted_for: int | None, expected: bool) -> None:
    assert lapses(reserve(1, 9, granted_for), Balance(term=Term(8, 2000))) == expected


def test_drift_sees_what_does_not_add_up() -> None:
    accounts = Accounts()
    accounts.apply(Grant("acme", 10, Term(1, 10), BEFORE_ANY))
    assert accounts.drift() == 0
    accounts.balance("acme").charged += 3
    assert accounts.drift() == 3
    accounts.apply(reserve(1, 4, 1))
    accounts.open.clear()
    assert accounts.drift() == 3 + 4


def test_drift_sees_what_is_overspent() -> None:
    accounts = Accounts()
    accounts.apply(Charge("ci", "acme", "product", 5, 5, 0, unlimited=False))
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
        for record in due("acme", self.balance, self.plan, period(max(0, self.now))):
            self.post(record)

    @rule(tokens=st.integers(0, 9), count=st.integers(1, 3))
    def charge(self, tokens: int, count: int) -> None:
        unlimited = self.plan.grant is None
        if unlimited or self.balance.balance >= tokens * count:
            self.post(Charge("ci", "acme", "product", tokens, tokens, 0, unlimited), count)

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
            assert self.accounts.balances == before.balances
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
        assert {n: b for n, b in replayed.balances.items() if b != Balance()} == {
            n: b for n, b in self.accounts.balances.items() if b != Balance()
        }


def deepcopy_of(accounts: Accounts) -> Accounts:
    copy = Accounts()
    copy.balances, copy.open = deepcopy(accounts.balances), dict(accounts.open)
    return copy


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=40, stateful_step_count=30)
