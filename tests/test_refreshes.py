"""Single refreshes: one fresh fetch each on the house account, what it outdates, and the register of them."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from admission.snapshots import KEY, REFRESH, TTL, make_request, make_route, public_route, seed_route
from support.in_process import ALPHA, Way, way

from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account, CachePolicy, KeySource, Route, Share
from gateway.errors import Problem, Reason
from gateway.keys.orders import Fault, Refused
from gateway.messages import Request
from gateway.refreshes import MOST_KEPT, MOST_RUNNING, Refresh, Refreshes, State
from gateway.rfc9111.stored import Policy

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
SHORT = seed_route(cache=CachePolicy(Policy(ttl=60.0), max_body=1000))


def register(way: Way) -> Refreshes:
    return Refreshes(
        live=lambda: way.live,
        preparer=lambda: Preparer(way.live.snapshot),
        fetcher=way.fetcher,
        settlement=way.settlement,
        watch=way.watch,
        clock=way.clock,
    )


async def refreshed(way: Way, request: Request | None = None, account: Account | None = None) -> Refresh:
    """One refresh at its end, nobody's unless said."""
    refreshes = register(way)
    refresh = refreshes.start(request or make_request(ITEM, key=None), account)
    await refreshes.finish()
    return refresh


def counted(way: Way) -> str:
    lines = way.metrics.exposition(None)[1].decode().splitlines()
    return next(line for line in lines if line.startswith("gateway_refreshes_total"))


async def test_fresh_data_takes_the_place_of_what_is_stored_and_outdates_its_group(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        await running.ask(ITEM)
        await running.ask(f"{ITEM}?b")
        charged = running.balance.charged
        running.upstream.then(b'{"call":2}', fields=JSON)
        refresh = await refreshed(running)
        assert (refresh.state, refresh.status, refresh.reason) == (State.done, 200, None)
        assert refresh.cache_status == "gateway; fwd=request; fwd-status=200; stored"
        assert (refresh.route, refresh.url, refresh.host, refresh.account) == ("product", ITEM, "gw.example", None)
        assert refresh.ended == running.clock.wall()
        assert running.upstream.sent[-1].fields["Cache-Control"] == "no-cache"
        assert (running.balance.charged, running.house.charged) == (charged, 1)
        assert (await running.ask(ITEM)).body == b'{"call":2}'
        assert (await running.ask(f"{ITEM}?b")).cache.fwd == "stale"
        assert counted(running) == 'gateway_refreshes_total{kind="admin",outcome="delivered",route="product"} 1.0'


async def test_it_adds_what_the_route_adds_to_forced_fetches(tmp_path: Path) -> None:
    refresh = replace(REFRESH, upstream_query=(("now", "1"), ("b", "new")), upstream_headers=(("X-Fresh", "yes"),))
    async with way(tmp_path, seed_route(refresh=refresh)) as running:
        await refreshed(running, make_request(f"{ITEM}?b=old&c", key=None))
        sent = running.upstream.sent[-1]
        assert (sent.target, sent.fields["X-Fresh"]) == (f"{ITEM}?c&now=1&b=new", "yes")
        assert (await running.ask(f"{ITEM}?b=old&c")).cache.hit


@pytest.mark.parametrize("target", [ITEM, f"{ITEM}?force_refresh"], ids=["plain", "forced"])
async def test_directives_and_conditions_are_left_aside(tmp_path: Path, target: str) -> None:
    fields = {"Cache-Control": "no-store, only-if-cached", "If-None-Match": '"a"', "Range": "bytes=0-1"}
    async with way(tmp_path, SHORT) as running:
        refresh = await refreshed(running, make_request(target, fields=fields, key=None))
        assert refresh.cache_status == "gateway; fwd=request; fwd-status=200; stored"
        assert not {"If-None-Match", "Range"} & set(running.upstream.sent[-1].fields)
        assert (await running.ask(ITEM)).cache.hit


async def test_a_route_without_refresh_has_them_too(tmp_path: Path) -> None:
    async with way(tmp_path, make_route(cache=TTL)) as running:
        assert (await refreshed(running)).state is State.done
        assert running.upstream.sent[-1].fields["Cache-Control"] == "no-cache"


async def test_on_a_public_route(tmp_path: Path) -> None:
    async with way(tmp_path, public_route("/v1/{rest:.*}", cache=CachePolicy(Policy(ttl=60.0)))) as running:
        assert (await refreshed(running)).state is State.done
        assert running.cache.stored_responses == 1


async def test_as_an_account(tmp_path: Path) -> None:
    route = seed_route(cache=replace(TTL, share=Share.key))
    async with way(tmp_path, route) as running:
        refresh = await refreshed(running, account=ALPHA)
        assert (refresh.account, (await running.ask(ITEM)).cache.hit) == ("ci", True)
        assert (await refreshed(running, make_request(ITEM))).state is State.done
        assert running.balance.charged == 1


FAILED = {
    "no upstream": ({"before": (Problem(Reason.upstream_refused),)}, "upstream_refused", None, None),
    "an error": ({"status": 500}, "upstream_error", 500, "gateway; fwd=request; fwd-status=500"),
    "not found": ({"status": 404}, None, 404, "gateway; fwd=request; fwd-status=404; detail="),
    "no news": ({"status": 422}, "undelivered", 422, "gateway; fwd=request; fwd-status=422; detail="),
    "private": (
        {"fields": {"Cache-Control": "private"}},
        None,
        200,
        'gateway; fwd=request; fwd-status=200; detail="the response says private"',
    ),
}


@pytest.mark.parametrize(("script", "reason", "status", "told"), FAILED.values(), ids=FAILED)
async def test_what_comes_of_it(
    tmp_path: Path, script: dict[str, object], reason: str | None, status: int | None, told: str | None
) -> None:
    async with way(tmp_path, SHORT) as running:
        await running.ask(f"{ITEM}?b")
        running.upstream.then(b"{}", **script)
        refresh = await refreshed(running)
        assert (refresh.state, refresh.reason) == (State.done if reason is None else State.failed, reason)
        assert refresh.status == status
        assert (refresh.cache_status or "").startswith(told or "")
        assert (refresh.cache_status is None) is (told is None)
        # A failed refresh outdates nothing.
        if reason is not None:
            assert (await running.ask(f"{ITEM}?b")).cache.hit
            assert 'outcome="failed"' in counted(running)


async def test_what_is_too_large_to_store_is_given_up(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        running.upstream.then(b"x" * 2000, declared=True)
        refresh = await refreshed(running)
        assert (refresh.state, running.upstream.open, running.house.charged) == (State.done, 0, 0)


async def test_one_under_way_is_joined(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        clients = running.asking(f"{ITEM}?force_refresh")
        await running.upstream.arrived()
        refreshes = register(running)
        refresh = refreshes.start(make_request(ITEM, key=None))
        ending = asyncio.create_task(refreshes.finish())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(clients, ending)
        assert refresh.cache_status == "gateway; fwd=request; fwd-status=200; stored; collapsed"
        assert (running.calls, running.house.charged) == (1, 0)


async def test_clients_join_it(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        refreshes = register(running)
        refreshes.start(make_request(ITEM, key=None))
        client = running.asking(ITEM)
        await running.upstream.arrived()
        gate.set()
        await refreshes.finish()
        assert ((await client).status, running.calls) == (200, 1)


async def test_what_turns_out_to_be_anothers_own_is_fetched_again(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON | {"Set-Cookie": "a=b"})
        client = running.asking(f"{ITEM}?force_refresh")
        await running.upstream.arrived()
        refreshes = register(running)
        refresh = refreshes.start(make_request(ITEM, key=None))
        ending = asyncio.create_task(refreshes.finish())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(client, ending)
        assert refresh.cache_status == "gateway; fwd=request; fwd-status=200; stored"
        assert running.calls == 2


async def test_what_the_journal_does_not_take_is_not_fetched(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        with running.journal_failing():
            refresh = await refreshed(running)
        assert (refresh.state, refresh.reason, running.calls) == (State.failed, "ledger_unavailable", 0)
        assert (await running.ask(ITEM)).status == 200


async def test_a_bug_of_ours_leaves_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with way(tmp_path, SHORT) as running:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))

        async def broken(*given: object) -> object:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(running.settlement, "reserve_house", broken)
            refresh = await refreshed(running)
        assert (refresh.state, refresh.reason) == (State.failed, "internal_error")
        assert (await running.ask(ITEM)).status == 200


REFUSED: dict[str, tuple[Route, Request, Account | None, str]] = {
    "nothing stored": (make_route(), make_request(ITEM), None, "stores nothing"),
    "no account": (
        seed_route(cache=replace(TTL, share=Share.organization)),
        make_request(ITEM, key=None),
        None,
        "shares by organization: an account is needed",
    ),
    "a test key": (SHORT, make_request(ITEM), replace(ALPHA, test=True), "a test key"),
}


@pytest.mark.parametrize(("route", "request_", "account", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_refreshed(
    tmp_path: Path, route: Route, request_: Request, account: Account | None, words: str
) -> None:
    async with way(tmp_path, route) as running:
        refreshes = register(running)
        with pytest.raises(Refused, match=words) as refused:
            refreshes.start(request_, account)
        assert refused.value.fault is Fault.invalid
        assert refreshes.latest(None, 10) == []


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (make_request("/none"), Reason.no_route),
        (make_request(ITEM, fields={"Accept": "\udcff"}), Reason.malformed_request),
        (make_request(ITEM, key="rk_live_unknown"), Reason.unknown_key),
    ],
    ids=["no route", "what cannot be sent on", "an unknown key"],
)
async def test_what_the_gateway_would_refuse(tmp_path: Path, request_: Request, reason: Reason) -> None:
    async with way(tmp_path, SHORT) as running:
        refreshes = register(running)
        with pytest.raises(Problem) as refused:
            refreshes.start(request_)
        assert (refused.value.reason, refreshes.latest(None, 10)) == (reason, [])


async def test_no_key_is_shown(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        running.live = replace(
            running.live, snapshot=replace(running.live.snapshot, accept=(KeySource("query", "api_key"),))
        )
        refresh = await refreshed(running, make_request(f"{ITEM}?api_key={KEY}&a=1", key=None))
        assert refresh.url == f"{ITEM}?api_key=...&a=1"


async def test_only_so_many_are_under_way_at_once(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        gate = asyncio.Event()
        refreshes = register(running)
        for number in range(MOST_RUNNING):
            running.upstream.then(b"{}", before=(gate,), fields=JSON)
            refreshes.cancel(refreshes.start(make_request(f"/v1/products/{number}", key=None)).id)
        with pytest.raises(Refused, match="under way") as refused:
            refreshes.start(make_request(ITEM, key=None))
        assert refused.value.fault is Fault.conflict
        gate.set()
        await refreshes.finish()


async def test_only_the_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.refreshes.MOST_KEPT", 3)
    async with way(tmp_path, SHORT) as running:
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        refreshes = register(running)
        slow = refreshes.start(make_request("/v1/products/slow", key=None))
        await running.upstream.arrived()
        others = []
        for number in range(4):
            others.append(refreshes.start(make_request(f"/v1/products/{number}", key=None)))
            refreshes.cancel(others[-1].id)
        assert refreshes.latest(None, 10) == [others[3], others[2], slow]
        with pytest.raises(Refused) as refused:
            refreshes.find(others[0].id)
        assert refused.value.fault is Fault.unknown
        gate.set()
        await refreshes.finish()
    assert MOST_KEPT == 1000


async def test_the_register_in_pages(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        refreshes = register(running)
        first, second, third = [refreshes.start(make_request(ITEM, key=None)) for _ in range(3)]
        await refreshes.finish()
        assert len({first.id, second.id, third.id}) == 3
        assert refreshes.latest(None, 2) == [third, second]
        assert refreshes.latest(second.id, 2) == [first]
        assert refreshes.latest(first.id, 2) == []
        with pytest.raises(Refused):
            refreshes.latest("none", 2)


async def test_a_cancelled_one_is_settled_all_the_same(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        refreshes = register(running)
        refresh = refreshes.start(make_request(ITEM, key=None))
        await running.upstream.arrived()
        assert refreshes.cancel(refresh.id).state is State.cancelled
        with pytest.raises(Refused, match="cancelled") as refused:
            refreshes.cancel(refresh.id)
        assert refused.value.fault is Fault.conflict
        gate.set()
        await refreshes.finish()
        assert (refresh.state, refresh.status, running.house.charged) == (State.cancelled, 200, 1)


async def test_none_begins_once_the_gateway_stops(tmp_path: Path) -> None:
    async with way(tmp_path, SHORT) as running:
        refreshes = register(running)
        await refreshes.finish()
        with pytest.raises(Refused, match="stopping"):
            refreshes.start(make_request(ITEM, key=None))
