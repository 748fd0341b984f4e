"""Refreshes over real sockets: begun, looked at, listed in pages, cancelled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from admin.operated import Operated, operated
from admission.snapshots import KEY, TTL, make_route, seed_route
from support.in_process import ALPHA, Way, way

from gateway.admin.refreshes import RefreshesApi
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Share
from gateway.refreshes import Refreshes

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    own = make_route("/own/{id}", name="own", cache=replace(TTL, share=Share.key))
    async with way(tmp_path, seed_route(), own) as running:
        yield running


@pytest.fixture
async def refreshes(running: Way) -> AsyncIterator[Refreshes]:
    refreshes = Refreshes(
        live=lambda: running.live,
        preparer=lambda: Preparer(running.live.snapshot),
        fetcher=running.fetcher,
        settlement=running.settlement,
        watch=running.watch,
        clock=running.clock,
    )
    yield refreshes
    await refreshes.finish()


@pytest.fixture
async def door(refreshes: Refreshes) -> AsyncIterator[Operated]:
    accounts = {ALPHA.id: ALPHA}
    async with operated(RefreshesApi(refreshes, accounts.get).endpoints()) as door:
        yield door


async def test_one_from_its_beginning_to_its_end(door: Operated, running: Way, refreshes: Refreshes) -> None:
    gate = asyncio.Event()
    running.upstream.then(b'{"call":1}', before=(gate,), fields=JSON)
    begun = await door.post("/-/refreshes", {"url": f"{ITEM}?a=1", "headers": {"Accept": "text/html"}})
    told = begun.json()
    place = begun.headers["Location"]
    assert (begun.status_code, told["state"], place) == (202, "running", f"/-/refreshes/{told['id']}")
    assert told["began"] == "2026-01-15T12:00:00Z"
    gate.set()
    await refreshes.finish()
    told = (await door.client.get(place)).json()
    assert (told["state"], told["status"], told["ended"]) == ("done", 200, "2026-01-15T12:00:00Z")
    assert told["cache_status"] == "gateway; fwd=request; fwd-status=200; stored"
    assert (told["url"], told["route"], told["account"], told["reason"]) == (f"{ITEM}?a=1", "product", None, None)
    assert '"refresh begun"' in door.logged.getvalue()
    assert (await running.ask(f"{ITEM}?a=1", fields={"Accept": "text/html"})).cache.hit


async def test_as_an_account(door: Operated, running: Way, refreshes: Refreshes) -> None:
    begun = await door.post("/-/refreshes", {"url": "/own/1", "account": ALPHA.id})
    assert begun.json()["account"] == ALPHA.id
    await refreshes.finish()
    assert (await running.ask("/own/1")).cache.hit


async def test_the_list_comes_in_pages(door: Operated) -> None:
    ids = [(await door.post("/-/refreshes", {"url": f"/v1/products/{number}"})).json()["id"] for number in range(3)]
    first = (await door.client.get("/-/refreshes?most=2")).json()
    assert ([told["id"] for told in first["refreshes"]], first["next"]) == (ids[:0:-1], ids[1])
    second = (await door.client.get(f"/-/refreshes?most=2&after={first['next']}")).json()
    assert ([told["id"] for told in second["refreshes"]], second["next"]) == (ids[:1], None)
    whole = (await door.client.get("/-/refreshes?most=3")).json()
    assert (len(whole["refreshes"]), whole["next"]) == (3, None), "the last page says so, full or not"


async def test_one_is_cancelled_once(door: Operated, running: Way) -> None:
    gate = asyncio.Event()
    running.upstream.then(b"{}", before=(gate,), fields=JSON)
    place = (await door.post("/-/refreshes", {"url": ITEM})).headers["Location"]
    assert (await door.client.delete(place)).json()["state"] == "cancelled"
    again = await door.client.delete(place)
    assert (again.status_code, again.json()["reason"]) == (409, "conflict")
    gate.set()


WRONG: dict[str, tuple[str, str, object, int]] = {
    "no such account": ("POST", "/-/refreshes", {"url": ITEM, "account": "none"}, 404),
    "an account is needed": ("POST", "/-/refreshes", {"url": "/own/1"}, 400),
    "no route": ("POST", "/-/refreshes", {"url": "/none"}, 400),
    "another method": ("POST", "/-/refreshes", {"url": ITEM, "method": "HEAD"}, 400),
    "an unknown key": ("POST", "/-/refreshes", {"url": ITEM, "headers": {"X-Api-Key": "rk_live_x"}}, 400),
    "none of this id": ("GET", "/-/refreshes/none", None, 404),
    "none to cancel": ("DELETE", "/-/refreshes/none", None, 404),
    "after none": ("GET", "/-/refreshes?after=none", None, 404),
    "too many": ("GET", "/-/refreshes?most=1001", None, 400),
}


@pytest.mark.parametrize(("method", "path", "content", "status"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be(
    door: Operated, running: Way, method: str, path: str, content: object, status: int
) -> None:
    answer = await door.client.request(method, path, json=content)
    assert (answer.status_code, running.calls) == (status, 0)
    assert "rk_live_x" not in answer.text


async def test_a_refusal_says_how_the_gateway_would_refuse(door: Operated) -> None:
    answer = await door.post("/-/refreshes", {"url": "/none"})
    assert answer.json()["detail"] == "404 no_route: No route matches this request"


async def test_only_whom_the_guard_lets_in_may_refresh(door: Operated, running: Way) -> None:
    fields = {"Authorization": f"Bearer {KEY}"}
    assert (await door.client.post("/-/refreshes", json={"url": ITEM}, headers=fields)).status_code == 401
    assert running.calls == 0
