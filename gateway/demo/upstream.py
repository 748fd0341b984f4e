"""The demo's upstream, a process of its own: `python -m gateway.demo.upstream --port 8081`.

It stands where the paid API would: slow, with an API key of its own, and it counts what it is asked.
"""

import argparse
import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from gateway.demo import catalogue

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
        app.router.add_get("/healthz", self._healthz)
        return app

    async def _product(self, request: web.Request) -> web.Response:
        item_id = request.match_info["id"]
        if not await self._admitted(request):
            return _refused()
        if not catalogue.known(item_id):
            return _answer(request, {"error": "There is no such product.", "code": "not_found"}, status=404)
        fetch = self._fetches[item_id]
        self._fetches[item_id] += 1
        today = datetime.now(UTC).date()
        offers, reviews = _asked(request, "include_offers"), _asked(request, "include_reviews")
        return _answer(request, catalogue.product(item_id, fetch, today, offers=offers, reviews=reviews))

    async def _products(self, request: web.Request) -> web.Response:
        if not await self._admitted(request):
            return _refused()
        return _answer(request, {"products": catalogue.listing(request.query.get("query", ""))})

    async def _stats(self, _request: web.Request) -> web.Response:
        counts = {"calls": self._calls.total(), "forced": self._forced, "by_path": dict(self._calls)}
        return web.json_response(counts)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _admitted(self, request: web.Request) -> bool:
        """Count the call and wait as a slow API would; False for a wrong key."""
        self._calls[request.path] += 1
        self._forced += _asked(request, FORCE)
        await asyncio.sleep(self._latency)
        return request.headers.get("Authorization") == f"Bearer {API_KEY}"


def _asked(request: web.Request, flag: str) -> bool:
    return request.query.get(flag, "0").lower() in _ON


def _answer(request: web.Request, body: catalogue.Record, status: int = 200) -> web.Response:
    response = web.json_response(body, status=status, headers={"Vary": "Accept-Encoding"})
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _refused() -> web.Response:
    return web.json_response({"error": "The API key is not known.", "code": "unauthorized"}, status=401)


def main() -> int:
    """Serve until SIGINT or SIGTERM; 0 then, 2 when the address cannot be had."""
    asked = _arguments()
    try:
        web.run_app(
            Source(asked.latency / 1000).app(),
            host=asked.host,
            port=asked.port,
            print=None,
            access_log=None,
            shutdown_timeout=1.0,
        )
    except OSError as why:
        sys.stderr.write(f"demo upstream: {why}\n")
        return 2
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gateway.demo.upstream", description="The demo's upstream.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--latency", type=float, default=150.0, help="milliseconds before each product")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
