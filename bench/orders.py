"""The order API behind the background refreshes, a process of its own: `python -m bench.orders PORT STORES`.

It has stores, two pages of orders of each, an import that is done at once, and single orders. `/calls` tells how often
it was told to import.
"""

import asyncio
import json
import sys
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import uvloop

from bench.upstream import Connection, answered

FIRST = 100_001
PAGES = 2

_ORDERS = 10


def stores(number: int) -> bytes:
    """The list of all stores; JSON."""
    return json.dumps([{"storeId": FIRST + place, "active": True} for place in range(number)]).encode()


def order(order_id: int) -> dict[str, object]:
    """What there is of an order."""
    return {"orderId": order_id, "orderStatus": "shipped", "items": [{"sku": f"S-{order_id}", "quantity": 1}]}


def page(store_id: int, number: int) -> bytes:
    """One page of a store's orders; JSON."""
    first = (store_id * PAGES + number) * _ORDERS
    orders = [order(first + place) for place in range(_ORDERS)]
    return json.dumps({"orders": orders, "total": _ORDERS * PAGES, "page": number, "pages": PAGES}).encode()


class Orders:
    """What all connections share: the stores, and the count of imports."""

    def __init__(self, number: int) -> None:
        self._stores = stores(number)
        self._imports = 0

    def answer(self, target: str) -> tuple[bytes, float]:
        """The answer to a request without content, at once."""
        url = urlsplit(target)
        asked = dict(parse_qsl(url.query))
        match url.path:
            case "/stores":
                content = self._stores
            case "/orders":
                content = page(int(asked["storeId"]), int(asked["page"]))
            case "/calls":
                content = b"%d" % self._imports
            case path if path.startswith("/orders/"):
                content = json.dumps(order(int(path.rpartition("/")[2]))).encode()
            case _:
                self._imports += 1
                content = b'{"success":true}'
        return answered(content), 0.0


async def serve(port: int, number: int) -> None:
    """Serve until terminated."""
    orders = Orders(number)
    server = await asyncio.get_running_loop().create_server(
        partial(Connection, orders.answer), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
