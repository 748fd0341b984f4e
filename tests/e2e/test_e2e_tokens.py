"""Tokens from outside: the seed's arithmetic, every field of the answers, what is free, and exact sums."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from support.addresses import free_port
from support.answers import tokens
from support.config import KEY, KeyRing, config, plan, product_route, route
from support.config import origin as own
from support.gateway import RunningGateway, StartGateway
from support.load import connections, read_by_now
from support.scripts import End, Gate, Script, answer, head, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

RING = KeyRing(120, "pro")
PRODUCT = "/v1/products"
FULL = "include_offers=true&include_reviews=true"


@pytest.fixture(scope="module")
def metered(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        product_route(),
        route("/bare/{id}", "bare"),
        route("/picky/{id}", "picky", price={"base": 2, "charge_on": ["2xx", 404]}),
        route("/free/{id}", "free", price=0),
        route("/down/{id}", "down", upstream="down"),
        route("/public/{rest:.*}", "public", access="public"),
    ]
    for entry in routes:
        entry.setdefault("upstream", "origin")
    upstreams = {"origin": own(origin.url), "down": own(f"http://127.0.0.1:{free_port()}")}
    plans = {"pro": plan(2000, throttle={"rate": "600/min", "burst": 600})}
    whole = config(origin.url, *routes, upstreams=upstreams, keys=RING.keys, plans=plans)
    with RunningGateway(tmp_path_factory.mktemp("metered"), whole) as running:
        yield running


@pytest.fixture
def client(metered: RunningGateway) -> httpx.Client:
    return metered.client(RING.take())


def test_the_seeds_arithmetic(client: httpx.Client, item: str) -> None:
    path = f"{PRODUCT}/{item}"
    steps = [
        ("GET", path, 1),
        ("GET", path, 1),
        ("GET", f"{path}?{FULL}", 6),
        ("GET", f"{path}?{FULL}", 6),
        ("GET", f"{path}?include_reviews=true", 6),
        ("GET", f"{path}?{FULL}&include_force_refresh=true", 9),
        ("POST", f"{path}/refresh", 9),
        ("GET", f"{path}?include_force_refresh=true", 4),
    ]
    left = 2000
    for method, target, price in steps:
        left -= price
        reply = client.request(method, target)
        assert tokens(reply) == (price, left), target
        assert (reply.json()["tokens_consumed"], reply.json()["tokens_remaining"]) == (price, left)


def test_a_full_refresh_leaves_1991_of_2000(client: httpx.Client, item: str) -> None:
    body = client.post(f"{PRODUCT}/{item}/refresh").json()
    assert (body["tokens_consumed"], body["tokens_remaining"]) == (9, 1991)
    assert list(body)[-2:] == ["tokens_consumed", "tokens_remaining"]


def test_every_field_of_a_metered_answer(client: httpx.Client, item: str) -> None:
    fields = client.get(f"{PRODUCT}/{item}").headers
    assert fields["X-Tokens-Consumed"] == "1"
    assert fields["X-Tokens-Remaining"] == "1999"
    assert fields["X-RateLimit-Tokens-Remaining"] == "1999"
    assert fields["X-RateLimit-Throttle-Limit"] == "600"
    assert 598 <= int(fields["X-RateLimit-Throttle-Remaining"]) <= 600
    renewal = datetime.fromisoformat(fields["X-RateLimit-Reset"])
    assert renewal > datetime.now(UTC)
    assert (renewal.day, renewal.hour, renewal.minute, renewal.second) == (1, 0, 0, 0)
    assert re.search(r'"[a-z]+";q=2000;w=\d+', fields["RateLimit-Policy"])
    assert re.search(r'"[a-z]+";r=1999;t=\d+', fields["RateLimit"])
    assert fields["X-Request-Id"]


def test_the_clients_request_id_is_kept(client: httpx.Client, item: str) -> None:
    assert client.get(f"{PRODUCT}/{item}", headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"


def test_public_routes_carry_no_token_fields(client: httpx.Client, item: str) -> None:
    fields = client.get(f"/public/{item}").headers
    assert not [name for name in fields if "token" in name.lower() or "ratelimit" in name.lower()]


def test_a_price_of_nothing_is_still_counted(client: httpx.Client, item: str) -> None:
    assert tokens(client.get(f"/free/{item}")) == (0, 2000)


FREE: dict[str, Script] = {
    **{f"status {status}": (answer("broken", status),) for status in (500, 502, 503, 504)},
    **{f"credentials {status}": (answer("no", status),) for status in (401, 402, 403, 407)},
    "rate limited": (answer("slow down", 429, Retry_After="7"),),
    "nothing": (End.close,),
    "garbage": (b"\x00\x01garbage\r\n\r\n", End.close),
}
BROKEN: dict[str, Script] = {
    "truncated": (head(200, "Content-Length: 100") + b"short", End.close),
    "reset": (head(200, "Content-Length: 100") + b"short", End.reset),
    "chunked without end": (head(200, "Transfer-Encoding: chunked") + b"4\r\npart\r\n", End.close),
}


@pytest.mark.parametrize("script", (FREE | BROKEN).values(), ids=(FREE | BROKEN).keys())
def test_failures_on_cached_routes_are_free(
    client: httpx.Client, origin: ScriptedUpstream, item: str, script: Script
) -> None:
    path = f"{PRODUCT}/{item}"
    origin.script(path, *script)
    failed = client.get(path)
    assert failed.status_code in (502, 503, 504)
    assert failed.headers.get("X-Tokens-Consumed", "0") == "0"
    assert tokens(client.get(f"{path}-other")) == (1, 1999)


@pytest.mark.parametrize("script", FREE.values(), ids=FREE.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_failures_on_uncached_routes_are_free(
    client: httpx.Client, origin: ScriptedUpstream, item: str, script: Script, method: str
) -> None:
    path = f"/bare/{item}"
    origin.script(path, *script)
    assert client.request(method, path).status_code in (502, 503, 504)
    assert tokens(client.get(f"{PRODUCT}/{item}")) == (1, 1999)


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())
def test_a_stream_that_breaks_is_cut_and_refunded(
    client: httpx.Client, origin: ScriptedUpstream, item: str, script: Script
) -> None:
    origin.script(f"/bare/{item}", *script)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"/bare/{item}")
    assert tokens(client.get(f"{PRODUCT}/{item}")) == (1, 1999)


def test_an_upstream_that_cannot_be_reached_is_free(client: httpx.Client, item: str) -> None:
    assert client.get(f"/down/{item}").status_code == 502
    assert tokens(client.get(f"{PRODUCT}/{item}")) == (1, 1999)


@pytest.mark.parametrize("status", [200, 201, 204, 301, 304, 400, 404, 422])
def test_other_answers_are_charged(client: httpx.Client, origin: ScriptedUpstream, item: str, status: int) -> None:
    origin.script(f"/bare/{item}", head(status) if status in (204, 304) else answer("body", status))
    reply = client.get(f"/bare/{item}", headers={"If-None-Match": '"a"'})
    assert (reply.status_code, tokens(reply)) == (status, (1, 1999))


@pytest.mark.parametrize(("status", "price"), [(200, 2), (404, 2), (400, 0), (301, 0)])
def test_charge_on_says_what_is_charged(
    client: httpx.Client, origin: ScriptedUpstream, item: str, status: int, price: int
) -> None:
    origin.script(f"/picky/{item}", answer("body", status))
    assert tokens(client.get(f"/picky/{item}")) == (price, 2000 - price)


def test_head_costs_what_get_costs(client: httpx.Client, item: str) -> None:
    path = f"{PRODUCT}/{item}"
    assert tokens(client.head(f"{path}?{FULL}")) == (6, 1994)
    assert tokens(client.head(f"{path}?{FULL}")) == (6, 1988)
    assert client.head(path).content == b""


async def test_parallel_requests_add_up_exactly(metered: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    authorized = f"Authorization: {RING.take()['Authorization']}"
    targets = [f"{PRODUCT}/{item}-{number % 20}" + (f"?{FULL}" if number % 2 else "") for number in range(200)]
    async with connections(metered.address, len(targets)) as callers:
        for caller, target in zip(callers, targets, strict=True):
            caller.request("GET", target, authorized)
        replies = await asyncio.gather(*(caller.answer() for caller in callers))
        callers[0].request("GET", f"{PRODUCT}/{item}", authorized)
        last = await callers[0].answer()
    assert {reply.status for reply in replies} == {200}
    assert last.field("X-Tokens-Remaining") == str(2000 - 100 * 1 - 100 * 6 - 1)
    # In the order of their charges, each answer's remainder is the one before it less its own price.
    ordered = sorted(replies, key=lambda reply: -int(reply.field("X-Tokens-Remaining") or -1))
    left = 2000
    for reply in ordered:
        left -= int(reply.field("X-Tokens-Consumed") or -1)
        assert reply.field("X-Tokens-Remaining") == str(left)


async def test_a_balance_never_goes_below_nothing(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    keys = [{"id": "alpha", "key": KEY, "plan": "small"}]
    running = gateway(config(upstream.url, product_route(), plans={"small": plan(50, "never")}, keys=keys))
    gate = Gate()
    authorized = f"Authorization: Bearer {KEY}"
    async with connections(running.address, 100) as callers:
        for number, caller in enumerate(callers):
            upstream.script(f"{PRODUCT}/{number}", gate, json_answer({}))
            caller.request("GET", f"{PRODUCT}/{number}", authorized)
        await read_by_now(running.address)
        gate.open()
        replies = await asyncio.gather(*(caller.answer() for caller in callers))
    assert sorted(reply.status for reply in replies) == [200] * 50 + [402] * 50
    assert len(upstream.requests) == 50
