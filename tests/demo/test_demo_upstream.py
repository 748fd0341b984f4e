"""The demo upstream over real sockets: its key, its counts, gzip, and its life as a process."""

import gzip
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from support.addresses import HOST, free_port
from support.polling import eventually

from gateway.demo.catalogue import EXAMPLE
from gateway.demo.upstream import API_KEY, Source

pytestmark = pytest.mark.slow

PRODUCT = f"/v1/products/{EXAMPLE}"
KEY = {"Authorization": f"Bearer {API_KEY}"}
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
async def upstream() -> AsyncIterator[ClientSession]:
    async with (
        TestServer(Source(latency=0.0).app()) as server,
        ClientSession(server.make_url("/"), headers=PLAIN, auto_decompress=False) as session,
    ):
        yield session


async def test_each_live_fetch_has_its_own_price(upstream: ClientSession) -> None:
    prices = []
    for _ in range(3):
        async with upstream.get(PRODUCT, headers=KEY) as answer:
            assert answer.status == 200
            prices.append((await answer.json())["current_price"])
    assert prices[0] == 49.0
    assert len(set(prices)) == 3


@pytest.mark.parametrize("fields", [{}, {"Authorization": "Bearer rk_live_demo"}, {"Authorization": API_KEY}])
async def test_without_its_own_key_401(upstream: ClientSession, fields: dict[str, str]) -> None:
    for path in (PRODUCT, "/v1/products"):
        async with upstream.get(path, headers=fields) as answer:
            assert answer.status == 401
            assert (await answer.json())["code"] == "unauthorized"


async def test_an_unknown_item_is_a_404_in_json(upstream: ClientSession) -> None:
    async with upstream.get("/v1/products/0123", headers=KEY) as answer:
        assert answer.status == 404
        assert (await answer.json())["code"] == "not_found"


@pytest.mark.parametrize(
    ("query", "offers", "reviews"),
    [
        ("", False, False),
        ("?include_offers=true", True, False),
        ("?include_reviews", False, True),
        ("?include_offers=1&include_reviews=YES", True, True),
        ("?include_offers=false&include_reviews=0", False, False),
    ],
)
async def test_offers_and_reviews_only_when_asked(
    upstream: ClientSession, query: str, offers: bool, reviews: bool
) -> None:
    async with upstream.get(PRODUCT + query, headers=KEY) as answer:
        record = await answer.json()
    assert (bool(record["offers"]), record["review_summary"] is not None) == (offers, reviews)


@pytest.mark.parametrize(
    ("accepted", "coding"), [("gzip", "gzip"), ("deflate, gzip", "gzip"), ("identity", None), ("br", None)]
)
async def test_gzip_when_asked(upstream: ClientSession, accepted: str, coding: str | None) -> None:
    async with upstream.get(PRODUCT, headers=KEY | {"Accept-Encoding": accepted}) as answer:
        body = await answer.read()
        assert answer.headers.get("Content-Encoding") == coding
        assert answer.headers["Vary"] == "Accept-Encoding"
    assert json.loads(gzip.decompress(body) if coding else body)["item_id"] == EXAMPLE


async def test_stats_count_calls_and_not_themselves(upstream: ClientSession) -> None:
    calls = [
        (PRODUCT, KEY),
        (f"{PRODUCT}?fresh=true", KEY),
        (f"{PRODUCT}?fresh=false", {}),
        ("/v1/products?query=e", KEY),
    ]
    for path, fields in calls:
        async with upstream.get(path, headers=fields):
            pass
    for _ in range(2):
        async with upstream.get("/stats") as answer:
            assert await answer.json() == {"calls": 4, "forced": 1, "by_path": {PRODUCT: 3, "/v1/products": 1}}


async def test_the_listing(upstream: ClientSession) -> None:
    async with upstream.get("/v1/products?query=pressure", headers=KEY) as answer:
        assert [record["item_id"] for record in (await answer.json())["products"]] == [EXAMPLE]


def _start(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gateway.demo.upstream", "--port", str(port), "--latency", "1"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _healthy(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_ends_quietly_with_a_signal(number: signal.Signals) -> None:
    port = free_port()
    with _start(port) as process:
        eventually(lambda: _healthy(port) or process.poll() is not None)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=10)
    assert (process.returncode, complaint) == (0, "")


def test_a_taken_port_is_one_line_and_exit_2() -> None:
    with socket.create_server((HOST, 0)) as held, _start(held.getsockname()[1]) as process:
        _, complaint = process.communicate(timeout=30)
    assert process.returncode == 2
    assert complaint.startswith("demo upstream: ")
    assert complaint.count("\n") == 1
