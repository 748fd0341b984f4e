"""Refreshes over real sockets: begun, single or in the background; looked at, listed in pages, cancelled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from admin.operated import Operated, operated
from admission.snapshots import KEY, TTL, make_route, seed_route
from support.in_process import ALPHA, Way, way
from support.registers import out_of_reach, register_in

from gateway.admin.refreshes import RefreshesApi
from gateway.admission.jobs import Accepted, Job, Order, Stage
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account, Share
from gateway.errors import Problem, Reason
from gateway.jobs.register import JobRegister
from gateway.meter import HOUSE
from gateway.refreshes import Refreshes
from gateway.singles import Singles

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
NOON = 1_768_478_400.0
ACCOUNTS = {ALPHA.id: ALPHA}
STORES = {"background": "stores"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    own = make_route("/own/{id}", name="own", cache=replace(TTL, share=Share.key))
    async with way(tmp_path, seed_route(), own) as running:
        yield running


@pytest.fixture
async def register(running: Way, tmp_path: Path) -> AsyncIterator[JobRegister]:
    beside = tmp_path / "register"
    beside.mkdir()
    async with register_in(beside) as register:
        yield register


@pytest.fixture
async def refreshes(running: Way, register: JobRegister) -> AsyncIterator[Refreshes]:
    refreshes = Refreshes(
        jobs=register,
        singles=Singles(register, lambda: Preparer(running.live.snapshot), running.clock),
        live=lambda: running.live,
        preparer=lambda: Preparer(running.live.snapshot),
        account_of=ACCOUNTS.get,
        fetcher=running.fetcher,
        settlement=running.settlement,
        watch=running.watch,
        clock=running.clock,
    )
    yield refreshes
    await refreshes.finish()


class Orders:
    """Takes orders of background refreshes as the gateway does, or refuses with `problem`."""

    def __init__(self, register: JobRegister) -> None:
        self.taken: list[tuple[str, str | None, str | None, Account | None]] = []
        self.problem: Problem | None = None
        self._register = register

    async def order(
        self, name: str, subject: str | None, since: str | None, account: Account | None
    ) -> tuple[Accepted, Job]:
        if self.problem is not None:
            raise self.problem
        self.taken.append((name, subject, since, account))
        subjects = ("1", "2") if subject is None else (subject,)
        order = Order(
            name=name,
            account=(account or HOUSE).id,
            subjects=subjects,
            whole=subject is None,
            since=None if since is None else NOON,
            scopes=("",),
            first=Stage.select,
        )
        accepted = await self._register.accept(order, NOON)
        job = await self._register.find(accepted.job)
        assert job is not None
        return accepted, job


@pytest.fixture
def orders(register: JobRegister) -> Orders:
    return Orders(register)


@pytest.fixture
async def door(refreshes: Refreshes, orders: Orders) -> AsyncIterator[Operated]:
    async with operated(RefreshesApi(refreshes, ACCOUNTS.get, orders.order).endpoints()) as door:
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
    assert (told["kind"], told["progress"]) == ("single", {"total": 1, "done": 1, "failed": 0})
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


async def test_a_background_refresh_of_everything(door: Operated, orders: Orders) -> None:
    begun = await door.post("/-/refreshes", STORES)
    told = begun.json()
    assert (begun.status_code, begun.headers["Location"]) == (202, f"/-/refreshes/{told['id']}")
    assert orders.taken == [("stores", None, None, None)]
    assert (told["kind"], told["how"], told["background"]) == ("background", "initiated", "stores")
    assert (told["account"], told["subject"], told["since"]) == (None, None, None)
    assert (told["subjects"], told["url"], told["route"]) == ({"total": 2, "done": 0, "failed": 0}, None, None)
    looked = (await door.client.get(begun.headers["Location"])).json()
    assert looked == {name: value for name, value in told.items() if name != "how"}


async def test_a_background_refresh_of_a_subject_as_an_account(door: Operated, orders: Orders) -> None:
    order = STORES | {"subject": "12345", "since": "2020-05-29", "account": ALPHA.id}
    told = (await door.post("/-/refreshes", order)).json()
    assert orders.taken == [("stores", "12345", "2020-05-29", ALPHA)]
    assert (told["subject"], told["account"], told["since"]) == ("12345", ALPHA.id, "2026-01-15T12:00:00Z")
    again = (await door.post("/-/refreshes", STORES | {"subject": "12345"})).json()
    assert (again["how"], again["account"]) == ("joined", None)
    assert '"refresh begun"' in door.logged.getvalue()


async def test_null_is_left_out(door: Operated, orders: Orders) -> None:
    order = STORES | {"subject": None, "since": None, "account": None}
    assert (await door.post("/-/refreshes", order)).status_code == 202
    assert orders.taken == [("stores", None, None, None)]


async def test_both_kinds_are_listed_and_cancelled(door: Operated) -> None:
    single = (await door.post("/-/refreshes", {"url": ITEM})).json()["id"]
    background = (await door.post("/-/refreshes", STORES)).json()["id"]
    listed = (await door.client.get("/-/refreshes")).json()["refreshes"]
    assert [(told["id"], told["kind"]) for told in listed] == [(background, "background"), (single, "single")]
    assert (await door.client.delete(f"/-/refreshes/{background}")).json()["state"] == "cancelled"


NOT_ACCEPTED = {
    "unknown subject": (Problem(Reason.unknown_subject), 404, "not_found", "404 unknown_subject: There is nothing"),
    "none of this name": (Problem(Reason.no_route, "There is no such."), 404, "not_found", "404 no_route: There is no"),
    "not refreshable": (Problem(Reason.not_refreshable), 409, "conflict", "409 not_refreshable: "),
    "too much under way": (Problem(Reason.throttled, "Too many."), 409, "conflict", "429 throttled: Too many."),
    "a bad date": (Problem(Reason.bad_since, "Write YYYY-MM-DD."), 400, "invalid", "400 bad_since: Write YYYY-MM-DD."),
    "the upstream fails": (Problem(Reason.upstream_refused), 502, "upstream_failed", "502 upstream_refused: "),
    "the upstream is busy": (Problem(Reason.upstream_rate_limited), 502, "upstream_failed", "503 upstream_rate"),
    "no register": (Problem(Reason.jobs_unavailable), 503, "jobs_unavailable", "The register of refreshes is not"),
    "no ledger": (Problem(Reason.ledger_unavailable), 503, "ledger_unavailable", "The ledger is not"),
}


@pytest.mark.parametrize(("problem", "status", "reason", "words"), NOT_ACCEPTED.values(), ids=NOT_ACCEPTED)
async def test_what_is_not_accepted(
    door: Operated, orders: Orders, problem: Problem, status: int, reason: str, words: str
) -> None:
    orders.problem = problem
    answer = await door.post("/-/refreshes", STORES)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.json()["detail"].startswith(words)


async def test_a_register_out_of_reach_is_503(door: Operated, register: JobRegister, running: Way) -> None:
    place = (await door.post("/-/refreshes", STORES)).headers["Location"]
    with out_of_reach(register):
        for method, path, content in (
            ("POST", "/-/refreshes", {"url": ITEM}),
            ("GET", "/-/refreshes", None),
            ("GET", place, None),
            ("DELETE", place, None),
        ):
            answer = await door.client.request(method, path, json=content)
            assert (answer.status_code, answer.json()["reason"]) == (503, "jobs_unavailable")
    assert running.calls == 0


WRONG: dict[str, tuple[str, str, object, int]] = {
    "no such account": ("POST", "/-/refreshes", {"url": ITEM, "account": "none"}, 404),
    "an account is needed": ("POST", "/-/refreshes", {"url": "/own/1"}, 400),
    "no route": ("POST", "/-/refreshes", {"url": "/none"}, 400),
    "neither": ("POST", "/-/refreshes", {"account": ALPHA.id}, 400),
    "both": ("POST", "/-/refreshes", {"url": ITEM, "background": "stores"}, 400),
    "a subject of a url": ("POST", "/-/refreshes", {"url": ITEM, "subject": "1"}, 400),
    "a date of a url": ("POST", "/-/refreshes", {"url": ITEM, "since": "2020-05-29"}, 400),
    "fields of a background refresh": ("POST", "/-/refreshes", STORES | {"headers": {"A": "b"}}, 400),
    "no account of this id": ("POST", "/-/refreshes", STORES | {"account": "none"}, 404),
    "null for a name": ("POST", "/-/refreshes", {"url": ITEM, "background": None}, 400),
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
