"""Prices: the seed's 1, 6 and 9, what is free, and that nothing exceeds its quote."""

import pytest
from admission.snapshots import PRICE
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.charge import Quote
from gateway.admission.pricing import charges, delivers, quote
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
    ("charge_on", "status", "charged"),
    [
        ({2, 3, 4}, 200, True),
        ({2, 3, 4}, 304, True),
        ({2, 3, 4}, 404, True),
        ({2}, 404, False),
        ({2, 404}, 404, True),
        ({2, 404}, 410, False),
        ({2, 5, 500, 599}, 500, False),
        ({5}, 599, False),
    ],
)
def test_which_answers_cost_anything(charge_on: set[int], status: int, charged: bool) -> None:
    assert charges(Price(1, PRICE.options, 3, frozenset(charge_on)), status) is charged


@pytest.mark.parametrize("status", [200, 301, 404, 410])
def test_news_of_the_thing(status: int) -> None:
    assert delivers(status)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_what_speaks_of_the_request_alone_is_no_fresh_data(status: int) -> None:
    assert not delivers(status)


@given(PRICES, FLAGS, st.booleans())
def test_the_lines_add_up(price: Price, flags: frozenset[str], forced: bool) -> None:
    whole = quote(price, flags, forced)
    assert sum(tokens for _, tokens in whole.lines) == whole.total
    assert whole.base == price.base <= whole.plain <= whole.total


@given(PRICES, FLAGS, FLAGS)
def test_more_asked_never_costs_less(price: Price, fewer: frozenset[str], more: frozenset[str]) -> None:
    plain, richer = quote(price, fewer, False), quote(price, fewer | more, False)
    assert plain.total <= richer.total
    assert plain.total <= quote(price, fewer, True).total
