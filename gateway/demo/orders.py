"""The demo's other upstream, a process of its own: `python -m gateway.demo.orders --port 8082 --latency 50`.

An order API that imports its orders when it is told to (seeds/shipstation-refreshstore): stores, paged orders, a
refresh and its status, behind a key and a secret and a rate limit.
"""

import argparse
import asyncio
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import chain, islice
from typing import Any, Final

from aiohttp import web

from gateway.demo import asked, process, sales
from gateway.demo.asked import Refused
from gateway.demo.catalogue import Record
from gateway.demo.imports import Imports
from gateway.demo.window import Window

CREDENTIALS: Final = b64encode(b"demo-orders-key:demo-orders-secret").decode()
PAGE_SIZE: Final = 10

_LARGEST_PAGE: Final = 500
_MINUTE: Final = 60.0

Handler = Callable[[web.Request], Awaitable[Any]]


class Orders:
    """The order API's answers and its counts. `latency` is in seconds; each of `stores` has `orders` at first."""

    def __init__(
        self,
        latency: float,
        stores: int,
        orders: int,
        imports: Imports,
        window: Window,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._latency = latency
        self._stores = range(sales.FIRST, sales.FIRST + stores)
        self._orders = orders
        self._imports = imports
        self._window = window
        self._wall = wall
        self._calls: Counter[str] = Counter()
        self._limited = 0

    def app(self) -> web.Application:
        """The API's routes; `/stats` and `/healthz` need no credentials, are not counted and not limited."""
        app = web.Application()
        app.router.add_get("/stores", self._guarded(self._list_stores))
        app.router.add_get("/stores/getrefreshstatus", self._guarded(self._status))
        app.router.add_post("/stores/refreshstore", self._guarded(self._refresh))
        app.router.add_get("/orders", self._guarded(self._list_orders))
        app.router.add_get(r"/orders/{id:\d{1,18}}", self._guarded(self._order))
        app.router.add_get("/stats", self._stats)
        app.router.add_get("/healthz", process.healthz)
        return app

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            resource = request.match_info.route.resource
            self._calls[resource.canonical if resource else request.path] += 1
            await asyncio.sleep(self._latency)
            try:
                self._admit(request)
                response = process.answer(request, await handler(request))
            except Refused as why:
                response = process.answer(request, {"message": str(why)}, why.status)
            response.headers.update(self._limits(response.status))
            return response

        return guarded

    def _admit(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Basic {CREDENTIALS}":
            raise Refused(401, "The API key or its secret is not known.")
        if not self._window.take(time.monotonic()):
            self._limited += 1
            raise Refused(429, "Too many calls: wait for the next window.")

    def _limits(self, status: int) -> dict[str, str]:
        remaining, reset = self._window.left(time.monotonic())
        told = {"Limit": self._window.limit, "Remaining": remaining, "Reset": reset}
        fields = {f"X-Rate-Limit-{name}": str(value) for name, value in told.items()}
        return fields | ({"Retry-After": str(reset)} if status == 429 else {})

    async def _list_stores(self, _request: web.Request) -> list[Record]:
        now = self._wall()
        return [sales.store(store_id) | self._dates(store_id, now) for store_id in self._stores]

    async def _list_orders(self, request: web.Request) -> Record:
        number = asked.whole(request, "page", 1)
        size = min(asked.whole(request, "pageSize", PAGE_SIZE), _LARGEST_PAGE)
        store_id = asked.whole(request, "storeId")
        stores = [self._known(store_id)] if store_id else self._stores
        has = {found: self._most(found) for found in stores}
        total = sum(has.values())
        ids = chain.from_iterable(sales.order_ids(found, most) for found, most in has.items())
        page = [self._record(order_id) for order_id in islice(ids, (number - 1) * size, number * size)]
        return {"orders": page, "total": total, "page": number, "pages": -(-total // size)}

    async def _order(self, request: web.Request) -> Record:
        order_id = int(request.match_info["id"])
        store_id = sales.store_of(order_id)
        if store_id not in self._stores or order_id not in sales.order_ids(store_id, self._most(store_id)):
            raise Refused(404, f"There is no order {order_id}.")
        return self._record(order_id)

    async def _refresh(self, request: web.Request) -> Record:
        sent = await asked.content(request)
        named, since = asked.store_id(request, sent), asked.since(request, sent)
        for store_id in filter(sales.is_active, self._stores) if named is None else [self._active(named)]:
            self._imports.begin(store_id, since, self._wall())
        what = "all refreshable stores" if named is None else f"Store ID {named}"
        return {"success": True, "message": f"A store refresh has been initiated for {what}"}

    async def _status(self, request: web.Request) -> Record:
        store_id, now = self._known(asked.whole(request, "storeId")), self._wall()
        status = self._imports.status(store_id, now)
        told = {"storeId": store_id, "refreshStatusId": status.id, "refreshStatus": status.text}
        return told | self._dates(store_id, now)

    async def _stats(self, _request: web.Request) -> web.Response:
        begun = {str(store_id): count for store_id, count in self._imports.begun.items()}
        counts = {"calls": self._calls.total(), "limited": self._limited, "by_path": dict(self._calls)}
        return web.json_response(counts | {"imports": begun})

    def _known(self, store_id: int) -> int:
        if store_id not in self._stores:
            raise Refused(404, f"There is no store {store_id}.")
        return store_id

    def _active(self, store_id: int) -> int:
        if not sales.is_active(self._known(store_id)):
            raise Refused(400, f"Store ID {store_id} is not active.")
        return store_id

    def _most(self, store_id: int) -> int:
        return self._orders + sales.BROUGHT * self._imports.done(store_id, self._wall())

    def _record(self, order_id: int) -> Record:
        store_id = sales.store_of(order_id)
        return sales.order(order_id, self._most(store_id), self._imports.done(store_id, self._wall()))

    def _dates(self, store_id: int, now: float) -> Record:
        attempted, since = self._imports.dates(store_id, now)
        return {"lastRefreshAttempt": asked.written(attempted), "refreshDate": asked.written(since)}


def main() -> int:
    """Serve until SIGINT or SIGTERM; 0 then, 2 when the address cannot be had."""
    told = _arguments()
    imports, window = Imports(told.import_time / 1000), Window(told.rate, _MINUTE)
    orders = Orders(told.latency / 1000, told.stores, told.orders, imports, window)
    return process.serve("orders", orders.app(), told.host, told.port)


def _arguments() -> argparse.Namespace:
    parser = process.parser("orders", port=8082, latency=50.0)
    parser.add_argument("--stores", type=int, default=4, help="how many stores there are; every fourth is closed")
    parser.add_argument("--orders", type=int, default=25, help="orders of each store before its first import")
    parser.add_argument("--import-time", type=float, default=3000.0, help="milliseconds that an import takes")
    parser.add_argument("--rate", type=int, default=1200, help="calls a minute")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
