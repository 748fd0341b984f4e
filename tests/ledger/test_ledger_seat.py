from dataclasses import replace

import pytest
from admission.snapshots import ROUTE, make_route
from ledger.samples import FORCED_QUOTE, SPENDER

from gateway.admission.charge import Charge, Limits
from gateway.admission.snapshot import Plan, Rate, ThrottlePolicy
from gateway.admission.throttle import SlidingWindow, TokenBucket
from gateway.ledger import records
from gateway.ledger.accounts import Balance
from gateway.ledger.periods import Period
from gateway.ledger.seat import Seat

THROTTLE = ThrottlePolicy(Rate(1, 1.0), 2)


def seat(plan: Plan = SPENDER.plan) -> Seat:
    bucket = None if plan.throttle is None else TokenBucket(plan.throttle)
    balance = Balance(100, 10, 4, 6, 80, records.Term(7, 100))
    return Seat(replace(SPENDER, plan=plan), balance, bucket, SlidingWindow(Rate(3, 60.0)))


def test_equal_charges_of_a_minute_have_one_tab() -> None:
    sitting = seat()
    first = sitting.tab(ROUTE, 1, "hit", 120.0)
    assert first.record == records.Charge("ci", "ci", "acme", "product", "api", 1, 2, "hit", unlimited=False)
    assert (first.balance, first.bucket, first.minute) == (sitting.balance, sitting.bucket, 2)
    assert sitting.tab(ROUTE, 1, "hit", 179.9) is first
    assert sitting.tab(ROUTE, 0, "hit", 179.9).tokens == 0
    assert sitting.tab(ROUTE, 1, "stale", 179.9).record.outcome == "stale"
    assert sitting.tab(make_route(name="search"), 1, "hit", 179.9).record.route == "search"
    assert sitting.tab(ROUTE, 1, "hit", 180.0).minute == 3
    assert sitting.tab(ROUTE, 1, "hit", 120.0).record == first.record


def test_a_reservation_is_of_the_period_that_grants_its_tokens() -> None:
    lines = FORCED_QUOTE.lines
    found = seat().reserve(5, ROUTE, lines, 4, "x", 120.0)
    assert found == records.Reserve(5, "ci", "ci", "acme", "product", "api", 7, 4, lines, "x", 120.0)


def test_standing_is_by_the_period_it_was_renewed_in() -> None:
    sitting = seat()
    sitting.renewed(Period(7, 1000.0, 3600))
    assert sitting.until == 1000.0
    assert sitting.standing(3, 0.0) == Charge(3, remaining=84, quota=100, window=3600, renews_at=1000.0)


def test_limits_are_another_object_only_where_they_are_others() -> None:
    sitting = seat()
    sitting.renewed(Period(7, 1000.0, 3600))
    limits = sitting.limits
    assert limits == Limits(True, 100, 3600, 1000.0)
    sitting.renewed(Period(7, 1000.0, 3600))
    assert sitting.limits is limits
    sitting.renewed(Period(8, 4600.0, 3600))
    assert sitting.limits == limits._replace(renews_at=4600.0)


def test_it_is_current_until_its_period_ends_or_its_balance_has_another_term() -> None:
    sitting = seat()
    assert not sitting.current(0.0)
    sitting.renewed(Period(7, 1000.0, 3600))
    assert sitting.current(999.9)
    assert not sitting.current(1000.0)
    sitting.balance.term = records.Term(7, 200)
    assert not sitting.current(999.9)


@pytest.mark.parametrize(
    ("plan", "tokens", "wall", "paid"),
    [
        pytest.param(Plan("prepaid", 100), 80, 999.0, [(None, None)], id="all there is"),
        pytest.param(Plan("prepaid", 100), 39, 999.0, [(None, None)] * 2, id="some of them"),
        pytest.param(Plan("prepaid", 100), 20, 999.0, [(None, None)] * 3, id="no more than asked for"),
        pytest.param(Plan("prepaid", 100), 81, 999.0, [], id="more than there is"),
        pytest.param(Plan("prepaid", 100), 0, 999.0, [(None, None)] * 3, id="for nothing"),
        pytest.param(
            Plan("prepaid", 100, throttle=THROTTLE), 1, 999.0, [(1, 1), (0, 2)], id="as the throttle has room"
        ),
        pytest.param(Plan("prepaid", 100, throttle=THROTTLE), 80, 999.0, [(1, 1)], id="room, and tokens for one"),
        pytest.param(Plan("prepaid", 100, throttle=THROTTLE), 81, 999.0, [], id="room, and no tokens"),
        pytest.param(Plan("prepaid", 100, throttle=THROTTLE), 80, 1000.0, [], id="not up to date"),
        pytest.param(Plan("free"), 81, 999.0, [(None, None)] * 3, id="unlimited"),
    ],
)
def test_paying_takes_room_for_what_there_are_tokens_for(
    plan: Plan, tokens: int, wall: float, paid: list[tuple[int | None, int | None]]
) -> None:
    sitting = seat(plan)
    sitting.renewed(Period(7, 1000.0, 3600))
    assert list(sitting.pay(sitting.tab(ROUTE, tokens, "hit", 0.0), 5.0, wall, 3)) == paid
    assert sitting.bucket is None or sitting.bucket.state(5.0)[0] == THROTTLE.burst - len(paid)
    assert sitting.balance.balance == 80


def test_nothing_is_paid_while_the_balance_is_in_another_term() -> None:
    sitting = seat()
    sitting.renewed(Period(7, 1000.0, 3600))
    sitting.balance.term = records.Term(8, 100)
    assert not sitting.pay(sitting.tab(ROUTE, 1, "hit", 0.0), 5.0, 999.0, 1)


def test_admitting_returns_the_window_that_counted() -> None:
    sitting = seat()
    assert sitting.admit(1, False, 0.0, 0.0) is None
    window = sitting.admit(1, FORCED_QUOTE.forced, 0.0, 0.0)
    assert window is not None
    assert window.times == (0.0,)
