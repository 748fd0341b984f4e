"""Prices: the seed's 1, 6 and 9, what is free, and that nothing exceeds its quote."""

import pytest
from admission.snapshots import PRICE
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.charge import Quote
from gateway.admission.pricing import owed, quote
from gateway.admission.snapshot import Price, PriceOption

TOKENS = st.integers(0, 50)
FLAGS = st.frozensets(st.sampled_from("abcd"))
OPTIONS = st.lists(st.builds(PriceOption, st.just("o"), TOKENS, FLAGS.map(tuple)), max_size=3).map(tuple)
PRICES = st.builds(Price, TOKENS, OPTIONS, TOKENS, st.frozensets(st.sampled_from([2, 3, 4, 200, 404, 5, 500])))


@pytest.mark.parametrize(
    ("flags", "forced", "total"),
    [
        (set[str](), False, 1),
        ({"include_offers"}, False, 6),
        ({"include_reviews"}, False, 6),
        ({"include_offers", "include_reviews"}, True, 9),
        (set[str](), True, 4),
    ],
)
def test_the_seeds_arithmetic(flags: set[str], forced: bool, total: int) -> None:
    assert quote(PRICE, flags, forced).total == total


def test_lines_name_the_parts() -> None:
    full = (("base", 1), ("offers_reviews", 5), ("force_refresh", 3))
    assert quote(PRICE, {"include_offers"}, True) == Quote(6, 3, True, full)
    assert quote(PRICE, {"other"}, False) == Quote(1, 0, False, (("base", 1),))


@pytest.mark.parametrize(
    ("charge_on", "status", "tokens"),
    [
        ({2, 3, 4}, 200, 6),
        ({2, 3, 4}, 304, 6),
        ({2, 3, 4}, 404, 6),
        ({2}, 404, 0),
        ({2, 404}, 404, 6),
        ({2, 404}, 410, 0),
        ({2, 5, 500, 599}, 500, 0),
        ({5}, 599, 0),
    ],
)
def test_owed_by_status(charge_on: set[int], status: int, tokens: int) -> None:
    price = Price(1, PRICE.options, 3, frozenset(charge_on))
    assert owed(quote(price, {"include_offers"}, False), price, status, fresh=True) == tokens


@pytest.mark.parametrize(("fresh", "tokens"), [(True, 9), (False, 6)], ids=["delivered", "fell back"])
def test_the_surcharge_is_for_fresh_data(fresh: bool, tokens: int) -> None:
    assert owed(quote(PRICE, {"include_offers"}, True), PRICE, 200, fresh) == tokens


@pytest.mark.parametrize(
    ("status", "tokens"), [(200, 9), (301, 9), (404, 9), (410, 9), (400, 6), (401, 6), (403, 6), (429, 6)]
)
def test_what_speaks_of_the_request_alone_is_no_fresh_data(status: int, tokens: int) -> None:
    assert owed(quote(PRICE, {"include_offers"}, True), PRICE, status, fresh=True) == tokens


@given(PRICES, FLAGS, st.booleans(), st.integers(200, 599), st.booleans())
def test_never_above_the_quote(price: Price, flags: frozenset[str], forced: bool, status: int, fresh: bool) -> None:
    whole = quote(price, flags, forced)
    assert 0 <= owed(whole, price, status, fresh) <= whole.total
    assert sum(tokens for _, tokens in whole.lines) == whole.total
    assert status < 500 or owed(whole, price, status, fresh) == 0


@given(PRICES, FLAGS, FLAGS, st.integers(200, 599))
def test_more_asked_never_costs_less(price: Price, fewer: frozenset[str], more: frozenset[str], status: int) -> None:
    plain, richer = quote(price, fewer, False), quote(price, fewer | more, False)
    forced = quote(price, fewer, True)
    assert plain.total <= richer.total
    assert plain.total <= forced.total
    assert owed(forced, price, status, False) == owed(plain, price, status, False)
    assert owed(plain, price, status, True) <= owed(forced, price, status, True)
