"""Server-Timing, from outside: on the answers of routes, behind the upstream's own, and never stored."""

import re
from collections.abc import Iterator

import httpx
import pytest
from support.config import KEY, config, key_field, product_route, route
from support.gateway import RunningGateway
from support.load import answers, connections, read_by_now
from support.scripts import Gate, answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

# Each member by itself, with one duration in milliseconds.
BRIEF = re.compile(r"cache;desc=(\w+), total;dur=\d+\.\d\d")
FETCHED = re.compile(r"cache;desc=(\w+), upstream;dur=\d+\.\d\d, total;dur=\d+\.\d\d")
FOLLOWED = re.compile(r"cache;desc=(\w+), upstream;dur=\d+\.\d\d, waited;dur=\d+\.\d\d, total;dur=\d+\.\d\d")


@pytest.fixture(scope="module")
def timed(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [product_route(), route("/pass/{id}", "pass")]
    with RunningGateway(tmp_path_factory.mktemp("timed"), config(origin.url, *routes)) as running:
        yield running


@pytest.fixture
def client(timed: RunningGateway) -> httpx.Client:
    return timed.client(key_field())


def ours(reply: httpx.Response) -> str:
    return reply.headers.get_list("Server-Timing")[-1]


def label(pattern: re.Pattern[str], line: str) -> str:
    found = pattern.fullmatch(line)
    assert found, line
    return found[1]


def test_what_was_fetched_and_what_was_not(client: httpx.Client, item: str) -> None:
    path = f"/v1/products/{item}"
    assert label(FETCHED, ours(client.get(path))) == "miss"
    assert label(BRIEF, ours(client.get(path))) == "hit"
    assert label(BRIEF, ours(client.head(path))) == "hit"
    assert label(FETCHED, ours(client.get(path, params={"force_refresh": "1"}))) == "refresh"
    assert label(FETCHED, ours(client.get(f"/pass/{item}"))) == "pass"


async def test_who_waited_for_anothers_fetch(timed: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    path, gate = f"/v1/products/{item}", Gate()
    origin.script(path, gate, answer("body"))
    async with connections(timed.address, 2) as callers:
        for caller in callers:
            caller.request("GET", path, f"Authorization: Bearer {KEY}")
        await origin.arrived(path)
        await read_by_now(timed.address)
        gate.open()
        lines = [reply.field("Server-Timing") or "" for reply in await answers(callers)]
    assert sorted(label(FOLLOWED if "waited" in line else FETCHED, line) for line in lines) == ["collapsed", "miss"]


@pytest.mark.parametrize("place", ["/v1/products", "/pass"], ids=["stored", "passed"])
def test_the_upstreams_own_stands_before_and_ours_is_not_stored(
    client: httpx.Client, origin: ScriptedUpstream, item: str, place: str
) -> None:
    path = f"{place}/{item}"
    origin.script(path, answer("body", Server_Timing="db;dur=53, app;dur=47.2"))
    for _ in range(3):
        told = client.get(path).headers.get_list("Server-Timing")
        assert (len(told), told[0]) == (2, "db;dur=53, app;dur=47.2")
        assert told[1].startswith("cache;desc=")


def test_refusals_of_a_route_and_of_none(client: httpx.Client, timed: RunningGateway, item: str) -> None:
    refused = client.get(f"/v1/products/{item}", headers={"Cache-Control": "only-if-cached"})
    assert (refused.status_code, label(BRIEF, ours(refused))) == (504, "pass")
    assert "Server-Timing" not in client.get("/none").headers
    assert "Server-Timing" not in client.get("/-/livez").headers
