"""The demo's order API over real sockets: its credentials, pages, imports, rate limit, and its life as a process."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from support.addresses import HOST, free_port
from support.clock import FakeClock
from support.polling import eventually

from gateway.demo import sales
from gateway.demo.imports import Imports
from gateway.demo.orders import CREDENTIALS, Orders
from gateway.demo.window import Window

pytestmark = pytest.mark.slow

STORE = sales.FIRST
CLOSED = STORE + 3
UNKNOWN = STORE + 4
REFRESH = "/stores/refreshstore"
STATUS = "/stores/getrefreshstatus"
IMPORT = 10.0
BASIC = {"Authorization": f"Basic {CREDENTIALS}"}


class Api:
    """A client of the order API that has its credentials; `clock` is the API's own."""

    def __init__(self, session: ClientSession, clock: FakeClock) -> None:
        self.clock = clock
        self._session = session

    async def ask(self, target: str, method: str = "GET", status: int = 200, **options: Any) -> Any:
        options.setdefault("headers", BASIC)
        async with self._session.request(method, target, **options) as answer:
            assert answer.status == status, await answer.text()
            self.fields = answer.headers
            return await answer.json()

    async def import_all(self) -> None:
        await self.ask(REFRESH, "POST")
        self.clock.advance(IMPORT)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    clock = FakeClock()
    orders = Orders(0.0, 4, 25, Imports(IMPORT), Window(40, 60.0), clock.wall)
    async with TestServer(orders.app()) as server, ClientSession(server.make_url("/")) as session:
        yield Api(session, clock)


async def test_the_stores_with_one_that_is_closed(api: Api) -> None:
    stores = await api.ask("/stores")
    assert [(store["storeId"], store["active"]) for store in stores] == [
        (STORE, True),
        (STORE + 1, True),
        (STORE + 2, True),
        (CLOSED, False),
    ]
    assert {(store["lastRefreshAttempt"], store["refreshDate"]) for store in stores} == {(None, None)}


@pytest.mark.parametrize(
    ("query", "count", "total", "page", "pages"),
    [
        (f"?storeId={STORE}", 10, 25, 1, 3),
        (f"?storeId={STORE}&page=3", 5, 25, 3, 3),
        (f"?storeId={STORE}&page=4", 0, 25, 4, 3),
        (f"?storeId={STORE}&pageSize=25", 25, 25, 1, 1),
        ("?pageSize=1000", 100, 100, 1, 1),
        ("?page=10", 10, 100, 10, 10),
    ],
)
async def test_a_page_of_orders(api: Api, query: str, count: int, total: int, page: int, pages: int) -> None:
    told = await api.ask(f"/orders{query}")
    assert list(told) == ["orders", "total", "page", "pages"]
    assert (len(told.pop("orders")), told) == (count, {"total": total, "page": page, "pages": pages})


async def test_the_pages_hold_each_order_once(api: Api) -> None:
    found = [
        order["orderId"]
        for page in range(1, 4)
        for order in (await api.ask(f"/orders?storeId={STORE}&page={page}"))["orders"]
    ]
    assert found == list(sales.order_ids(STORE, 25))


async def test_an_order_is_the_one_of_the_list(api: Api) -> None:
    [listed] = (await api.ask(f"/orders?storeId={STORE}&pageSize=1"))["orders"]
    assert await api.ask(f"/orders/{listed['orderId']}") == listed
    assert listed["advancedOptions"]["storeId"] == STORE


@pytest.mark.parametrize("order_id", [0, STORE, sales.order_ids(STORE, 26)[0], sales.order_ids(UNKNOWN, 1)[0]])
async def test_an_unknown_order_is_a_404(api: Api, order_id: int) -> None:
    assert "message" in await api.ask(f"/orders/{order_id}", status=404)


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        (f"?storeId={STORE}", None),
        ("", {"storeId": STORE}),
        ("", {"storeId": str(STORE)}),
        ("?storeId=storeId&refreshDate=refreshDate", {"storeId": STORE, "refreshDate": "2020-05-29 15:05:02"}),
    ],
    ids=["query", "content", "text", "placeholders"],
)
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
async def test_a_refresh_of_one_store(api: Api, query: str, sent: object, kind: str) -> None:
    content = b"" if sent is None else json.dumps(sent).encode()
    answer = await api.ask(REFRESH + query, "POST", data=content, headers=BASIC | {"Content-Type": kind})
    assert answer == {"success": True, "message": f"A store refresh has been initiated for Store ID {STORE}"}
    assert (await api.ask("/stats"))["imports"] == {str(STORE): 1}


async def test_a_refresh_of_all_is_of_those_that_are_active(api: Api) -> None:
    answer = await api.ask(REFRESH, "POST")
    assert answer == {"success": True, "message": "A store refresh has been initiated for all refreshable stores"}
    assert (await api.ask("/stats"))["imports"] == {str(STORE + place): 1 for place in range(3)}


async def test_the_orders_are_new_once_the_import_has_ended(api: Api) -> None:
    listing = f"/orders?storeId={STORE}"
    before = await api.ask(listing)
    await api.ask(f"{REFRESH}?storeId={STORE}", "POST")
    assert await api.ask(listing) == before
    api.clock.advance(IMPORT)
    after = await api.ask(listing)
    assert after["total"] == before["total"] + sales.BROUGHT
    assert after["orders"][sales.BROUGHT]["orderId"] == before["orders"][0]["orderId"]
    assert {order["advancedOptions"]["customField1"] for order in after["orders"]} == {"import 1"}
    assert (await api.ask(f"/orders?storeId={STORE + 1}"))["total"] == before["total"]


async def test_its_status_from_first_to_last(api: Api) -> None:
    target = f"{STATUS}?storeId={STORE}"
    assert await api.ask(target) == {
        "storeId": STORE,
        "refreshStatusId": 1,
        "refreshStatus": "Never refreshed",
        "lastRefreshAttempt": None,
        "refreshDate": None,
    }
    await api.ask(f"{REFRESH}?storeId={STORE}&refreshDate=2020-05-29%2015:05:02", "POST")
    running = await api.ask(target)
    assert (running["refreshStatusId"], running["refreshStatus"]) == (2, "Updating orders")
    assert running["refreshDate"] == "2020-05-29 15:05:02"
    api.clock.advance(IMPORT)
    done = await api.ask(target)
    assert done["refreshStatusId"] == 3
    assert done["refreshDate"] == done["lastRefreshAttempt"] == running["lastRefreshAttempt"]


async def test_a_date_alone_is_its_midnight(api: Api) -> None:
    await api.ask(f"{REFRESH}?storeId={STORE}", "POST", json={"refreshDate": "2020-05-29"})
    assert (await api.ask(f"{STATUS}?storeId={STORE}"))["refreshDate"] == "2020-05-29 00:00:00"


@pytest.mark.parametrize(
    ("method", "target", "content", "status"),
    [
        ("POST", f"{REFRESH}?storeId={UNKNOWN}", b"", 404),
        ("POST", f"{REFRESH}?storeId={CLOSED}", b"", 400),
        ("POST", REFRESH, b'{"storeId": "all"}', 400),
        ("POST", REFRESH, b"[]", 400),
        ("POST", REFRESH, b"{", 400),
        ("POST", REFRESH, b'{"refreshDate": "29 May 2020"}', 400),
        ("POST", f"{REFRESH}?refreshDate=2020-13-01", b"", 400),
        ("GET", STATUS, b"", 404),
        ("GET", f"{STATUS}?storeId=storeId", b"", 400),
        ("GET", f"{STATUS}?storeId={UNKNOWN}", b"", 404),
        ("GET", f"/orders?storeId={UNKNOWN}", b"", 404),
        ("GET", "/orders?page=0", b"", 400),
        ("GET", "/orders?page=-1", b"", 400),
        ("GET", f"/orders?pageSize={'9' * 5000}", b"", 400),
    ],
)
async def test_what_is_asked_wrongly(api: Api, method: str, target: str, content: bytes, status: int) -> None:
    assert "message" in await api.ask(target, method, status, data=content)
    assert (await api.ask("/stats"))["imports"] == {}


@pytest.mark.parametrize(
    "fields", [{}, {"Authorization": CREDENTIALS}, {"Authorization": "Basic ZGVtbw=="}], ids=["none", "bare", "others"]
)
async def test_without_its_credentials_401(api: Api, fields: dict[str, str]) -> None:
    for method, target in [("GET", "/stores"), ("GET", "/orders"), ("GET", STATUS), ("POST", REFRESH)]:
        assert "message" in await api.ask(target, method, 401, headers=fields)


async def test_too_many_calls_are_told_when_to_come_again(api: Api) -> None:
    for remaining in reversed(range(40)):
        await api.ask("/stores")
        assert (api.fields["X-Rate-Limit-Limit"], api.fields["X-Rate-Limit-Remaining"]) == ("40", str(remaining))
    await api.ask(REFRESH, "POST", status=429)
    assert 1 <= int(api.fields["Retry-After"]) == int(api.fields["X-Rate-Limit-Reset"]) <= 60
    stats = await api.ask("/stats", headers={})
    assert (stats["limited"], stats["imports"]) == (1, {})


async def test_the_counts_are_by_path(api: Api) -> None:
    order_id = sales.order_ids(STORE, 25)[0]
    for target in ("/orders?page=1", "/orders?page=2", f"/orders/{order_id}"):
        await api.ask(target)
    stats = await api.ask("/stats", headers={})
    assert stats == {"calls": 3, "limited": 0, "by_path": {"/orders": 2, "/orders/{id}": 1}, "imports": {}}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_ends_quietly_with_a_signal(number: signal.Signals) -> None:
    port = free_port()
    with _start(
        port, "--latency", "0", "--stores", "1", "--orders", "1", "--import-time", "1", "--rate", "5"
    ) as process:
        eventually(lambda: _healthy(port) or process.poll() is not None)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=10)
    assert (process.returncode, complaint) == (0, "")


def test_a_taken_port_is_one_line_and_exit_2() -> None:
    with socket.create_server((HOST, 0)) as held, _start(held.getsockname()[1]) as process:
        _, complaint = process.communicate(timeout=30)
    assert process.returncode == 2
    assert complaint.startswith("demo orders: ")
    assert complaint.count("\n") == 1


def _start(port: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gateway.demo.orders", "--port", str(port), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _healthy(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except ConnectionRefusedError:
        return False
