"""The order API's stores and orders, made from a store's id and the number of its imports alone.

Each import brings `BROUGHT` new orders and moves those before it on, from payment to shipment.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.demo.catalogue import LISTED, Record, draw, listing, price

FIRST: Final = 12345
BROUGHT: Final = 3

_MARKETS: Final = ("Web Shop", "Auction House", "Market Hall")
_STATUSES: Final = ("awaiting_payment", "awaiting_shipment", "shipped")
_OPENED: Final = datetime(2026, 1, 1, tzinfo=UTC)
_APART: Final = timedelta(hours=7)
_NUMBERS: Final = 1_000_000
_TITLES: Final = {str(record["item_id"]): record["title"] for record in listing("")}


def is_active(store_id: int) -> bool:
    """Every fourth store is closed and imports no more."""
    return (store_id - FIRST) % 4 != 3


def store(store_id: int) -> Record:
    """What never changes of a store."""
    market = _MARKETS[draw(str(store_id), "market", len(_MARKETS))]
    return {
        "storeId": store_id,
        "storeName": f"{market} {store_id - FIRST + 1}",
        "marketplaceName": market,
        "active": is_active(store_id),
    }


def order_ids(store_id: int, most: int) -> Sequence[int]:
    """The orders of a store that has `most`, the newest first."""
    first = store_id * _NUMBERS
    return range(first + most, first, -1)


def store_of(order_id: int) -> int:
    """The id of the store that an order's id tells."""
    return order_id // _NUMBERS


def order(order_id: int, most: int, imports: int) -> Record:
    """An order as the last of `imports` left it, one of the `most` that its store has then."""
    number = order_id % _NUMBERS
    step = min((most - number) // BROUGHT, len(_STATUSES) - 1)
    bought = _item(str(order_id))
    return {
        "orderId": order_id,
        "orderNumber": f"A-{number:06}",
        "orderDate": f"{_OPENED + number * _APART:%Y-%m-%dT%H:%M:%S}",
        "orderStatus": _STATUSES[step],
        "orderTotal": round(bought["quantity"] * bought["unitPrice"], 2),
        "items": [bought],
        "advancedOptions": {"storeId": store_of(order_id), "customField1": f"import {imports}"},
    }


def _item(order_id: str) -> Record:
    sku = LISTED[draw(order_id, "item", len(LISTED))]
    return {"sku": sku, "name": _TITLES[sku], "quantity": draw(order_id, "quantity", 3) + 1, "unitPrice": price(sku, 0)}
