import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import totals
from gateway.ledger.balance import Balance
from gateway.ledger.totals import Totals


def added(balances: list[Balance]) -> tuple[int, ...]:
    """What is to be found by reading them all."""
    columns = [(b.granted, b.charged, b.reserved, b.lapsed, b.balance) for b in balances]
    return tuple(map(sum, zip(*columns, strict=True))) if columns else (0, 0, 0, 0, 0)


def opened(summed: Totals, *balances: Balance) -> None:
    """As the accounts do before a change: a new one, or one that was counted."""
    for balance in balances:
        summed.opened(balance)


steps = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["granted", "charged", "reserved", "lapsed", "balance"]), st.integers()
    )
    | st.none(),
    max_size=30,
)


@given(steps, st.integers(1, 3))
def test_the_sums_are_those_of_reading_every_balance(steps: list[tuple[int, str, int] | None], most: int) -> None:
    summed, balances = Totals(), [Balance() for _ in range(5)]
    opened(summed, *balances)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(totals, "MOST", most)
        for step in steps:
            if step is None:
                assert summed.sums() == added(balances)
                assert summed.drift() == sum(balance.drift for balance in balances)
                continue
            number, column, by = step
            if balances[number].counted:
                opened(summed, balances[number])
            setattr(balances[number], column, getattr(balances[number], column) + by)
        assert summed.sums() == added(balances)
        assert summed.drift() == sum(balance.drift for balance in balances)


def test_one_that_drifts_is_read_each_time() -> None:
    summed, balance = Totals(), Balance(granted=10, balance=7)
    opened(summed, balance)
    assert (summed.drift(), summed.drift(), balance.counted) == (3, 3, False)
    balance.charged = 3
    assert (summed.drift(), summed.sums(), balance.counted) == (0, (10, 3, 0, 0, 7), True)


def test_what_changed_behind_its_back_is_found_with_the_next_change() -> None:
    summed, balance = Totals(), Balance(granted=10, balance=10)
    opened(summed, balance)
    assert summed.drift() == 0
    balance.charged += 4
    opened(summed, balance)
    assert summed.drift() == 4


def test_no_more_than_the_most_are_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "MOST", 2)
    summed, balances = Totals(), [Balance() for _ in range(5)]
    opened(summed, *balances)
    assert [balance.counted for balance in balances] == [True, True, True, False, False]
