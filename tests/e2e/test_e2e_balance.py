"""The balance from outside: what an API key has, may and gets next, asked for free."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from support.answers import tokens
from support.config import KEY, OTHER_KEY, KeyRing, config, key_field, plan, product_route
from support.gateway import RunningGateway, StartGateway
from support.scripts import Gate, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

RING = KeyRing(20, "pro")
PRODUCT = "/v1/products"
TEST_KEY = "rk_test_alpha_0123456789abcdefghijkl"
SPECIAL = {"scoped": "rk_live_scoped", "late": "rk_live_late", "free": "rk_live_free"}


@pytest.fixture(scope="module")
def metered(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    plans = {"pro": plan(2000, throttle={"rate": "10/h", "burst": 5}), "once": plan(50, "never")}
    organizations = {"acme": {"plan": "once", "balance": "organization", "caps": {"force_refresh": "3/min"}}}
    keys = [
        *RING.keys,
        {"id": "a", "organization": "acme", "key": [KEY, TEST_KEY]},
        {"id": "b", "organization": "acme", "key": OTHER_KEY},
        {"id": "scoped", "key": SPECIAL["scoped"], "scopes": ["lookup"], "expires": "2099-01-31T12:00:00Z"},
        {"id": "late", "key": SPECIAL["late"], "expires": "2020-01-31"},
        {"id": "free", "key": SPECIAL["free"]},
    ]
    whole = config(origin.url, product_route(), keys=keys, plans=plans, organizations=organizations)
    with RunningGateway(tmp_path_factory.mktemp("metered"), whole) as running:
        yield running


@pytest.fixture
def client(metered: RunningGateway) -> httpx.Client:
    return metered.client(RING.take())


def balance(client: httpx.Client) -> dict[str, object]:
    reply = client.get("/-/balance")
    assert (reply.status_code, reply.headers["Cache-Control"]) == (200, "no-store")
    told: dict[str, object] = reply.json()
    return told


def next_month() -> str:
    now = datetime.now(UTC)
    year, month = divmod(now.year * 12 + now.month, 12)
    return f"{year:04}-{month + 1:02}-01T00:00:00Z"


def test_a_balance_before_and_after(client: httpx.Client, item: str) -> None:
    before = balance(client)
    assert before | {"balance": 2000, "reserved": 0, "charged": 0, "granted": 2000, "plan": "pro"} == before
    assert before["next_grant"] == {"at": next_month(), "tokens": 2000}
    assert before["throttle"] == {"limit": 10, "window": 3600, "remaining": 5, "reset": 0}
    assert (before["cap"], before["expires"], before["test"], before["balance_of"]) == (None, None, False, "key")
    assert before["scopes"] == ["background", "lookup", "refresh"]
    left = tokens(client.post(f"{PRODUCT}/{item}/refresh"))[1]
    after = balance(client)
    assert (after["balance"], after["charged"], after["granted"]) == (left, 9, 2000)


def test_asking_costs_nothing_and_is_not_throttled(client: httpx.Client, item: str) -> None:
    for _ in range(20):
        assert balance(client)["balance"] == 2000
    reply = client.get(f"{PRODUCT}/{item}")
    assert (tokens(reply), reply.headers["X-RateLimit-Throttle-Remaining"]) == ((1, 1999), "4")


async def test_what_is_reserved_is_told(metered: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    gate = Gate()
    origin.script(f"{PRODUCT}/{item}", gate, json_answer({}))
    async with httpx.AsyncClient(base_url=metered.url, headers=RING.take(), trust_env=False, timeout=20) as client:
        asking = asyncio.create_task(client.post(f"{PRODUCT}/{item}/refresh"))
        await origin.arrived(f"{PRODUCT}/{item}")
        told = (await client.get("/-/balance")).json()
        assert (told["balance"], told["reserved"], told["charged"]) == (1991, 9, 0)
        gate.open()
        await asking
        told = (await client.get("/-/balance")).json()
        assert (told["balance"], told["reserved"], told["charged"]) == (1991, 0, 9)


def test_an_organizations_balance_is_told_as_such(metered: RunningGateway, item: str) -> None:
    one, other = metered.client(key_field()), metered.client(key_field(OTHER_KEY))
    one.get(f"{PRODUCT}/{item}?force_refresh=1")
    told = balance(other)
    assert (told["account"], told["organization"], told["balance_of"]) == ("b", "acme", "organization")
    assert (told["balance"], told["granted"], told["next_grant"]) == (46, 50, None)
    assert told["cap"] == {"force_refresh": {"limit": 3, "window": 60, "remaining": 2}}
    assert told["throttle"] is None


def test_a_test_key_says_so(metered: RunningGateway) -> None:
    told = balance(metered.client(key_field(TEST_KEY)))
    assert (told["account"], told["test"]) == ("a", True)


def test_scopes_and_end_of_a_key(metered: RunningGateway) -> None:
    told = balance(metered.client(key_field(SPECIAL["scoped"])))
    assert (told["scopes"], told["expires"]) == (["lookup"], "2099-01-31T12:00:00Z")


def test_an_unlimited_plan(metered: RunningGateway, item: str) -> None:
    client = metered.client(key_field(SPECIAL["free"]))
    client.get(f"{PRODUCT}/{item}")
    told = balance(client)
    assert told | {"balance": None, "granted": None, "next_grant": None, "charged": 1, "reserved": 0} == told


@pytest.mark.parametrize(
    ("key", "method", "path", "status", "reason"),
    [
        (None, "GET", "/-/balance", 401, "missing_key"),
        ("rk_live_nobody", "GET", "/-/balance", 401, "unknown_key"),
        (SPECIAL["late"], "GET", "/-/balance", 401, "expired_key"),
        (KEY, "POST", "/-/balance", 405, "method_not_allowed"),
        (KEY, "GET", "/-/balance/a", 404, "no_route"),
    ],
)
def test_refusals_are_problem_documents(
    metered: RunningGateway, key: str | None, method: str, path: str, status: int, reason: str
) -> None:
    fields = {} if key is None else key_field(key)
    refused = metered.client(fields | {"X-Request-Id": "mine"}).request(method, path)
    told = refused.json()
    assert (refused.status_code, told["reason"], told["request_id"]) == (status, reason, "mine")
    assert refused.headers.get("Allow") == ("GET, HEAD" if status == 405 else None)
    assert ("WWW-Authenticate" in refused.headers) is (status == 401)


def test_a_head_has_the_gets_fields(client: httpx.Client) -> None:
    got, headed = client.get("/-/balance"), client.head("/-/balance")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["Content-Length"] == got.headers["Content-Length"]


def test_web_pages_may_not_read_it(client: httpx.Client) -> None:
    reply = client.get("/-/balance", headers={"Origin": "https://shop.example"})
    assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.slow
def test_a_balance_survives(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    keys = [{"id": "a", "key": KEY, "plan": "pro"}]
    running = gateway(config(upstream.url, product_route(), keys=keys, plans={"pro": plan(2000)}))
    running.client(key_field()).post(f"{PRODUCT}/1/refresh")
    before = balance(running.client(key_field()))
    running.kill9()
    running.start()
    assert balance(running.client(key_field())) == before
