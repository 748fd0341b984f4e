from admission.snapshots import ROUTE, make_route
from ledger.samples import FORCED_QUOTE, SPENDER

from gateway.admission.charge import Charge
from gateway.admission.snapshot import Rate
from gateway.admission.throttle import SlidingWindow
from gateway.ledger import records
from gateway.ledger.accounts import Balance
from gateway.ledger.periods import Period
from gateway.ledger.seat import Seat


def seat() -> Seat:
    return Seat(SPENDER, Balance(100, 10, 4, 6, 80, records.Term(7, 100)), None, SlidingWindow(Rate(3, 60.0)))


def test_equal_charges_of_a_minute_are_one_object() -> None:
    sitting = seat()
    first = sitting.charge(ROUTE, 1, "hit", 120.0)
    assert first == records.Charge("ci", "ci", "acme", "product", "api", 1, 2, "hit", unlimited=False)
    assert sitting.charge(ROUTE, 1, "hit", 179.9) is first
    assert sitting.charge(ROUTE, 0, "hit", 179.9).tokens == 0
    assert sitting.charge(ROUTE, 1, "stale", 179.9).outcome == "stale"
    assert sitting.charge(make_route(name="search"), 1, "hit", 179.9).route == "search"
    assert sitting.charge(ROUTE, 1, "hit", 180.0).minute == 3
    assert sitting.charge(ROUTE, 1, "hit", 120.0) == first


def test_a_reservation_is_of_the_period_that_grants_its_tokens() -> None:
    lines = FORCED_QUOTE.lines
    found = seat().reserve(5, ROUTE, lines, 4, "x", 120.0)
    assert found == records.Reserve(5, "ci", "ci", "acme", "product", "api", 7, 4, lines, "x", 120.0)


def test_standing_is_by_the_period_it_was_renewed_in() -> None:
    sitting = seat()
    sitting.renewed(Period(7, 1000.0, 3600))
    assert sitting.until == 1000.0
    assert sitting.standing(3, 0.0) == Charge(3, remaining=84, quota=100, window=3600, renews_at=1000.0)


def test_admitting_returns_the_window_that_counted() -> None:
    sitting = seat()
    assert sitting.admit(1, False, 0.0, 0.0) is None
    window = sitting.admit(1, FORCED_QUOTE.forced, 0.0, 0.0)
    assert window is not None
    assert window.times == (0.0,)
