"""Three gateways on one Redis act as one: one cache, one balance, one cap, one stampede guard."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.answers import cache_status
from support.config import KEY, OTHER_KEY, config, key_field, plan, product_route, route
from support.config import origin as own
from support.load import answers, connections, read_by_now
from support.redis_server import RedisServer
from support.running_fleet import Node, fleet, shared, sound
from support.scripts import Gate, answer, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Answer, Connection

pytestmark = pytest.mark.slow

CALLERS = 2000
BALANCE = 1000
CAP = 100
CALLS = {"Authorization": f"Bearer {KEY}"}
AUTHORIZED = f"Authorization: Bearer {KEY}"
MEMBERS = [f"rk_live_member_{number:012}" for number in range(5)]

Nodes = list[Node]


@pytest.fixture(scope="module")
def nodes(
    origin: ScriptedUpstream, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nodes]:
    routes = [
        product_route(),
        route("/cached/{id}", "cached", cache={"ttl": "1h"}, price=1),
        route("/open/{rest:.*}", "open", access="public", cache={"ttl": "1h"}),
    ]
    keys = [
        {"id": "alpha", "key": KEY},
        {"id": "small", "key": OTHER_KEY, "plan": "small"},
        *({"id": f"member-{n}", "key": key, "organization": "capped"} for n, key in enumerate(MEMBERS)),
    ]
    whole = config(
        origin.url,
        *routes,
        store=shared(redis_server.empty_database()),
        plans={"small": plan(BALANCE, "never"), "free": {}},
        organizations={"capped": {"plan": "free", "caps": {"force_refresh": f"{CAP}/min"}}},
        keys=keys,
        upstreams={"origin": own(origin.url, limits={"connections": 600, "queue": CALLERS, "wait": "60s"})},
    )
    with fleet(tmp_path_factory.mktemp("fleet"), 3, whole) as running:
        yield running


async def over_all(nodes: Nodes, count: int, targets: list[str], field: str) -> list[Answer]:
    """`count` requests at once, spread over the nodes."""
    async with AsyncExitStack() as stack:
        callers: list[Connection] = []
        for node in nodes:
            callers += await stack.enter_async_context(connections(node.address, -(-count // len(nodes))))
        callers = callers[:count]
        for number, caller in enumerate(callers):
            caller.request("GET", targets[number % len(targets)], field)
        return await answers(callers)


def test_what_one_fetched_is_a_hit_for_all(nodes: Nodes, origin: ScriptedUpstream, item: str) -> None:
    path = f"/v1/products/{item}"
    origin.script(path, json_answer({"id": item}))
    first, *others = [node.client(CALLS).get(path) for node in nodes]
    assert cache_status(first.headers["Cache-Status"]).fwd == "uri-miss"
    assert all(cache_status(other.headers["Cache-Status"]).hit for other in others)
    assert len(origin.calls(path)) == 1
    assert [other.json()["tokens_consumed"] for other in (first, *others)] == [1, 1, 1]


def test_a_refresh_by_one_is_seen_by_all_at_once(nodes: Nodes, origin: ScriptedUpstream, item: str) -> None:
    path = f"/v1/products/{item}"
    for version in range(5):
        origin.script(path, json_answer({"version": version}))
        refreshing = nodes[version % len(nodes)]
        assert refreshing.client(CALLS).get(f"{path}?force_refresh=true").json()["version"] == version
        for node in nodes:
            seen = node.client(CALLS).get(path).json()["version"]
            assert seen == version, (node.folder.name, seen, version)


def test_a_public_route_is_fresh_everywhere_too(nodes: Nodes, origin: ScriptedUpstream, item: str) -> None:
    path = f"/open/{item}"
    origin.script(path, answer("old"))
    assert [node.client().get(path).text for node in nodes] == ["old"] * 3
    assert nodes[0].client().put(path, content=b"new").status_code == 200
    origin.script(path, answer("new"))
    assert [node.client().get(path).text for node in reversed(nodes)] == ["new"] * 3


async def test_a_herd_makes_one_call(nodes: Nodes, origin: ScriptedUpstream, item: str) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, answer("shared"))
    asking = asyncio.create_task(over_all(nodes, 1000, [path], AUTHORIZED))
    await origin.arrived(path)
    for node in nodes:
        await read_by_now(node.address)
    gate.open()
    replies = await asking
    assert Counter(reply.status for reply in replies) == {200: 1000}
    assert {reply.body for reply in replies} == {b"shared"}
    assert len(origin.calls(path)) == 1


async def test_as_many_debits_as_there_are_tokens(nodes: Nodes, origin: ScriptedUpstream, item: str) -> None:
    path = f"/cached/{item}"
    origin.script(path, answer("stored"))
    assert nodes[0].client(CALLS).get(path).status_code == 200
    replies = await over_all(nodes, CALLERS, [path], f"Authorization: Bearer {OTHER_KEY}")
    assert Counter(reply.status for reply in replies) == {200: BALANCE, 402: CALLERS - BALANCE}
    left = sorted(int(reply.field("X-Tokens-Remaining") or -1) for reply in replies if reply.status == 200)
    assert left == list(range(BALANCE)), "each answer tells the balance as of its own charge"
    sound(nodes)


async def test_a_cap_holds_over_nodes_and_keys(nodes: Nodes, origin: ScriptedUpstream, item: str) -> None:
    targets = [f"/v1/products/{item}{number}?force_refresh=true" for number in range(60)]
    for target in targets:
        origin.script(target.partition("?")[0], json_answer({"fresh": True}))
    admitted = Counter[int]()
    for key in MEMBERS:
        replies = await over_all(nodes, 60, targets, f"Authorization: Bearer {key}")
        admitted.update(reply.status for reply in replies)
        assert {reply.json()["reason"] for reply in replies if reply.status == 429} <= {"force_refresh_capped"}
    assert admitted == {200: CAP, 429: 5 * 60 - CAP}


def test_a_purge_at_one_is_a_purge_at_all(nodes: Nodes, origin: ScriptedUpstream, item: str) -> None:
    path = f"/cached/{item}"
    origin.script(path, answer("old"))
    assert [node.client(CALLS).get(path).text for node in nodes] == ["old"] * 3
    origin.script(path, answer("new"))
    nodes[1].told("purge", path)
    assert [node.client(CALLS).get(path).text for node in nodes] == ["new"] * 3


def test_keys_made_and_revoked_at_one_hold_at_all(nodes: Nodes, origin: ScriptedUpstream, item: str) -> None:
    path = f"/cached/{item}"
    origin.script(path, answer("stored"))
    key = nodes[0].told("keys", "create", "--id", f"made-{item}").strip()
    assert [node.client(key_field(key)).get(path).status_code for node in nodes] == [200] * 3
    nodes[2].told("keys", "revoke", f"made-{item}")
    assert [node.client(key_field(key)).get(path).status_code for node in nodes] == [401] * 3


def test_the_books_of_all_nodes_agree(nodes: Nodes) -> None:
    usages = [node.told("usage", "--format", "json") for node in nodes]
    assert usages[0]["total"]["tokens"] > 0
    assert usages[0] == usages[1] == usages[2]
    for node in nodes:
        node.told("ledger", "verify")


@pytest.mark.parametrize("killed", [pytest.param(True, id="killed"), pytest.param(False, id="frozen")])
async def test_a_leader_that_is_gone_is_replaced(
    origin: ScriptedUpstream, redis_server: RedisServer, tmp_path: Path, item: str, killed: bool
) -> None:
    """At most two calls, and whoever waits elsewhere is answered within the lease and a second."""
    path, gate = f"/cached/{item}", Gate()
    whole = config(
        origin.url,
        route("/cached/{id}", "cached", cache={"ttl": "1h"}, price=1),
        store=shared(redis_server.empty_database()),
    )
    origin.then(path, gate, answer("late"))
    origin.script(path, answer("fresh"))
    with fleet(tmp_path, 2, whole) as (leader, other):
        async with await Connection.open(leader.address) as first, await Connection.open(other.address) as second:
            first.request("GET", path, AUTHORIZED)
            await origin.arrived(path)
            second.request("GET", path, AUTHORIZED)
            await read_by_now(other.address)
            assert len(origin.calls(path)) == 1
            if killed:
                leader.kill9()
            else:
                leader.freeze()
            assert (await second.answer()).body == b"fresh"
        assert len(origin.calls(path)) == 2
        gate.open()
        if killed:
            leader.start()
        else:
            leader.thaw()
        assert {node.client(CALLS).get(path).text for node in (leader, other)} == {"fresh"}
