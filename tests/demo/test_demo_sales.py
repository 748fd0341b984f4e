"""The order API's stores and orders: the same from the same arguments, and moved on by each import."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo import sales

stores = st.integers(min_value=sales.FIRST, max_value=sales.FIRST + 20_000)
counts = st.integers(min_value=1, max_value=500)


@given(store_id=stores, most=counts)
def test_an_order_tells_its_store(store_id: int, most: int) -> None:
    ids = sales.order_ids(store_id, most)
    assert len(ids) == most
    for order_id in (ids[0], ids[-1]):
        assert sales.store_of(order_id) == store_id
        record = sales.order(order_id, most, imports=2)
        assert record["orderId"] == order_id
        assert record["advancedOptions"] == {"storeId": store_id, "customField1": "import 2"}


@given(store_id=stores, most=counts)
def test_same_arguments_same_order(store_id: int, most: int) -> None:
    order_id = sales.order_ids(store_id, most)[0]
    assert sales.order(order_id, most, 1) == sales.order(order_id, most, 1)


def test_an_import_brings_orders_on_top_and_moves_the_others_on() -> None:
    before, after = sales.order_ids(sales.FIRST, 10), sales.order_ids(sales.FIRST, 10 + sales.BROUGHT)
    assert list(after[sales.BROUGHT :]) == list(before)
    newest = before[0]
    assert sales.order(newest, 10, 0)["orderStatus"] == "awaiting_payment"
    assert sales.order(newest, 10 + sales.BROUGHT, 1)["orderStatus"] == "awaiting_shipment"
    assert sales.order(newest, 10 + 9 * sales.BROUGHT, 9)["orderStatus"] == "shipped"


def test_an_order_costs_what_its_items_do() -> None:
    record = sales.order(sales.order_ids(sales.FIRST, 1)[0], 1, 0)
    [item] = record["items"]
    assert record["orderTotal"] == round(item["quantity"] * item["unitPrice"], 2) > 0


@pytest.mark.parametrize(("place", "active"), [(0, True), (1, True), (2, True), (3, False), (4, True), (7, False)])
def test_every_fourth_store_is_closed(place: int, active: bool) -> None:
    assert sales.is_active(sales.FIRST + place) is active
    assert sales.store(sales.FIRST + place)["active"] is active
