"""Collapsed forwarding from outside: one upstream call for any number of callers, and no queue where it cannot help."""

import asyncio
from collections.abc import Iterator

import pytest
from support.answers import cache_status
from support.config import KEY, OTHER_KEY, config, product_route, route
from support.config import origin as own
from support.gateway import RunningGateway, StartGateway
from support.load import answers, connections, read_by_now
from support.polling import eventually
from support.scripts import Gate, answer, head, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Answer, Connection

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"


@pytest.fixture(scope="module")
def collapsing(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        product_route(),
        route("/cached/{id}", "cached", cache={"ttl": "1h"}),
        route("/mine/{id}", "mine", cache={"ttl": "1h", "share": "key"}),
    ]
    whole = config(origin.url, *routes, upstreams={"origin": own(origin.url, limits={"connections": 300})})
    with RunningGateway(tmp_path_factory.mktemp("collapsing"), whole) as running:
        yield running


async def ask_together(
    running: RunningGateway, upstream: ScriptedUpstream, target: str, count: int, gate: Gate
) -> list[Answer]:
    """Send `target` on `count` connections, open `gate` once the gateway has read them all, and read the answers."""
    async with connections(running.address, count) as callers:
        for caller in callers:
            caller.request("GET", target, AUTHORIZED)
        await upstream.arrived(target.partition("?")[0])
        await read_by_now(running.address)
        gate.open()
        return await answers(callers)


def statuses(replies: list[Answer]) -> set[int]:
    return {reply.status for reply in replies}


async def test_concurrent_misses_make_one_call(collapsing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, answer("shared"))
    before = collapsing.metrics()
    replies = await ask_together(collapsing, origin, path, 200, gate)
    assert len(origin.calls(path)) == 1
    assert statuses(replies) == {200}
    assert {reply.body for reply in replies} == {b"shared"}
    said = [cache_status(reply.field("Cache-Status")) for reply in replies]
    assert sum(status.stored and not status.collapsed for status in said) == 1
    assert sum(status.collapsed for status in said) == 199
    name = "gateway_collapsed_requests_total"
    after = collapsing.metrics()
    assert after.value(name, route="cached") - before.value(name, route="cached") == 199
    assert after.value("gateway_fetches_in_flight") == 0


async def test_concurrent_refreshes_make_one_call_and_all_pay(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/v1/products/{item}", Gate()
    origin.script(path, gate, json_answer({"fresh": True}))
    replies = await ask_together(collapsing, origin, f"{path}?force_refresh=true", 100, gate)
    assert len(origin.calls(path)) == 1
    assert statuses(replies) == {200}
    assert {reply.field("X-Tokens-Consumed") for reply in replies} == {"4"}
    assert {reply.json()["tokens_consumed"] for reply in replies} == {4}


async def test_a_refresh_does_not_join_a_lookup_that_began_before_it(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/v1/products/{item}", Gate()
    origin.then(path, gate, json_answer({"copy": "old"}))
    origin.then(path, json_answer({"copy": "new"}))
    async with connections(collapsing.address, 2) as (lookup, refresh):
        lookup.request("GET", path, AUTHORIZED)
        await origin.arrived(path)
        refresh.request("GET", f"{path}?force_refresh=true", AUTHORIZED)
        assert (await refresh.answer()).json()["copy"] == "new"
        gate.open()
        assert (await lookup.answer()).status == 200


async def test_a_leader_that_hangs_up_leaves_its_followers_an_answer(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, answer("shared"))
    async with connections(collapsing.address, 20) as (leader, *followers):
        leader.request("GET", path, AUTHORIZED)
        await origin.arrived(path)
        for follower in followers:
            follower.request("GET", path, AUTHORIZED)
        await read_by_now(collapsing.address)
        leader.hang_up()
        await read_by_now(collapsing.address)
        gate.open()
        replies = await answers(followers)
    assert {(reply.status, reply.body) for reply in replies} == {(200, b"shared")}
    assert len(origin.calls(path)) == 1


async def test_followers_that_hang_up_change_nothing_for_the_others(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, answer("shared"))
    async with connections(collapsing.address, 21) as callers:
        for caller in callers:
            caller.request("GET", path, AUTHORIZED)
        await origin.arrived(path)
        await read_by_now(collapsing.address)
        for follower in callers[1::2]:
            follower.hang_up()
        await read_by_now(collapsing.address)
        gate.open()
        replies = await answers(callers[::2])
    assert {(reply.status, reply.body) for reply in replies} == {(200, b"shared")}
    assert len(origin.calls(path)) == 1


async def test_a_fetch_whose_callers_all_hang_up_still_ends_and_is_stored(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, answer("stored"))
    async with connections(collapsing.address, 3) as callers:
        for caller in callers:
            caller.request("GET", path, AUTHORIZED)
        await origin.arrived(path)
        await read_by_now(collapsing.address)
        for caller in callers:
            caller.hang_up()
        await read_by_now(collapsing.address)
    gate.open()
    async with await Connection.open(collapsing.address) as connection:
        connection.request("GET", path, AUTHORIZED)
        assert (await connection.answer()).body == b"stored"
    assert len(origin.calls(path)) == 1


async def test_a_thousand_callers_of_a_failing_upstream_make_one_call(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, answer("broken", 500))
    replies = await ask_together(collapsing, origin, path, 1000, gate)
    assert len(origin.calls(path)) == 1
    assert statuses(replies) == {502}
    assert {reply.field("X-Tokens-Consumed") for reply in replies} <= {None, "0"}


async def test_a_shareable_answer_is_given_to_the_waiting_and_not_stored(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, answer("nothing here", 404))
    replies = await ask_together(collapsing, origin, path, 50, gate)
    assert len(origin.calls(path)) == 1
    assert {(reply.status, reply.body) for reply in replies} == {(404, b"nothing here")}
    async with await Connection.open(collapsing.address) as connection:
        connection.request("GET", path, AUTHORIZED)
        assert (await connection.answer()).status == 404
    assert len(origin.calls(path)) == 2


@pytest.mark.parametrize("line", ["Cache-Control: no-store", "Cache-Control: private", "Set-Cookie: a=b"])
async def test_callers_of_a_private_answer_go_on_in_parallel(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str, line: str
) -> None:
    """All the bodies are held at once, twice in a row: nobody waits for another caller's answer to end."""
    path, count = f"/cached/{item}", 100
    for _ in range(2):
        gate = Gate()
        origin.script(path, head(200, line, "Content-Length: 4"), gate, b"mine")
        async with connections(collapsing.address, count) as callers:
            for caller in callers:
                caller.request("GET", path, AUTHORIZED)
            await asyncio.to_thread(origin.wait, lambda: origin.in_flight[path] == count)
            gate.open()
            replies = await answers(callers)
        assert {(reply.status, reply.body) for reply in replies} == {(200, b"mine")}
        assert not any(cache_status(reply.field("Cache-Status")).stored for reply in replies)
    assert len(origin.calls(path)) == 2 * count


async def test_waiting_callers_fetch_their_own_variant(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, lambda request: answer(request.field("Accept-Language") or "", Vary="Accept-Language"))
    async with connections(collapsing.address, 20) as callers:
        for number, caller in enumerate(callers):
            caller.request("GET", path, AUTHORIZED, f"Accept-Language: {('de', 'fr')[number % 2]}")
        await origin.arrived(path)
        await read_by_now(collapsing.address)
        gate.open()
        replies = await answers(callers)
    assert [reply.body for reply in replies] == [b"de", b"fr"] * 10
    assert len(origin.calls(path)) < 20


async def test_scopes_do_not_wait_for_each_other(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/mine/{item}", Gate()
    origin.script(path, gate, answer("mine"))
    async with connections(collapsing.address, 20) as callers:
        for number, caller in enumerate(callers):
            key = (KEY, OTHER_KEY)[number % 2]
            caller.request("GET", path, f"Authorization: Bearer {key}")
        await origin.arrived(path, 2)
        await read_by_now(collapsing.address)
        gate.open()
        assert statuses(await answers(callers)) == {200}
    assert len(origin.calls(path)) == 2


async def test_methods_that_change_something_are_never_collapsed(
    collapsing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/cached/{item}", Gate()
    origin.script(path, gate, answer("done"))
    async with connections(collapsing.address, 10) as callers:
        for caller in callers:
            caller.request("POST", path, AUTHORIZED, "Content-Length: 0")
        await asyncio.to_thread(origin.wait, lambda: origin.in_flight[path] == 10)
        gate.open()
        assert statuses(await answers(callers)) == {200}


async def test_every_caller_of_a_collapsed_fetch_pays_and_no_other(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    plans = {"tight": {"tokens": {"grant": 30, "every": "never"}}}
    keys = [{"id": "alpha", "key": KEY, "plan": "tight"}]
    whole = config(upstream.url, route("/cached/{id}", "cached", cache={"ttl": "1h"}), plans=plans, keys=keys)
    running, gate = gateway(whole), Gate()
    upstream.script("/cached/1", gate, answer("shared"))
    replies = await ask_together(running, upstream, "/cached/1", 40, gate)
    assert sorted(reply.status for reply in replies) == [200] * 30 + [402] * 10
    paid = sorted(int(reply.field("X-Tokens-Remaining") or -1) for reply in replies if reply.status == 200)
    assert paid == list(range(30))
    eventually(lambda: running.metrics().total("gateway_tokens_charged_total") == 30)
    assert len(upstream.calls("/cached/1")) == 1
