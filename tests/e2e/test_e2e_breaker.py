"""An upstream's breaker from outside: stale or 503 at once while it is open, free; one probe; what operators see."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from support.addresses import HOST, free_port
from support.answers import status_of, tokens
from support.config import KEY, Config, config, key_field, origin, plan, route
from support.gateway import RunningGateway, StartGateway
from support.load import answers, connections
from support.polling import eventually
from support.scripts import End, Gate, answer, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"
LONG, SHORT = {"after": 3, "for": "10m"}, {"after": 3, "for": "300ms"}


def guarded(url: str | list[str], breaker: Config) -> Config:
    """A gateway whose only upstream has a breaker."""
    routes = [
        route("/item/{id}", "item", cache={"ttl": "1h"}),
        route("/bridged/{id}", "bridged", cache={"ttl": "250ms", "stale_if_error": "1h"}),
        route("/pure/{id}", "pure", cache={}),
        route("/pass/{rest:.*}", "pass"),
    ]
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    upstreams = {"frail": origin(url, breaker=breaker)}
    return config("", *routes, upstreams=upstreams, keys=keys, plans={"pro": plan(1000)})


def break_it(client: httpx.Client, upstream: ScriptedUpstream, times: int = 3) -> None:
    upstream.script("/pass/broken", End.close)
    for _ in range(times):
        assert client.post("/pass/broken").json()["reason"] == "upstream_truncated"


def opened(gateway: RunningGateway) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in gateway.log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "upstream open"]


def verbose(url: str) -> list[str]:
    reply = httpx.get(f"{url}/readyz?verbose", trust_env=False)
    assert reply.status_code == 200
    return reply.text.splitlines()


def up(gateway: RunningGateway) -> float:
    return gateway.metrics()["gateway_upstream_up", frozenset({("upstream", "frail")})]


@pytest.mark.parametrize("path", ["/item/new", "/pass/new"], ids=["cached", "passed by"])
def test_an_open_one_refuses_at_once_and_free(gateway: StartGateway, upstream: ScriptedUpstream, path: str) -> None:
    running = gateway(guarded(upstream.url, LONG))
    client = running.client(key_field())
    before = tokens(client.get("/item/stored"))[1]
    assert (up(running), opened(running)) == (1.0, [])
    break_it(client, upstream)
    for _ in range(3):
        reply = client.get(path)
        problem = reply.json()
        assert (reply.status_code, problem["code"]) == (503, "service_unavailable")
        assert problem["reason"] == "upstream_circuit_open"
        assert 500 < int(reply.headers["Retry-After"]) <= 600
        assert reply.headers.get("X-Tokens-Consumed", "0") == "0"
    assert upstream.calls(path) == []
    stored = client.get("/item/stored")
    assert (status_of(stored).hit, tokens(stored)[1]) == (True, before - 1)
    assert running.metrics().value("gateway_refusals_total", route=path.split("/")[1], reason=problem["reason"]) == 3


def test_operators_see_it_and_the_gateway_stays_ready(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(guarded(upstream.url, LONG))
    client = running.client(key_field())
    break_it(client, upstream)
    client.get("/item/1")
    assert up(running) == 0.0
    assert running.readiness(running.port, "/-/readyz") == 200
    for url in (f"{running.url}/-", running.admin_url):
        told = verbose(url)
        assert told[:2] == ["serving: ok", "ledger: ok"]
        assert told[2].startswith("upstream frail: open, asked again in ")
        assert told[3:] == ["ok"]
    [line] = opened(running)
    assert (line["upstream"], line["failures"], line["last"], line["level"]) == ("frail", 3, "truncated", "warning")


def test_what_is_stale_is_served_where_it_may_be(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    client = gateway(guarded(upstream.url, LONG)).client(key_field())
    for path in ("/bridged/1", "/pure/1"):
        upstream.script(path, json_answer("first", Cache_Control="max-age=1", Age="9"))
        assert client.get(path).json() == "first"
    before = tokens(client.get("/item/1"))[1]
    break_it(client, upstream)
    for path in ("/bridged/1", "/pure/1"):
        reply = client.get(path)
        assert (reply.status_code, reply.json(), status_of(reply).fwd) == (200, "first", "stale")
        assert len(upstream.calls(path)) == 1
    assert tokens(reply) == (1, before - 2)


def test_what_was_never_sent_outdates_nothing(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    client = gateway(guarded(upstream.url, LONG)).client(key_field())
    client.get("/item/1")
    break_it(client, upstream)
    assert client.delete("/item/1").json()["reason"] == "upstream_circuit_open"
    assert status_of(client.get("/item/1")).hit


def test_it_closes_by_itself_once_the_upstream_is_well(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(guarded(upstream.url, SHORT))
    client = running.client(key_field())
    break_it(client, upstream)
    eventually(lambda: client.get("/item/new").status_code == 200)
    assert len(upstream.calls("/item/new")) == 1
    assert up(running) == 1.0
    assert verbose(running.admin_url)[2] == "upstream frail: ok"


async def test_one_request_probes_while_all_others_are_refused(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running = await asyncio.to_thread(gateway, guarded(upstream.url, SHORT))
    await asyncio.to_thread(break_it, running.client(key_field()), upstream)
    gate = Gate()
    upstream.script("/item/probe", gate, answer("well"))
    async with connections(running.address, 101) as (probing, *others):
        probe = asyncio.create_task(first_sent(probing, upstream))
        await upstream.arrived("/item/probe")
        for number, other in enumerate(others):
            other.request("GET", f"/item/{number}", AUTHORIZED)
        refused = await answers(others)
        assert {(reply.status, reply.json()["reason"]) for reply in refused} == {(503, "upstream_circuit_open")}
        assert {reply.field("Retry-After") for reply in refused} == {"1"}
        assert len(upstream.requests) == 3 + 1
        gate.open()
        assert await probe == b"well"
        for number, other in enumerate(others):
            other.request("GET", f"/item/{number}", AUTHORIZED)
        assert {reply.status for reply in await answers(others)} == {200}


async def first_sent(probing: Any, upstream: ScriptedUpstream) -> bytes:
    """The content of the first answer that was not a refusal."""
    while True:
        probing.request("GET", "/item/probe", AUTHORIZED)
        reply = await probing.answer()
        if reply.status != 503:
            return bytes(reply.body)


def test_of_several_urls_one_that_is_dead_is_passed_over(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(guarded([f"http://{HOST}:{free_port()}", upstream.url], LONG))
    client = running.client(key_field())
    for number in range(10):
        assert client.get(f"/item/{number}").status_code == 200
    assert running.metrics().value("gateway_upstream_retries_total", upstream="frail") == 3
    assert up(running) == 1.0
    assert verbose(running.admin_url)[2] == "upstream frail: ok, 1 of 2 URLs"
    upstream.refuse()
    for number in range(3):
        assert client.get(f"/pass/{number}").json()["reason"] == "upstream_refused"
    assert client.get("/pass/more").json()["reason"] == "upstream_circuit_open"
    assert up(running) == 0.0
