"""Force refresh from outside: a fresh upstream fetch on demand, what it outdates, and what it costs."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from support.answers import status_of, tokens
from support.config import KeyRing, config, key_field, plan, product_route, route
from support.gateway import RunningGateway
from support.polling import eventually
from support.scripts import Gate, answer, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

REFRESH = {"query": ["force_refresh"]}
RING = KeyRing(100, "pro")


@pytest.fixture(scope="module")
def refreshed(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    price = {"base": 1, "force_refresh": 3}
    added = {"query": {"nocache": "1"}, "headers": {"X-Fresh": "yes"}}
    cache = {"ttl": "15m"}
    routes = [
        product_route(),
        route("/added/{id}", "added", cache=cache, refresh=REFRESH | {"upstream": added}),
        route("/cool/{id}", "cool", cache=cache, price=price, refresh=REFRESH | {"cooldown": "1h"}),
        route("/stale/{id}", "stale", cache=cache | {"stale_if_error": "1h"}, price=price, refresh=REFRESH),
        route("/tagged/{id}", "tagged", cache=cache | {"tags": ["item:{id}"]}, refresh=REFRESH),
        route("/sibling/{id}", "sibling", cache=cache | {"tags": ["item:{id}", "sibling"]}),
        route("/mine/{id}", "mine", cache=cache | {"share": "key"}, refresh=REFRESH),
        route("/none/{id}", "none", cache=cache),
    ]
    whole = config(origin.url, *routes, keys=RING.keys, plans={"pro": plan(2000)})
    with RunningGateway(tmp_path_factory.mktemp("refreshed"), whole) as running:
        yield running


@pytest.fixture
def client(refreshed: RunningGateway) -> httpx.Client:
    return refreshed.client(RING.take())


@pytest.fixture
def other(refreshed: RunningGateway) -> httpx.Client:
    return refreshed.client(RING.take())


WAYS = {
    "query": ("GET", "/v1/products/{item}?include_offers=true&include_reviews=true&include_force_refresh=true"),
    "other name": ("GET", "/v1/products/{item}?force_refresh=1&include_offers=true&include_reviews=true"),
    "flag without value": ("GET", "/v1/products/{item}?include_offers=true&include_reviews=true&force_refresh"),
    "post": ("POST", "/v1/products/{item}/refresh"),
}


@pytest.mark.parametrize(("method", "target"), WAYS.values(), ids=WAYS.keys())
def test_a_refresh_fetches_and_replaces_the_stored_get(
    client: httpx.Client, origin: ScriptedUpstream, item: str, method: str, target: str
) -> None:
    plain = f"/v1/products/{item}?include_offers=true&include_reviews=true"
    client.get(plain)
    reply = client.request(method, target.format(item=item))
    assert (reply.status_code, reply.json()["call"]) == (200, 2)
    assert (status_of(reply).fwd, status_of(reply).stored) == ("request", True)
    assert tokens(reply)[0] == 9
    again = client.get(plain)
    assert (status_of(again).hit, again.json()["call"]) == (True, 2)
    calls = origin.calls(f"/v1/products/{item}")
    assert [(call.method, call.target) for call in calls] == [("GET", plain)] * 2
    assert [call.field("Cache-Control") for call in calls] == [None, "no-cache"]
    assert calls[1].field("If-None-Match") is None


def test_a_post_refresh_keeps_the_clients_query_and_fills_in_the_rest(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    reply = client.post(f"/v1/products/{item}/refresh?include_offers=false&include_reviews=off")
    assert tokens(reply)[0] == 4
    (call,) = origin.calls(f"/v1/products/{item}")
    assert call.target == f"/v1/products/{item}?include_offers=false&include_reviews=off"


def test_a_post_refresh_drains_and_ignores_a_body(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    reply = client.post(f"/v1/products/{item}/refresh", json={"ignored": "x" * 100_000})
    assert reply.status_code == 200
    (call,) = origin.calls(f"/v1/products/{item}")
    assert (call.method, call.size, call.field("Content-Length")) == ("GET", 0, None)
    assert client.get(f"/v1/products/{item}").status_code == 200


@pytest.mark.parametrize("off", ["0", "false", "no", "off"])
def test_a_flag_that_is_off_is_a_lookup_of_the_same_key(
    client: httpx.Client, origin: ScriptedUpstream, item: str, off: str
) -> None:
    client.get(f"/v1/products/{item}")
    reply = client.get(f"/v1/products/{item}?include_force_refresh={off}")
    assert status_of(reply).hit
    assert tokens(reply)[0] == 1


@pytest.mark.parametrize("flag", ["include_force_refresh=maybe", "force_refresh=2", "include_offers=perhaps"])
def test_a_flag_that_is_neither_on_nor_off_is_refused(
    client: httpx.Client, origin: ScriptedUpstream, item: str, flag: str
) -> None:
    reply = client.get(f"/v1/products/{item}?{flag}")
    assert (reply.status_code, reply.json()["reason"]) == (400, "bad_flag")
    assert flag.partition("=")[0] in reply.text
    assert not origin.calls(f"/v1/products/{item}")
    assert tokens(client.get(f"/v1/products/{item}")) == (1, 1999)


def test_routes_without_refresh_pass_the_parameter_on(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    client.get(f"/none/{item}?force_refresh=true")
    assert status_of(client.get(f"/none/{item}?force_refresh=true")).hit
    assert [call.target for call in origin.calls(f"/none/{item}")] == [f"/none/{item}?force_refresh=true"]


def test_a_forced_fetch_carries_what_the_upstreams_own_cache_needs(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    client.get(f"/added/{item}?a=1")
    client.get(f"/added/{item}?a=1&force_refresh=true")
    assert status_of(client.get(f"/added/{item}?a=1")).hit
    plain, forced = origin.calls(f"/added/{item}")
    assert (plain.target, plain.field("X-Fresh")) == (f"/added/{item}?a=1", None)
    assert (forced.target, forced.field("X-Fresh")) == (f"/added/{item}?a=1&nocache=1", "yes")


def test_a_refresh_outdates_every_query_of_its_path_and_nothing_else(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path, neighbour = f"/v1/products/{item}", f"/v1/products/{item}9"
    for target in (path, f"{path}?include_offers=true", neighbour):
        client.get(target)
    client.get(f"{path}?include_offers=true&force_refresh=true")
    assert status_of(client.get(f"{path}?include_offers=true")).hit
    assert status_of(client.get(neighbour)).hit
    outdated = client.get(path)
    assert (status_of(outdated).fwd, outdated.json()["call"]) == ("stale", 4)
    assert status_of(client.get(path)).hit


def test_a_refresh_outdates_other_variants_of_its_own_key(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/v1/products/{item}"
    origin.script(path, lambda request: json_answer({"call": request.call}, Vary="Accept-Language"))
    for language in ("de", "fr"):
        client.get(path, headers={"Accept-Language": language})
    client.get(f"{path}?force_refresh=true", headers={"Accept-Language": "de"})
    assert client.get(path, headers={"Accept-Language": "de"}).json()["call"] == 3
    assert client.get(path, headers={"Accept-Language": "fr"}).json()["call"] == 4


def test_a_refresh_outdates_what_shares_a_tag(client: httpx.Client, item: str) -> None:
    for path in (f"/tagged/{item}", f"/sibling/{item}", f"/sibling/{item}9"):
        client.get(path)
    client.get(f"/tagged/{item}?force_refresh=true")
    assert status_of(client.get(f"/sibling/{item}")).fwd == "stale"
    assert status_of(client.get(f"/sibling/{item}9")).hit
    assert status_of(client.get(f"/tagged/{item}")).hit


def test_a_refresh_outdates_within_its_share_scope_only(client: httpx.Client, other: httpx.Client, item: str) -> None:
    for caller in (client, other):
        caller.get(f"/mine/{item}?a=1")
    client.get(f"/mine/{item}?force_refresh=true")
    assert not status_of(client.get(f"/mine/{item}?a=1")).hit
    assert status_of(other.get(f"/mine/{item}?a=1")).hit


@pytest.mark.parametrize("query", ["", "?include_offers=true"], ids=["same key", "same group"])
async def test_a_fetch_that_began_before_the_refresh_is_not_stored(
    refreshed: RunningGateway, origin: ScriptedUpstream, item: str, query: str
) -> None:
    path = f"/v1/products/{item}"
    gate = Gate()
    origin.then(path, gate, json_answer({"copy": "old"}))
    origin.script(path, json_answer({"copy": "new"}))
    async with httpx.AsyncClient(base_url=refreshed.url, headers=RING.take(), trust_env=False, timeout=20) as client:
        slow = asyncio.create_task(client.get(f"{path}{query}"))
        await origin.arrived(path)
        refresh = await client.get(f"{path}?force_refresh=true")
        assert refresh.json()["copy"] == "new"
        gate.open()
        assert (await slow).status_code == 200
        after = await client.get(f"{path}{query}")
        assert after.json()["copy"] == "new"


@pytest.mark.parametrize("status", [500, 503, 401, 429])
def test_a_failed_refresh_outdates_nothing_and_is_free(
    client: httpx.Client, origin: ScriptedUpstream, item: str, status: int
) -> None:
    path = f"/v1/products/{item}"
    client.get(path)
    client.get(f"{path}?include_offers=true")
    origin.script(path, answer("broken", status))
    failed = client.get(f"{path}?force_refresh=true")
    assert failed.status_code in (502, 503)
    for target, remaining in ((path, 1992), (f"{path}?include_offers=true", 1986)):
        kept = client.get(target)
        assert status_of(kept).hit
        assert tokens(kept)[1] == remaining


def test_a_refresh_that_falls_back_to_a_stale_copy_pays_no_surcharge(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/stale/{item}"
    origin.then(path, answer("good"))
    origin.script(path, answer("broken", 500))
    client.get(path)
    reply = client.get(f"{path}?force_refresh=true")
    assert (reply.status_code, reply.text) == (200, "good")
    assert tokens(reply) == (1, 1998)
    assert status_of(client.get(path)).hit


def test_a_refresh_within_the_cooldown_gets_the_last_one(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/cool/{item}"
    client.get(path)
    first, second = (client.get(f"{path}?force_refresh=true") for _ in range(2))
    assert (tokens(first)[0], tokens(second)[0]) == (4, 1)
    assert (status_of(second).hit, second.json()["call"]) == (True, 2)
    assert "cooldown" in status_of(second).detail
    assert len(origin.calls(path)) == 2


def test_without_a_cooldown_every_refresh_is_a_fetch(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    for expected in (1, 2, 3):
        assert client.get(f"/v1/products/{item}?force_refresh=true").json()["call"] == expected


def test_a_head_refresh_is_a_refresh(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path = f"/v1/products/{item}"
    client.get(path)
    reply = client.head(f"{path}?force_refresh=true")
    assert (reply.status_code, reply.content, tokens(reply)[0]) == (200, b"", 4)
    assert len(origin.calls(path)) == 2


def test_a_refreshed_response_with_no_store_still_answers(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/v1/products/{item}"
    client.get(path)
    origin.script(path, json_answer({"copy": "private"}, Cache_Control="no-store"))
    reply = client.get(f"{path}?force_refresh=true")
    assert (reply.json()["copy"], tokens(reply)[0], status_of(reply).stored) == ("private", 4, False)
    assert not status_of(client.get(path)).hit


def test_refreshes_are_counted(client: httpx.Client, refreshed: RunningGateway, item: str) -> None:
    before = refreshed.metrics().total("gateway_refreshes_total", route="tagged")
    client.get(f"/tagged/{item}?force_refresh=true")
    eventually(lambda: refreshed.metrics().total("gateway_refreshes_total", route="tagged") == before + 1)


def test_a_key_of_no_account_refreshes_nothing(refreshed: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    stranger = refreshed.client(key_field("rk_live_nobody"))
    assert stranger.post(f"/v1/products/{item}/refresh").status_code == 401
    assert not origin.calls(f"/v1/products/{item}")
