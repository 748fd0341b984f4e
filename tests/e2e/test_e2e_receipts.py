"""Receipts from outside: what was charged and why, for whoever was charged, also when the answer was lost."""

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest
from support.answers import tokens
from support.config import KEY, KeyRing, config, key_field, plan, product_route, route
from support.gateway import RunningGateway, StartGateway
from support.polling import eventually
from support.scripts import End, Gate, answer, head, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

RING = KeyRing(60, "pro")
PRODUCT = "/v1/products"
OFFERS = "include_offers=true"
BASE, OPTION, SURCHARGE = ({"name": "base", "tokens": 1}, {"name": "offers_reviews", "tokens": 5}, {"tokens": 3})
FORCED = {"name": "force_refresh", **SURCHARGE}


@pytest.fixture(scope="module")
def metered(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    refresh = {"query": ["force_refresh"]}
    price = {"base": 1, "force_refresh": 3}
    routes = [
        product_route(),
        route("/stream/{id}", "stream", cache={"ttl": "15m", "max_body": "1KiB"}, price=price, refresh=refresh),
        route("/spare/{id}", "spare", cache={"ttl": "15m", "stale_if_error": "1h"}, price=price, refresh=refresh),
    ]
    plans = {"pro": plan(2000, throttle={"rate": "10/h", "burst": 10})}
    with RunningGateway(
        tmp_path_factory.mktemp("metered"), config(origin.url, *routes, keys=RING.keys, plans=plans)
    ) as running:
        yield running


@pytest.fixture
def client(metered: RunningGateway) -> httpx.Client:
    return metered.client(RING.take())


def receipt_of(client: httpx.Client, reply: httpx.Response) -> dict[str, object]:
    """The receipt that an answer names."""
    found = client.get(f"/-/receipts/{reply.headers['X-Receipt-Id']}")
    assert (found.status_code, found.headers["Cache-Control"]) == (200, "no-store")
    receipt: dict[str, object] = found.json()
    return receipt


CHARGED = {
    "option, miss": ("GET", f"{PRODUCT}/{{item}}?{OFFERS}", False, "miss", [BASE, OPTION]),
    "option, hit": ("GET", f"{PRODUCT}/{{item}}?{OFFERS}", True, "hit", [BASE, OPTION]),
    "refresh": ("GET", f"{PRODUCT}/{{item}}?force_refresh=1", False, "refreshed", [BASE, FORCED]),
    "refresh by POST": ("POST", f"{PRODUCT}/{{item}}/refresh", False, "refreshed", [BASE, OPTION, FORCED]),
    "refresh by HEAD": ("HEAD", f"{PRODUCT}/{{item}}?force_refresh=1", True, "refreshed", [BASE, FORCED]),
}


@pytest.mark.parametrize(("method", "target", "stored", "outcome", "lines"), CHARGED.values(), ids=CHARGED.keys())
def test_a_charge_above_a_plain_lookup_has_a_receipt(
    client: httpx.Client,
    item: str,
    method: str,
    target: str,
    stored: bool,
    outcome: str,
    lines: list[dict[str, object]],
) -> None:
    target = target.format(item=item)
    if stored:
        client.get(f"{PRODUCT}/{item}?{OFFERS}")
    reply = client.request(method, target, headers={"X-Request-Id": f"asked-{item}"})
    cost = tokens(reply)[0]
    receipt = receipt_of(client, reply)
    assert re.fullmatch(r"rcpt_[0-9a-f]+", str(receipt["id"]))
    assert receipt["id"] == reply.headers["X-Receipt-Id"]
    assert (receipt["request_id"], receipt["route"], receipt["outcome"]) == (f"asked-{item}", "product", outcome)
    assert (receipt["tokens"], receipt["charged"], receipt["refunded"]) == (cost, cost, 0)
    assert receipt["lines"] == lines
    assert receipt["why"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(receipt["at"]))


def test_a_plain_lookup_has_none(client: httpx.Client, item: str) -> None:
    for _ in range(2):
        reply = client.get(f"{PRODUCT}/{item}")
        assert (tokens(reply)[0], reply.headers.get("X-Receipt-Id")) == (1, None)
    assert client.get("/-/receipts").json() == {"receipts": []}


def test_what_is_free_says_no_receipt(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"{PRODUCT}/{item}", answer("broken", 500))
    failed = client.post(f"{PRODUCT}/{item}/refresh")
    assert (failed.status_code, tokens(failed)[0], failed.headers.get("X-Receipt-Id")) == (502, 0, None)


def test_each_operation_has_its_own_and_the_newest_stands_first(client: httpx.Client, item: str) -> None:
    replies = [client.get(f"{PRODUCT}/{item}?{OFFERS}") for _ in range(3)]
    ids = [reply.headers["X-Receipt-Id"] for reply in replies]
    assert len(set(ids)) == 3
    assert [receipt["id"] for receipt in client.get("/-/receipts").json()["receipts"]] == ids[::-1]


def test_a_receipt_is_free_and_not_throttled(client: httpx.Client, item: str) -> None:
    reply = client.get(f"{PRODUCT}/{item}?{OFFERS}")
    for _ in range(20):
        receipt_of(client, reply)
    again = client.get(f"{PRODUCT}/{item}?{OFFERS}")
    assert tokens(again) == (6, 1988)
    assert again.headers["X-RateLimit-Throttle-Remaining"] == "8"


def test_only_the_account_that_paid_sees_it(metered: RunningGateway, client: httpx.Client, item: str) -> None:
    reply = client.get(f"{PRODUCT}/{item}?{OFFERS}", headers={"X-Request-Id": f"mine-{item}"})
    other = metered.client(RING.take())
    refused = other.get(f"/-/receipts/{reply.headers['X-Receipt-Id']}")
    never = other.get("/-/receipts/rcpt_fffffff")
    assert (refused.status_code, refused.json()["reason"]) == (404, "no_receipt")
    assert refused.json().keys() == never.json().keys()
    assert {**refused.json(), "request_id": ""} == {**never.json(), "request_id": ""}
    assert other.get(f"/-/receipts?request_id=mine-{item}").json() == {"receipts": []}
    nobody = metered.client().get(f"/-/receipts/{reply.headers['X-Receipt-Id']}")
    assert (nobody.status_code, "Bearer" in nobody.headers["WWW-Authenticate"]) == (401, True)


def test_only_get_and_head_are_allowed(client: httpx.Client, item: str) -> None:
    reply = client.get(f"{PRODUCT}/{item}?{OFFERS}")
    path = f"/-/receipts/{reply.headers['X-Receipt-Id']}"
    refused = client.delete(path)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
    headed = client.head(path)
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["Content-Length"] == client.get(path).headers["Content-Length"]


async def test_whoever_lost_the_answer_finds_its_receipt_by_request_id(
    metered: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    fields, gate = RING.take(), Gate()
    origin.then(f"{PRODUCT}/{item}", gate, json_answer({}))
    async with await Connection.open(metered.address) as lost:
        authorized = f"Authorization: {fields['Authorization']}"
        lost.request("POST", f"{PRODUCT}/{item}/refresh", authorized, f"X-Request-Id: lost/{item}&1")
        await origin.arrived(f"{PRODUCT}/{item}")
        lost.hang_up()
    gate.open()
    client = metered.client(fields)

    def found() -> list[dict[str, object]]:
        receipts: list[dict[str, object]] = client.get("/-/receipts", params={"request_id": f"lost/{item}&1"}).json()[
            "receipts"
        ]
        return receipts

    (receipt,) = await asyncio.to_thread(eventually, found)
    assert (receipt["tokens"], receipt["outcome"]) == (9, "refreshed")


def test_a_stream_that_broke_is_told_as_refunded(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/stream/{item}", head(200, "Content-Length: 9000") + b"x" * 2048, End.reset)
    fields = {"X-Request-Id": f"broken-{item}"}
    with pytest.raises(httpx.HTTPError):
        client.get(f"/stream/{item}?force_refresh=1", headers=fields)
    receipts = eventually(lambda: refunded(client, f"broken-{item}"))
    (receipt,) = receipts
    assert (receipt["charged"], receipt["refunded"], receipt["tokens"]) == (4, 4, 0)
    assert receipt["outcome"] == "truncated"


def refunded(client: httpx.Client, request: str) -> list[dict[str, object]] | None:
    receipts: list[dict[str, object]] = client.get(f"/-/receipts?request_id={request}").json()["receipts"]
    return receipts if receipts and receipts[0]["refunded"] else None


def test_what_was_paid_in_part_says_which_lines(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path = f"/spare/{item}"
    origin.then(path, answer("good"))
    origin.script(path, answer("broken", 500))
    client.get(path)
    reply = client.get(f"{path}?force_refresh=1")
    assert (reply.text, tokens(reply)[0]) == ("good", 1)
    receipt = receipt_of(client, reply)
    assert (receipt["outcome"], receipt["tokens"], receipt["reserved"]) == ("stale_if_error", 1, 4)
    assert receipt["lines"] == [BASE]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_receipts_survive(gateway: StartGateway, upstream: ScriptedUpstream, end: str) -> None:
    keys = [{"id": "a", "key": KEY, "plan": "pro"}]
    running = gateway(config(upstream.url, product_route(), keys=keys, plans={"pro": plan(2000)}))
    client = running.client(key_field())
    reply = client.post(f"{PRODUCT}/1/refresh")
    before = receipt_of(client, reply)
    running.stop() if end == "stop" else running.kill9()
    running.start()
    assert receipt_of(running.client(key_field()), reply) == before
