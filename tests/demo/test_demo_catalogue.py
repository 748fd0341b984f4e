"""The demo upstream's products: the seed's fields, the seed's example, and prices that move."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo import catalogue

pytestmark = pytest.mark.slow

TODAY = date(2026, 3, 1)
FIELDS = re.findall(
    r"\w+",
    """
    item_id upc ean isbn gtin asin mpn model title brand image_url description current_price buybox_price
    secondary_offer_price msrp weight_lbs dimensions offers_count seller_id seller_name average_rating review_count
    categories walmart_url in_stock offers price_history stats review_summary
    """,
)

ids = st.from_regex(r"[1-9][0-9]{0,14}", fullmatch=True)
fetches = st.integers(min_value=0, max_value=10_000)


@given(item_id=ids, fetch=fetches, offers=st.booleans(), reviews=st.booleans())
def test_every_field_of_the_seed_in_its_order(item_id: str, fetch: int, offers: bool, reviews: bool) -> None:
    record = catalogue.product(item_id, fetch, TODAY, offers=offers, reviews=reviews)
    assert list(record) == FIELDS
    assert set(record["dimensions"]) == {"height_in", "width_in", "length_in"}
    assert set(record["stats"]) == {"low_30d", "high_30d", "avg_30d"}


@given(item_id=ids, fetch=fetches)
def test_same_arguments_same_record(item_id: str, fetch: int) -> None:
    first, second = (catalogue.product(item_id, fetch, TODAY, offers=True, reviews=True) for _ in range(2))
    assert first == second


@given(item_id=ids, fetch=fetches)
def test_the_next_live_fetch_moves_the_price_and_nothing_that_names_the_item(item_id: str, fetch: int) -> None:
    before, after = (catalogue.product(item_id, number, TODAY) for number in (fetch, fetch + 1))
    assert before["current_price"] != after["current_price"]
    for name in ("item_id", "upc", "model", "title", "brand", "msrp", "seller_id", "dimensions"):
        assert before[name] == after[name]


@given(item_id=ids, fetch=fetches)
def test_prices_are_positive_whole_cents(item_id: str, fetch: int) -> None:
    asked = catalogue.price(item_id, fetch)
    assert asked > 0
    assert round(asked, 2) == asked


@given(item_id=ids)
def test_offers_and_reviews_only_when_asked(item_id: str) -> None:
    bare = catalogue.product(item_id, 0, TODAY)
    assert (bare["offers"], bare["price_history"], bare["review_summary"]) == ([], [], None)
    full = catalogue.product(item_id, 0, TODAY, offers=True, reviews=True)
    assert len(full["offers"]) == full["offers_count"] > 0
    assert full["offers"][0]["seller_id"] == full["seller_id"]
    assert full["price_history"][0] == {"date": "2026-03-01", "price": full["current_price"]}
    assert full["review_summary"] == {
        "average_rating": full["average_rating"],
        "total_reviews": full["review_count"],
    }


def test_the_example_item_has_the_seeds_facts() -> None:
    record = catalogue.product("19667262713", 0, TODAY)
    assert record["item_id"] == catalogue.EXAMPLE
    facts = {
        "upc": "086279195869",
        "gtin": "00086279195869",
        "model": "EP-PC8",
        "brand": "Cooks Essentials",
        "current_price": 49.0,
        "msrp": 79.99,
        "ean": None,
        "isbn": None,
        "asin": None,
        "secondary_offer_price": None,
    }
    assert {name: record[name] for name in facts} == facts


@pytest.mark.parametrize(
    ("item_id", "there"),
    [("19667262713", True), ("5", True), ("0", False), ("0123", False), ("12a", False), ("٣", False), ("", False)],
)
def test_known_ids_are_digits_without_a_leading_zero(item_id: str, there: bool) -> None:
    assert catalogue.known(item_id) is there


def test_the_listing_finds_titles_in_any_case() -> None:
    assert [record["item_id"] for record in catalogue.listing("")] == list(catalogue.LISTED)
    assert catalogue.listing("cooks ESSENTIALS") == [
        {"item_id": catalogue.EXAMPLE, "title": "Cooks Essentials EP-PC8 Pressure Cooker"}
    ]
    assert catalogue.listing("no such thing") == []
