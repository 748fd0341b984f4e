"""The demo's upstream, a process of its own: `python -m gateway.demo.upstream --port 8081`.

It stands where the paid API would: slow, with an API key of its own, and it counts what it is asked.
"""

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from gateway.demo import catalogue
from gateway.demo.process import answer, healthz, parser, serve

API_KEY: Final = "demo-upstream-key"
FORCE: Final = "fresh"

_ON: Final = frozenset({"", "1", "true", "yes", "on"})


class Source:
    """The upstream's answers and its counts. `latency` is in seconds and comes before every product."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._calls: Counter[str] = Counter()
        self._forced = 0
        self._fetches: Counter[str] = Counter()

    def app(self) -> web.Application:
        """The upstream's routes; `/stats` and `/healthz` need no key and are not counted."""
        app = web.Application()
        app.router.add_get("/v1/products/{id}", self._product)
        app.router.add_get("/v1/products", self._products)
        app.router.add_get("/stats", self._stats)
        app.router.add_get("/healthz", healthz)
        return app

    async def _product(self, request: web.Request) -> web.Response:
        item_id = request.match_info["id"]
        if not await self._admitted(request):
            return _refused()
        if not catalogue.known(item_id):
            return answer(request, {"error": "There is no such product.", "code": "not_found"}, status=404)
        fetch = self._fetches[item_id]
        self._fetches[item_id] += 1
        today = datetime.now(UTC).date()
        offers, reviews = _asked(request, "include_offers"), _asked(request, "include_reviews")
        return answer(request, catalogue.product(item_id, fetch, today, offers=offers, reviews=reviews))

    async def _products(self, request: web.Request) -> web.Response:
        if not await self._admitted(request):
            return _refused()
        return answer(request, {"products": catalogue.listing(request.query.get("query", ""))})

    async def _stats(self, _request: web.Request) -> web.Response:
        counts = {"calls": self._calls.total(), "forced": self._forced, "by_path": dict(self._calls)}
        return web.json_response(counts)

    async def _admitted(self, request: web.Request) -> bool:
        """Count the call and wait as a slow API would; False for a wrong key."""
        self._calls[request.path] += 1
        self._forced += _asked(request, FORCE)
        await asyncio.sleep(self._latency)
        return request.headers.get("Authorization") == f"Bearer {API_KEY}"


def _asked(request: web.Request, flag: str) -> bool:
    return request.query.get(flag, "0").lower() in _ON


def _refused() -> web.Response:
    return web.json_response({"error": "The API key is not known.", "code": "unauthorized"}, status=401)


def main() -> int:
    """Serve until SIGINT or SIGTERM; 0 then, 2 when the address cannot be had."""
    told = parser("upstream", port=8081, latency=150.0).parse_args()
    return serve("upstream", Source(told.latency / 1000).app(), told.host, told.port)


if __name__ == "__main__":
    sys.exit(main())
