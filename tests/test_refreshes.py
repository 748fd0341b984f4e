"""Single refreshes on the house account: one fresh fetch each, what it outdates, and those that a dead process left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from admission.snapshots import KEY, REFRESH, TTL, make_request, make_route, public_route, seed_route
from support.in_process import ALPHA, Way, way
from support.registers import out_of_reach, register_in

from gateway.admission.jobs import Job, Kind, Order, Sending, Stage, State
from gateway.admission.prepare import Preparer
from gateway.admission.repeating import LOST
from gateway.admission.snapshot import Account, CachePolicy, KeySource, Route, Share
from gateway.errors import Problem, Reason
from gateway.jobs.register import JobRegister
from gateway.keys.orders import Fault, Refused
from gateway.messages import Request
from gateway.refreshes import MOST_RUNNING, Refreshes
from gateway.rfc9111.stored import Policy
from gateway.singles import Singles

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
SHORT = seed_route(cache=CachePolicy(Policy(ttl=60.0), max_body=1000))


@asynccontextmanager
async def standing(folder: Path, *routes: Route) -> AsyncIterator[tuple[Way, JobRegister]]:
    """The request's way, and a register beside its books."""
    beside = folder / "register"
    beside.mkdir()
    async with way(folder, *routes) as running, register_in(beside) as register:
        yield running, register


def operated(way: Way, register: JobRegister) -> Refreshes:
    accounts = {ALPHA.id: ALPHA}
    return Refreshes(
        jobs=register,
        singles=Singles(register, lambda: Preparer(way.live.snapshot), way.clock),
        live=lambda: way.live,
        preparer=lambda: Preparer(way.live.snapshot),
        account_of=accounts.get,
        fetcher=way.fetcher,
        settlement=way.settlement,
        watch=way.watch,
        clock=way.clock,
    )


async def refreshed(
    way: Way, register: JobRegister, request: Request | None = None, account: Account | None = None
) -> Job:
    """One refresh at its end, nobody's unless said."""
    refreshes = operated(way, register)
    job = await refreshes.start(request or make_request(ITEM, key=None), account)
    await refreshes.finish()
    return await refreshes.find(job.id)


def counted(way: Way) -> str:
    lines = way.metrics.exposition(None)[1].decode().splitlines()
    return next(line for line in lines if line.startswith("gateway_refreshes_total"))


async def test_fresh_data_takes_the_place_of_what_is_stored_and_outdates_its_group(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        await running.ask(ITEM)
        await running.ask(f"{ITEM}?b")
        charged = running.balance.charged
        running.upstream.then(b'{"call":2}', fields=JSON)
        refresh = await refreshed(running, register)
        assert (refresh.state, refresh.status, refresh.reason) == (State.done, 200, None)
        assert refresh.cache_status == "gateway; fwd=request; fwd-status=200; stored"
        assert (refresh.name, refresh.url, refresh.host, refresh.account) == ("product", ITEM, "gw.example", None)
        assert (refresh.ended, refresh.tokens) == (running.clock.wall(), 0)
        assert running.upstream.sent[-1].fields["Cache-Control"] == "no-cache"
        assert (running.balance.charged, running.house.charged) == (charged, 1)
        assert (await running.ask(ITEM)).body == b'{"call":2}'
        assert (await running.ask(f"{ITEM}?b")).cache.fwd == "stale"
        assert counted(running) == 'gateway_refreshes_total{kind="admin",outcome="delivered",route="product"} 1.0'


async def test_it_adds_what_the_route_adds_to_forced_fetches(tmp_path: Path) -> None:
    refresh = replace(REFRESH, upstream_query=(("now", "1"), ("b", "new")), upstream_headers=(("X-Fresh", "yes"),))
    async with standing(tmp_path, seed_route(refresh=refresh)) as (running, register):
        await refreshed(running, register, make_request(f"{ITEM}?b=old&c", key=None))
        sent = running.upstream.sent[-1]
        assert (sent.target, sent.fields["X-Fresh"]) == (f"{ITEM}?c&now=1&b=new", "yes")
        assert (await running.ask(f"{ITEM}?b=old&c")).cache.hit


@pytest.mark.parametrize("target", [ITEM, f"{ITEM}?force_refresh"], ids=["plain", "forced"])
async def test_directives_and_conditions_are_left_aside(tmp_path: Path, target: str) -> None:
    fields = {"Cache-Control": "no-store, only-if-cached", "If-None-Match": '"a"', "Range": "bytes=0-1"}
    async with standing(tmp_path, SHORT) as (running, register):
        refresh = await refreshed(running, register, make_request(target, fields=fields, key=None))
        assert refresh.cache_status == "gateway; fwd=request; fwd-status=200; stored"
        assert not {"If-None-Match", "Range"} & set(running.upstream.sent[-1].fields)
        assert (await running.ask(ITEM)).cache.hit


async def test_a_route_without_refresh_has_them_too(tmp_path: Path) -> None:
    async with standing(tmp_path, make_route(cache=TTL)) as (running, register):
        assert (await refreshed(running, register)).state is State.done
        assert running.upstream.sent[-1].fields["Cache-Control"] == "no-cache"


async def test_on_a_public_route(tmp_path: Path) -> None:
    async with standing(tmp_path, public_route("/v1/{rest:.*}", cache=CachePolicy(Policy(ttl=60.0)))) as (
        running,
        register,
    ):
        assert (await refreshed(running, register)).state is State.done
        assert running.cache.stored_responses == 1


async def test_as_an_account(tmp_path: Path) -> None:
    route = seed_route(cache=replace(TTL, share=Share.key))
    async with standing(tmp_path, route) as (running, register):
        refresh = await refreshed(running, register, account=ALPHA)
        assert (refresh.account, (await running.ask(ITEM)).cache.hit) == ("ci", True)
        assert (await refreshed(running, register, make_request(ITEM))).state is State.done
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
    async with standing(tmp_path, SHORT) as (running, register):
        await running.ask(f"{ITEM}?b")
        running.upstream.then(b"{}", **script)
        refresh = await refreshed(running, register)
        assert (refresh.state, refresh.reason) == (State.done if reason is None else State.failed, reason)
        assert refresh.status == status
        assert (refresh.cache_status or "").startswith(told or "")
        assert (refresh.cache_status is None) is (told is None)
        # A failed refresh outdates nothing.
        if reason is not None:
            assert (await running.ask(f"{ITEM}?b")).cache.hit
            assert 'outcome="failed"' in counted(running)


async def test_what_is_too_large_to_store_is_given_up(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        running.upstream.then(b"x" * 2000, declared=True)
        refresh = await refreshed(running, register)
        assert (refresh.state, running.upstream.open, running.house.charged) == (State.done, 0, 0)


async def test_one_under_way_is_joined(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        clients = running.asking(f"{ITEM}?force_refresh")
        await running.upstream.arrived()
        refreshes = operated(running, register)
        refresh = await refreshes.start(make_request(ITEM, key=None))
        ending = asyncio.create_task(refreshes.finish())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(clients, ending)
        refresh = await refreshes.find(refresh.id)
        assert refresh.cache_status == "gateway; fwd=request; fwd-status=200; stored; collapsed"
        assert (running.calls, running.house.charged) == (1, 0)


async def test_clients_join_it(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        refreshes = operated(running, register)
        await refreshes.start(make_request(ITEM, key=None))
        client = running.asking(ITEM)
        await running.upstream.arrived()
        gate.set()
        await refreshes.finish()
        assert ((await client).status, running.calls) == (200, 1)


async def test_what_turns_out_to_be_anothers_own_is_fetched_again(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON | {"Set-Cookie": "a=b"})
        client = running.asking(f"{ITEM}?force_refresh")
        await running.upstream.arrived()
        refreshes = operated(running, register)
        refresh = await refreshes.start(make_request(ITEM, key=None))
        ending = asyncio.create_task(refreshes.finish())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(client, ending)
        refresh = await refreshes.find(refresh.id)
        assert refresh.cache_status == "gateway; fwd=request; fwd-status=200; stored"
        assert running.calls == 2


async def test_what_the_journal_does_not_take_is_not_fetched(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        with running.journal_failing():
            refresh = await refreshed(running, register)
        assert (refresh.state, refresh.reason, running.calls) == (State.failed, "ledger_unavailable", 0)
        assert (await running.ask(ITEM)).status == 200


async def test_a_bug_of_ours_leaves_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))

        async def broken(*given: object) -> object:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(running.settlement, "reserve_house", broken)
            refresh = await refreshed(running, register)
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
    async with standing(tmp_path, route) as (running, register):
        refreshes = operated(running, register)
        with pytest.raises(Refused, match=words) as refused:
            await refreshes.start(request_, account)
        assert refused.value.fault is Fault.invalid
        assert await refreshes.latest(None, 10) == ()


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
    async with standing(tmp_path, SHORT) as (running, register):
        refreshes = operated(running, register)
        with pytest.raises(Problem) as refused:
            await refreshes.start(request_)
        assert (refused.value.reason, await refreshes.latest(None, 10)) == (reason, ())


async def test_no_key_is_shown(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        running.live = replace(
            running.live, snapshot=replace(running.live.snapshot, accept=(KeySource("query", "api_key"),))
        )
        refresh = await refreshed(running, register, make_request(f"{ITEM}?api_key={KEY}&a=1", key=None))
        assert refresh.url == f"{ITEM}?api_key=...&a=1"


async def test_only_so_many_are_under_way_at_once(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        gate = asyncio.Event()
        refreshes = operated(running, register)
        for number in range(MOST_RUNNING):
            running.upstream.then(b"{}", before=(gate,), fields=JSON)
            job = await refreshes.start(make_request(f"/v1/products/{number}", key=None))
            await refreshes.cancel(job.id)
        with pytest.raises(Refused, match="under way") as refused:
            await refreshes.start(make_request(ITEM, key=None))
        assert refused.value.fault is Fault.conflict
        gate.set()
        await refreshes.finish()


async def test_the_register_in_pages(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        refreshes = operated(running, register)
        first, second, third = [(await refreshes.start(make_request(ITEM, key=None))).id for _ in range(3)]
        await refreshes.finish()
        assert len({first, second, third}) == 3
        assert [job.id for job in await refreshes.latest(None, 2)] == [third, second]
        assert [job.id for job in await refreshes.latest(second, 2)] == [first]
        assert await refreshes.latest(first, 2) == ()
        with pytest.raises(Refused) as refused:
            await refreshes.latest("none", 2)
        assert refused.value.fault is Fault.unknown


async def test_a_cancelled_one_is_settled_all_the_same(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        refreshes = operated(running, register)
        refresh = await refreshes.start(make_request(ITEM, key=None))
        await running.upstream.arrived()
        assert (await refreshes.cancel(refresh.id)).state is State.cancelled
        with pytest.raises(Refused, match="cancelled") as refused:
            await refreshes.cancel(refresh.id)
        assert refused.value.fault is Fault.conflict
        gate.set()
        await refreshes.finish()
        refresh = await refreshes.find(refresh.id)
        assert (refresh.state, running.house.charged, running.cache.stored_responses) == (State.cancelled, 1, 1)


async def test_what_there_is_not_cannot_be_cancelled(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        with pytest.raises(Refused) as refused:
            await operated(running, register).cancel("none")
        assert refused.value.fault is Fault.unknown


async def test_background_refreshes_are_among_them(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        order = Order("stores", "ci", ("1",), whole=False, since=None, scopes=("",), first=Stage.select)
        accepted = await register.accept(order, running.clock.wall())
        refreshes = operated(running, register)
        (job,) = await refreshes.latest(None, 2)
        assert (job.id, job.kind) == (accepted.job, Kind.background)
        assert (await refreshes.cancel(job.id)).state is State.cancelled


async def test_none_begins_once_the_gateway_stops(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        refreshes = operated(running, register)
        await refreshes.finish()
        with pytest.raises(Refused, match="stopping"):
            await refreshes.start(make_request(ITEM, key=None))


async def test_what_cannot_be_written_down_does_not_begin(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        with out_of_reach(register), pytest.raises(Problem) as refused:
            await operated(running, register).start(make_request(ITEM, key=None))
        assert (refused.value.reason, running.calls) == (Reason.jobs_unavailable, 0)


async def left(way: Way, register: JobRegister, id_: str, sending: Sending, account: str | None = None) -> None:
    """A refresh that a dead process left running."""
    job = Job(id_, Kind.single, "product", account, way.clock.wall(), State.running, url=sending.target)
    await register.begin(job, sending, way.clock.wall())


async def resumed(way: Way, register: JobRegister) -> None:
    """All that can be is resumed, and has ended."""
    refreshes = operated(way, register)
    await refreshes.resume()
    await refreshes._tasks.finish()


PLAIN = Sending("GET", ITEM, (("Host", "gw.example"),))


async def test_what_a_dead_process_left_is_resumed_on_the_house(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        await left(running, register, "a1", replace(PLAIN, target=f"{ITEM}?force_refresh"), "ci")
        await left(running, register, "a2", replace(PLAIN, method="POST", target="/v1/products/2/refresh"))
        await resumed(running, register)
        for id_ in ("a1", "a2"):
            job = await register.find(id_)
            assert job is not None
            assert (job.state, job.tokens, job.status) == (State.done, 0, 200)
            assert job.cache_status == "gateway; fwd=request; fwd-status=200; stored"
        assert (running.balance.charged, running.calls) == (0, 2)
        assert running.house.charged > 0
        assert {outgoing.background for outgoing in running.upstream.sent} == {True}
        assert (await running.ask(ITEM)).cache.hit


async def test_one_is_resumed_as_its_accounts(tmp_path: Path) -> None:
    async with standing(tmp_path, seed_route(cache=replace(TTL, share=Share.key))) as (running, register):
        await left(running, register, "a1", PLAIN, "ci")
        await resumed(running, register)
        assert (await running.ask(ITEM)).cache.hit


LEFT: dict[str, tuple[Sending, str | None, str]] = {
    "a gone account": (PLAIN, "gone", "account_gone"),
    "a gone route": (replace(PLAIN, target="/none"), None, "no_route"),
    "a route that stores nothing any more": (replace(PLAIN, target="/plain"), None, "not_refreshable"),
    "an account is needed now": (replace(PLAIN, target="/own"), None, "not_refreshable"),
    "with its client's credentials": (LOST, "ci", "credentials_not_kept"),
}


@pytest.mark.parametrize(("sending", "account", "reason"), LEFT.values(), ids=LEFT)
async def test_what_cannot_be_resumed_has_failed(
    tmp_path: Path, sending: Sending, account: str | None, reason: str
) -> None:
    own = make_route("/own", name="own", cache=replace(TTL, share=Share.key))
    async with standing(tmp_path, SHORT, make_route("/plain", name="plain"), own) as (running, register):
        await left(running, register, "a1", sending, account)
        await resumed(running, register)
        job = await register.find("a1")
        assert job is not None
        assert (job.state, job.reason, running.calls) == (State.failed, reason, 0)


async def test_many_are_resumed_a_few_at_a_time(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        gate = asyncio.Event()
        for number in range(10):
            running.upstream.then(b"{}", before=(gate,), fields=JSON)
            await left(running, register, f"a{number}", replace(PLAIN, target=f"/v1/products/{number}"))
        refreshes = operated(running, register)
        await refreshes.resume()
        await running.upstream.arrived(4)
        ending = asyncio.create_task(refreshes.finish())
        await asyncio.sleep(0)
        gate.set()
        await ending
        # The gateway stops: those that have not begun are left to the next start.
        assert (running.calls, len(await register.unfinished())) == (4, 6)
        await resumed(running, register)
        assert (running.calls, await register.unfinished()) == (10, ())


async def test_what_was_cancelled_before_its_turn_is_not_resumed(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        await left(running, register, "a1", PLAIN)
        found = await register.unfinished()
        await register.cancel("a1", running.clock.wall())
        refreshes = operated(running, register)
        await refreshes._resume(iter(found))
        assert running.calls == 0


async def test_while_the_register_is_out_of_reach_nothing_is_resumed(tmp_path: Path) -> None:
    async with standing(tmp_path, SHORT) as (running, register):
        await left(running, register, "a1", PLAIN)
        found = await register.unfinished()
        refreshes = operated(running, register)
        with out_of_reach(register):
            await refreshes.resume()
            await refreshes._resume(iter(found))
        assert (running.calls, await register.unfinished()) == (0, found)
