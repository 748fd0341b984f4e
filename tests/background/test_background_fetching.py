"""One stored response fetched anew: it stays until it is replaced, and nothing else is outdated."""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from admission.snapshots import REFRESH, TTL, public_route
from background.yard import JSON, ORDERS, Yard, background, begins, yard

from gateway.admission.background import PagesPolicy
from gateway.admission.jobs import Sending, Stage, Step, Target
from gateway.admission.returning import Returning
from gateway.admission.snapshot import CachePolicy, Route, Share
from gateway.background.calling import ON_LOOP
from gateway.background.endings import Ending, GivenUp, Later, Refetched
from gateway.background.fetching import Fetching
from gateway.background.turns import Turns
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import Policy

ONE = "/orders?storeId=1"
STEP = Step(1, Stage.fetch, "stores", "j", "ci", "1", None, ("",), 0.0)


async def fetched(running: Yard, target: Target | None = None) -> Ending:
    step = replace(STEP, target=target or target_of(running), stage_began=running.clock.wall())
    return await Fetching(running.parts, Turns(), lambda: 0.0).end(step, running.work)


def target_of(running: Yard, target: str = ONE) -> Target:
    found = Returning(running.preparer).target_of(running.stored(target))
    assert found is not None
    return found


CASES: dict[str, tuple[dict[str, Any], str | None, str]] = {
    # what the upstream does; why it is tried again, or given up; what becomes of what is stored
    "replaced": ({"document": {"new": 1}}, None, "new"),
    "gone": ({"document": {}, "status": 404}, None, "outdated"),
    "no longer to be stored": ({"document": {}, "fields": {"Cache-Control": "no-store"}}, None, "outdated"),
    "private now": ({"document": {}, "fields": {"Set-Cookie": "a=b"}}, None, "outdated"),
    "too large now": ({"document": "x" * 2000}, None, "outdated"),
    "failed": ({"status": 500}, "upstream_error", "old"),
    "not available": ({"status": 503}, "upstream_unavailable", "old"),
    "credentials refused": ({"status": 401}, "upstream_credentials_rejected", "old"),
    "timed out while it was asked": ({"status": 408}, "undelivered", "old"),
    "not connected": ({"before": (Problem(Reason.upstream_refused),)}, "upstream_refused", "old"),
    "not now": ({"status": 429}, "upstream_rate_limited", "old"),
    "not so": ({"status": 422}, "given up: undelivered", "old"),
    "cut perhaps": (
        {"declared": False, "delimited": False, "fields": {"Content-Type": "text/plain"}},
        "given up: undelivered",
        "old",
    ),
}


@pytest.mark.parametrize(("script", "reason", "becomes"), CASES.values(), ids=CASES)
async def test_what_becomes_of_it(tmp_path: Path, script: dict[str, Any], reason: str | None, becomes: str) -> None:
    small = replace(ORDERS, cache=replace(ORDERS.cache or TTL, max_body=1000))
    async with yard(tmp_path, begins(background()), small) as running:
        old = await running.store(ONE, {"old": 1})
        beside = await running.store("/orders?storeId=1&page=2", {})
        running.upstream.at(ONE, **script)
        ending = await fetched(running)
        if reason is None:
            assert ending == Refetched()
        else:
            assert isinstance(ending, GivenUp if reason.startswith("given up") else Later)
            assert ending.reason == reason.removeprefix("given up: ")
        now = running.stored(ONE)
        assert ("new" if now is not old else "outdated" if now.outdated else "old") == becomes
        # A refresh of many outdates none of them.
        assert not beside.outdated
        outcome = "delivered" if reason is None else "failed"
        assert f'kind="background",outcome="{outcome}",route="orders"}} 1.0' in exposed(running)


def exposed(running: Yard) -> str:
    return running.metrics.exposition(None)[1].decode()


async def test_it_goes_past_the_caches_of_the_upstream(tmp_path: Path) -> None:
    refresh = replace(REFRESH, upstream_query=(("now", "1"),), upstream_headers=(("X-Fresh", "yes"),))
    async with yard(tmp_path, begins(background()), replace(ORDERS, refresh=refresh)) as running:
        await running.store(ONE, {"old": 1})
        await fetched(running)
        (sent,) = running.upstream.sent
        assert (sent.target, sent.background) == (f"{ONE}&now=1", True)
        assert (sent.fields["Cache-Control"], sent.fields["X-Fresh"]) == ("no-cache", "yes")
        assert running.stored(ONE).body == b'{"call":1}'


@pytest.mark.parametrize("routes", [(), (replace(ORDERS, cache=None),)], ids=["no route", "no cache"])
async def test_what_the_config_no_longer_has_is_left_out(tmp_path: Path, routes: tuple[Route, ...]) -> None:
    async with yard(tmp_path) as running:
        await running.store(ONE, {})
        target = target_of(running)
        running.configure(begins(background()), *routes)
        assert await fetched(running, target) == Refetched()
        assert not running.upstream.sent


async def test_so_is_what_belongs_to_an_account_that_is_gone(tmp_path: Path) -> None:
    own = replace(ORDERS, cache=replace(TTL, share=Share.key))
    async with yard(tmp_path, begins(background()), own) as running:
        gone = Target("k:gone", Sending("GET", ONE, (("Host", "gw.example"),)))
        assert await fetched(running, gone) == Refetched()
        await running.store(ONE, {})
        assert await fetched(running) == Refetched()
        assert len(running.upstream.sent) == 1


async def test_a_server_error_that_a_public_route_would_store_replaces_nothing(tmp_path: Path) -> None:
    open_ = public_route("/orders", cache=CachePolicy(Policy(ttl=900.0, ttl_by_status={500: 60.0})))
    async with yard(tmp_path, begins(background()), open_) as running:
        old = await running.store(ONE, {"old": 1})
        running.upstream.at(ONE, {}, status=500)
        ending = await fetched(running)
        assert isinstance(ending, Later)
        assert ending.reason == "upstream_error"
        assert running.stored(ONE) is old


async def test_what_an_unsafe_method_outdates_meanwhile_is_fetched_again(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        old = await running.store(ONE, {"old": 1})
        target = target_of(running)

        async def overtaken() -> bytes:
            running.cache.invalidate(old.groups)
            return b""

        running.upstream.at(ONE, {}, before=())
        send = running.upstream.send

        async def sending(outgoing: Any) -> Any:
            await overtaken()
            return await send(outgoing)

        running.upstream.send = sending  # type: ignore[method-assign]
        ending = await fetched(running, target)
        assert ending == Later(running.clock.wall() + 0.5, "outdated", False)


PAGES = [f"{ONE}&page={number}" for number in (2, 3)]
LISTS = {
    "plain": ({"document": {"page": 1, "pages": 3}}, PAGES),
    "long": ({"document": {"page": 1, "pages": 3, "orders": "x" * ON_LOOP}}, PAGES),
    "packed": (
        {"document": gzip.compress(b'{"page":1,"pages":3}'), "fields": JSON | {"Content-Encoding": "gzip"}},
        PAGES,
    ),
    "not packed, and saying so": (
        {"document": {"page": 1, "pages": 3}, "fields": JSON | {"Content-Encoding": "identity"}},
        PAGES,
    ),
    "no gzip though it says so": ({"document": b"{}", "fields": JSON | {"Content-Encoding": "gzip"}}, []),
    "in another coding": ({"document": b"?", "fields": JSON | {"Content-Encoding": "br"}}, []),
    "no list": ({"document": {"page": 1}}, []),
}


@pytest.mark.parametrize(("script", "pages"), LISTS.values(), ids=LISTS)
async def test_a_list_names_its_further_pages(tmp_path: Path, script: dict[str, Any], pages: list[str]) -> None:
    async with yard(tmp_path, begins(background(pages=PagesPolicy())), ORDERS) as running:
        await running.store(ONE, {})
        running.upstream.at(ONE, **script)
        target, ending = target_of(running), await fetched(running)
        assert isinstance(ending, Refetched)
        assert [further.sending.target for further in ending.further] == pages
        assert {replace(further, sending=target.sending) for further in ending.further} <= {target}


CODINGS = {
    "what cannot be read is left out": ("br, zstd, GZIP;q=0.5, deflate", PagesPolicy(), "gzip;q=0.5"),
    "nothing else was asked for": ("br", PagesPolicy(), "identity"),
    "no list is followed": ("br", None, "br"),
}


@pytest.mark.parametrize(("accepted", "pages", "asked"), CODINGS.values(), ids=CODINGS)
async def test_a_list_is_asked_for_in_a_coding_that_can_be_read(
    tmp_path: Path, accepted: str, pages: PagesPolicy | None, asked: str
) -> None:
    """One that was stored in br was fetched again in br, and its further pages were not found."""
    varying = JSON | {"Vary": "Accept-Encoding"}
    async with yard(tmp_path, begins(background(pages=pages)), ORDERS) as running:
        await running.store(
            ONE, b"?", fields=varying | {"Content-Encoding": "br"}, asking={"Accept-Encoding": accepted}
        )
        before = running.stored(ONE)
        running.upstream.at(ONE, {"new": 1}, fields=varying)
        assert await fetched(running) == Refetched()
        assert running.upstream.sent[0].fields["Accept-Encoding"] == asked
        after = running.stored(ONE)
        assert (after.body, after.selecting) == (b'{"new":1}', before.selecting)


async def test_a_call_reserves_before_it_is_made(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        await running.store(ONE, {})
        charged = running.house.charged
        running.upstream.at(ONE, orjson.dumps({}))
        await fetched(running)
        assert (running.house.charged, running.house.reserved) == (charged + 1, 0)


async def test_a_step_without_a_target_is_a_bug(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        with pytest.raises(RuntimeError):
            await Fetching(running.parts, Turns(), lambda: 0.0).end(STEP, running.work)
