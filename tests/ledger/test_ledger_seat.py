from ledger.samples import FORCED_QUOTE, LOOKUP_QUOTE, SPENDER

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
    first = sitting.charge("product", LOOKUP_QUOTE, 1, 120.0)
    assert first == records.Charge("ci", "ci", "product", 1, 1, 2, unlimited=False)
    assert sitting.charge("product", LOOKUP_QUOTE, 1, 179.9) is first
    assert sitting.charge("product", LOOKUP_QUOTE, 0, 179.9).base == 0
    assert sitting.charge("search", LOOKUP_QUOTE, 1, 179.9).route == "search"
    assert sitting.charge("product", LOOKUP_QUOTE, 1, 180.0).minute == 3
    assert sitting.charge("product", LOOKUP_QUOTE, 1, 120.0) == first


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
