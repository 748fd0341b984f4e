"""What the vendor charges, in three books: the upstream's own, `gateway usage`, and the ledger's spends by account."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from support.config import OTHER_KEY, Config, config, key_field, origin, product_route, route
from support.gateway import RunningGateway
from support.load import connections, read_by_now
from support.polling import eventually
from support.scripts import End, Gate, Received, head, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"
HOUSE = "gateway:house"
STALE = {"ttl": "250ms", "stale_while_revalidate": "1h"}


# A spend is an open row until its minute is over, then a link of the chain.
TABLES = ("open", "chain")


class Vendor:
    """An upstream that charges 1 token for its first call, 2 for the second and so on, and keeps its own book."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self.upstream = upstream
        self.calls: list[int] = []

    @property
    def charged(self) -> int:
        return sum(self.calls)

    def charge(self, request: Received) -> bytes:
        """Any call that brings an answer."""
        self.calls.append(len(self.calls) + 1)
        return json_answer({"path": request.path, "tokens_consumed": self.calls[-1]}, ETag='"one"')

    def validate(self, request: Received) -> bytes:
        """The same, where nothing confirms what is stored; that costs nothing."""
        if request.field("If-None-Match") is not None:
            return head(304, 'ETag: "one"')
        return self.charge(request)


class Spends(dict[str, tuple[int, int]]):
    """The ledger's spends once the gateway has stopped: by account how many, and the tokens."""

    def __init__(self, running: RunningGateway) -> None:
        either = " UNION ALL ".join(
            f"SELECT account, count, cost FROM {table} WHERE kind = 'spend'" for table in TABLES
        )
        with closing(sqlite3.connect(running.folder / "var" / "book.sqlite3")) as db:
            rows = db.execute(f"SELECT account, sum(count), sum(cost) FROM ({either}) GROUP BY account")
            super().__init__({account: (count, cost) for account, count, cost in rows})

    @property
    def total(self) -> int:
        return sum(cost for _, cost in self.values())


@pytest.fixture
def vendor(upstream: ScriptedUpstream) -> Vendor:
    return Vendor(upstream)


@pytest.fixture
def running(vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    whole = config(
        vendor.upstream.url,
        product_route(),
        route("/while/{id}", "while", cache=STALE),
        route("/bare/{id}", "bare"),
        route("/public/{id}", "public", access="public", cache={"ttl": "15m"}),
        upstreams={"origin": origin(vendor.upstream.url, cost={"body": "tokens_consumed"})},
    )
    with RunningGateway(tmp_path_factory.mktemp("costs"), whole) as started:
        yield started


@pytest.fixture
def client(running: RunningGateway) -> httpx.Client:
    return running.client(key_field())


def usage(running: RunningGateway) -> int:
    """The vendor's tokens as `gateway usage` has them."""
    nowhere = {"GATEWAY_LISTEN": "127.0.0.1:1", "GATEWAY_ADMIN": "127.0.0.1:2"}
    told = running.command("usage", "--by", "upstream", "--format", "json", **nowhere)
    assert told.returncode == 0, told.stderr
    counted: Config = json.loads(told.stdout)
    assert counted["total"]["vendor_tokens"] == sum(row["vendor_tokens"] for row in counted["rows"])
    return int(counted["total"]["vendor_tokens"])


def agree(running: RunningGateway, vendor: Vendor) -> Spends:
    """All three books say the same, while the gateway runs and after it."""
    assert usage(running) == vendor.charged
    running.stop()
    spends = Spends(running)
    assert (spends.total, usage(running)) == (vendor.charged, vendor.charged)
    return spends


def test_each_call_is_its_callers_and_hits_are_none(
    running: RunningGateway, client: httpx.Client, vendor: Vendor, item: str
) -> None:
    path = f"{PRODUCT}/{item}"
    vendor.upstream.script(path, vendor.charge)
    for caller in (client, running.client(key_field(OTHER_KEY))):
        body = [caller.get(path).json()["tokens_consumed"] for _ in range(3)]
        assert body == [1, 1, 1]
    assert client.post(f"{path}/refresh").json()["tokens_consumed"] == 9
    vendor.upstream.script(f"{PRODUCT}/{item}-other", vendor.charge)
    running.client(key_field(OTHER_KEY)).get(f"{PRODUCT}/{item}-other")
    assert agree(running, vendor) == {"alpha": (2, 1 + 2), "bravo": (1, 3)}


async def test_collapsed_requests_are_one_call(running: RunningGateway, vendor: Vendor, item: str) -> None:
    path, gate = f"{PRODUCT}/{item}", Gate()
    vendor.upstream.script(path, gate, vendor.charge)
    authorized = f"Authorization: {key_field()['Authorization']}"
    async with connections(running.address, 30) as callers:
        for caller in callers:
            caller.request("GET", path, authorized)
        await read_by_now(running.address)
        gate.open()
        replies = await asyncio.gather(*(caller.answer() for caller in callers))
    assert {reply.status for reply in replies} == {200}
    assert agree(running, vendor) == {"alpha": (1, 1)}


def test_the_gateways_own_fetches_and_the_publics_are_the_houses(
    running: RunningGateway, client: httpx.Client, vendor: Vendor, item: str
) -> None:
    paths = f"/while/{item}", f"/public/{item}"
    for path in paths:
        vendor.upstream.script(path, vendor.charge)
        client.get(path)
    eventually(lambda: client.get(paths[0]).json()["tokens_consumed"] > 1)
    assert agree(running, vendor) == {"alpha": (1, 1), HOUSE: (len(vendor.calls) - 1, vendor.charged - 1)}


def test_a_304_costs_nothing(running: RunningGateway, client: httpx.Client, vendor: Vendor, item: str) -> None:
    path = f"/while/{item}"
    vendor.upstream.script(path, vendor.validate)
    client.get(path)

    def validated() -> bool:
        client.get(path)
        return len(vendor.upstream.calls(path)) > 2

    eventually(validated)
    assert agree(running, vendor) == {"alpha": (1, 1)}


def test_failures_cost_what_the_vendor_says_and_the_client_nothing(
    running: RunningGateway, client: httpx.Client, vendor: Vendor, item: str
) -> None:
    path = f"{PRODUCT}/{item}"
    vendor.upstream.then(path, json_answer({"tokens_consumed": 0}, 500))
    vendor.upstream.then(path, head(200, "Content-Length: 100") + b'{"tokens_consumed": 9', End.close)
    vendor.upstream.then(path, End.close)
    vendor.upstream.then(path, End.close)
    vendor.upstream.then(path, json_answer({"tokens_consumed": -9}, 404))
    vendor.upstream.script(path, vendor.charge)
    statuses = [client.get(path).status_code for _ in range(5)]
    assert statuses == [502, 502, 502, 404, 200]
    assert agree(running, vendor) == {"alpha": (1, 1)}


def test_what_passes_is_counted_as_well(
    running: RunningGateway, client: httpx.Client, vendor: Vendor, item: str
) -> None:
    path = f"/bare/{item}"
    vendor.upstream.script(path, vendor.charge)
    assert client.post(path, content=b"x" * 100_000).json()["tokens_consumed"] == 1
    assert client.get(path).json()["tokens_consumed"] == 2
    assert agree(running, vendor) == {"alpha": (2, 1 + 2)}


def test_what_a_client_was_told_outlives_a_kill(
    running: RunningGateway, client: httpx.Client, vendor: Vendor, item: str
) -> None:
    for number in range(20):
        vendor.upstream.script(f"{PRODUCT}/{item}-{number}", vendor.charge)
        client.get(f"{PRODUCT}/{item}-{number}")
    running.kill9()
    assert usage(running) == vendor.charged
    running.start()
    assert agree(running, vendor) == {"alpha": (20, 210)}
