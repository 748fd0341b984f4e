"""The client port's own resources by API key: balance, receipts and refreshes, on a real ledger, meter and register."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from admission.snapshots import KEY, ROUTE, digest, make_request, make_snapshot
from multidict import CIMultiDict
from support.clock import FakeClock
from support.in_process import head_of
from support.registers import out_of_reach, register_in

from gateway.admission.jobs import Job, Kind, Order, Sending, Stage, State
from gateway.admission.outcomes import Outcome
from gateway.admission.prepare import Preparer
from gateway.admission.pricing import quote
from gateway.admission.snapshot import (
    Account,
    Every,
    KeySource,
    Plan,
    Price,
    PriceOption,
    Rate,
    Scope,
    Snapshot,
    ThrottlePolicy,
)
from gateway.errors import Problem, Reason
from gateway.jobs.register import JobRegister
from gateway.journalled import Journalled
from gateway.ledger.ledger import Ledger
from gateway.ledger.receipts import receipt_id
from gateway.messages import Answer
from gateway.meter import Meter
from gateway.own import Own
from gateway.roster import Roster

T = TypeVar("T")

OTHER_KEY, TEST_KEY, SHARED_KEY, EXPIRED_KEY = "rk_live_bravo", "rk_test_alpha", "rk_live_shared", "rk_live_expired"
PRICE = Price(1, (PriceOption("offers", 5),), 3)
PRO = Plan("pro", 2000, Every.month, throttle=ThrottlePolicy(Rate(600, 60.0), 600))
ALPHA = Account("ci", "acme", PRO, "ci", Rate(100, 60.0))
NEXT_MONTH = "2026-02-01T00:00:00Z"

ACCOUNTS: dict[str, Account] = {
    KEY: ALPHA,
    OTHER_KEY: Account("open", "open", Plan("unlimited"), "open"),
    TEST_KEY: ALPHA,
    SHARED_KEY: Account(
        *("b", "shared", Plan("prepaid", 50), "org:shared"),
        scopes=frozenset({Scope.refresh, Scope.lookup}),
        expires=1_800_000_000.0,
    ),
    EXPIRED_KEY: Account("late", "late", PRO, "late", expires=1_768_478_400.0),
}


@dataclass
class Told:
    """An answer of these resources, taken apart."""

    status: int
    fields: CIMultiDict[str]
    content: Any

    @property
    def reason(self) -> str:
        return str(self.content["reason"])


class Desk:
    """The resources on a real ledger and meter."""

    def __init__(self, folder: Path, snapshot: Snapshot, register: JobRegister) -> None:
        self.register = register
        self.clock = FakeClock()
        self.ledger = Ledger.open(folder, "process", self.clock)
        self.meter = Meter(self.ledger, self.clock)
        self.meter.configure(Roster.of(snapshot.keys.values(), snapshot.timezone))
        preparer = Preparer(snapshot)
        self.own = Own(
            account_of=preparer.account_of,
            meter=Journalled(self.meter, self.ledger),
            recorded=self.ledger,
            jobs=register,
            clock=self.clock,
            request_id=lambda fields: fields.get("X-Request-Id", "r-1"),
        )

    async def ask(
        self, target: str, method: str = "GET", fields: Mapping[str, str] | None = None, key: str | None = KEY
    ) -> Told:
        answer = await self.own.answer(make_request(target, method, fields, key=key))
        assert answer is not None
        return told(answer)

    async def bought(self, account: Account = ALPHA, request: str = "", *, forced: bool = False) -> int:
        """An operation that is charged and has a receipt."""
        priced = quote(PRICE, frozenset(), forced)
        reservation = self.meter.reserve(account, ROUTE, priced, request)
        self.meter.settle(reservation, Outcome.refreshed if forced else Outcome.miss)
        await self.ledger.committed()
        return reservation.reserve.id


class Held:
    """A ledger whose reads wait until they are let go."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.gate = asyncio.Event()
        self.begun = asyncio.Semaphore(0)
        self.committed = ledger.committed

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        self.begun.release()
        await self.gate.wait()
        return await self._ledger.read(query)


def told(answer: Answer) -> Told:
    return Told(answer.status, head_of(answer), orjson.loads(answer.body))


@asynccontextmanager
async def desk_in(folder: Path) -> AsyncIterator[Desk]:
    keys = {digest(key.encode()): account for key, account in ACCOUNTS.items()}
    accept = (KeySource("bearer"), KeySource("header", "X-Api-Key"), KeySource("query", "key"))
    async with register_in(folder) as register:
        desk = Desk(folder, make_snapshot(keys=keys, accept=accept), register)
        yield desk
        await desk.ledger.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_in(tmp_path) as opened:
        yield opened


async def test_a_balance(desk: Desk) -> None:
    assert (await desk.bought(forced=True)) == 1
    desk.meter.reserve(ALPHA, ROUTE, quote(PRICE, frozenset(), False))
    told = await desk.ask("/-/balance")
    assert (told.status, told.content) == (
        200,
        {
            "account": "ci",
            "organization": "acme",
            "plan": "pro",
            "balance_of": "key",
            "balance": 1995,
            "reserved": 1,
            "charged": 4,
            "granted": 2000,
            "next_grant": {"at": NEXT_MONTH, "tokens": 2000},
            "throttle": {"limit": 600, "window": 60, "remaining": 598, "reset": 1},
            "cap": {"force_refresh": {"limit": 100, "window": 60, "remaining": 99}},
            "scopes": ["background", "lookup", "refresh"],
            "expires": None,
            "test": False,
        },
    )
    assert (told.fields["Content-Type"], told.fields["Cache-Control"]) == ("application/json", "no-store")
    assert (told.fields["X-Request-Id"], told.fields["Date"]) == ("r-1", "Thu, 15 Jan 2026 12:00:00 GMT")


BALANCES: dict[str, tuple[str, dict[str, object]]] = {
    "unlimited": (
        OTHER_KEY,
        {"balance": None, "granted": None, "charged": 0, "next_grant": None, "throttle": None, "cap": None},
    ),
    "prepaid, the organization's": (
        SHARED_KEY,
        {
            "balance_of": "organization",
            "balance": 50,
            "granted": 50,
            "next_grant": None,
            "scopes": ["lookup", "refresh"],
            "expires": "2027-01-15T08:00:00Z",
        },
    ),
    "test": (TEST_KEY, {"account": "ci", "balance": 2000, "test": True}),
}


@pytest.mark.parametrize(("key", "members"), BALANCES.values(), ids=BALANCES.keys())
async def test_balances_of_every_kind(desk: Desk, key: str, members: dict[str, object]) -> None:
    told = await desk.ask("/-/balance", key=key)
    assert told.content | members == told.content


async def test_a_balance_is_brought_up_to_its_plan(desk: Desk) -> None:
    await desk.bought()
    desk.clock.advance(31 * 86_400)
    told = await desk.ask("/-/balance")
    assert (told.content["balance"], told.content["charged"]) == (2000, 1)
    assert told.content["next_grant"] == {"at": "2026-03-01T00:00:00Z", "tokens": 2000}


async def test_asking_takes_nothing(desk: Desk) -> None:
    first = await desk.ask("/-/balance")
    for target in ("/-/balance", "/-/receipts", "/-/receipts/rcpt_1"):
        await desk.ask(target)
    assert (await desk.ask("/-/balance")).content == first.content


async def test_a_grant_that_the_journal_does_not_take_is_not_told_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(payload: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(desk.ledger._journal, "append", full)
        told = await desk.ask("/-/balance")
    assert (told.status, told.reason, told.fields["Retry-After"]) == (503, "ledger_unavailable", "1")
    assert (await desk.ask("/-/balance")).content["balance"] == 2000


async def test_a_receipt(desk: Desk) -> None:
    operation = await desk.bought(request="mine-1", forced=True)
    told = await desk.ask(f"/-/receipts/{receipt_id(operation)}")
    assert told.status == 200
    assert told.content["id"] == receipt_id(operation)
    assert (told.content["request_id"], told.content["route"], told.content["tokens"]) == ("mine-1", "product", 4)
    assert told.content["lines"] == [{"name": "base", "tokens": 1}, {"name": "force_refresh", "tokens": 3}]
    assert told.fields["Cache-Control"] == "no-store"


async def test_receipts_are_the_newest_first(desk: Desk) -> None:
    bought = [await desk.bought(ACCOUNTS[OTHER_KEY], f"r{number}", forced=True) for number in range(103)]
    told = await desk.ask("/-/receipts", key=OTHER_KEY)
    assert [found["id"] for found in told.content["receipts"]] == [receipt_id(one) for one in bought[:2:-1]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("request_id=a%2Fb%26c%20d", ["a/b&c d"]),
        ("request_id=a+b", ["a+b"]),
        ("x=1&request_id=a+b&y", ["a+b"]),
        ("request_id=nobody", []),
        ("request_id=theirs", []),
    ],
)
async def test_receipts_by_request_id(desk: Desk, query: str, found: list[str]) -> None:
    for request in ("a/b&c d", "a+b"):
        await desk.bought(request=request, forced=True)
    await desk.bought(ACCOUNTS[OTHER_KEY], "theirs", forced=True)
    told = await desk.ask(f"/-/receipts?{query}")
    assert (told.status, [receipt["request_id"] for receipt in told.content["receipts"]]) == (200, found)


async def test_a_key_in_the_query_is_no_request_id(desk: Desk) -> None:
    await desk.bought(request="mine", forced=True)
    told = await desk.ask(f"/-/receipts?request_id=mine&key={KEY}", key=None)
    assert len(told.content["receipts"]) == 1


@pytest.mark.parametrize(
    "name",
    [
        "rcpt_1",
        "rcpt_2",
        "rcpt_ffff",
        "rcpt_01",
        "rcpt_" + "f" * 16,
        "rcpt_" + "f" * 40,
        "1",
        "",
        "rcpt_1%20",
        "RCPT_1",
    ],
)
async def test_anothers_receipt_is_like_none(desk: Desk, name: str) -> None:
    await desk.bought(ACCOUNTS[OTHER_KEY], forced=True)
    told = await desk.ask(f"/-/receipts/{name}")
    assert (told.status, told.reason) == (404, "no_receipt")


REFUSED: dict[str, tuple[str, str, str | None, str]] = {
    "no key": ("GET", "/-/balance", None, "missing_key"),
    "unknown key": ("GET", "/-/receipts", "nobody", "unknown_key"),
    "expired key": ("GET", "/-/balance", EXPIRED_KEY, "expired_key"),
    "expired key, receipt": ("GET", "/-/receipts/rcpt_1", EXPIRED_KEY, "expired_key"),
    "two keys": ("GET", f"/-/balance?key={OTHER_KEY}", KEY, "conflicting_keys"),
    "method": ("POST", "/-/balance", KEY, "method_not_allowed"),
    "method without key": ("DELETE", "/-/receipts/rcpt_1", None, "method_not_allowed"),
    "method, refreshes": ("DELETE", "/-/refreshes", KEY, "method_not_allowed"),
    "method, refresh": ("POST", "/-/refreshes/a1", KEY, "method_not_allowed"),
    "no key, refresh": ("DELETE", "/-/refreshes/a1", None, "missing_key"),
    "expired key, refreshes": ("GET", "/-/refreshes", EXPIRED_KEY, "expired_key"),
    "a test key that cancels": ("DELETE", "/-/refreshes/a1", TEST_KEY, "insufficient_scope"),
    "no such refresh": ("GET", "/-/refreshes/a1", KEY, "no_refresh"),
    "no id": ("GET", "/-/refreshes/", KEY, "no_refresh"),
    "no such refresh to cancel": ("DELETE", "/-/refreshes/a1", KEY, "no_refresh"),
    "after no such refresh": ("GET", "/-/refreshes?after=a1", KEY, "no_refresh"),
    "after nothing": ("GET", "/-/refreshes?after=", KEY, "malformed_request"),
    "none at most": ("GET", "/-/refreshes?most=0", KEY, "malformed_request"),
    "too many at most": ("GET", "/-/refreshes?most=101", KEY, "malformed_request"),
    "far too many at most": ("GET", f"/-/refreshes?most={'9' * 5000}", KEY, "malformed_request"),
    "no number": ("GET", "/-/refreshes?most=%D9%A1", KEY, "malformed_request"),
    "two numbers": ("GET", "/-/refreshes?most=1&most=1", KEY, "malformed_request"),
    "options": ("OPTIONS", "/-/receipts", KEY, "method_not_allowed"),
    "empty request id": ("GET", "/-/receipts?request_id=", KEY, "malformed_request"),
    "bare request id": ("GET", "/-/receipts?request_id", KEY, "malformed_request"),
    "two request ids": ("GET", "/-/receipts?request_id=a&request_id=a", KEY, "malformed_request"),
    "dots": ("GET", "/-/receipts/../balance", KEY, "ambiguous_target"),
    "NUL": ("GET", "/-/receipts?request_id=%00", KEY, "ambiguous_target"),
}


@pytest.mark.parametrize(("method", "target", "key", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_refusals(desk: Desk, method: str, target: str, key: str | None, reason: str) -> None:
    fields = {"X-Request-Id": "mine", "Accept": "application/problem+json"}
    told = await desk.ask(target, method, fields, key)
    assert (told.status, told.reason) == (Reason[reason].status, reason)
    assert (told.content["request_id"], told.fields["X-Request-Id"]) == ("mine", "mine")
    assert told.fields["Content-Type"] == "application/problem+json"
    assert told.fields["Cache-Control"] == "no-store"
    allowed = "GET, HEAD, DELETE" if target == "/-/refreshes/a1" else "GET, HEAD"
    assert told.fields.get("Allow") == (allowed if reason == "method_not_allowed" else None)
    assert ("WWW-Authenticate" in told.fields) is (told.status == 401)


@pytest.mark.parametrize(
    "target",
    [
        "/-/",
        "/-/balances",
        "/-/balance/",
        "/-/balance/ci",
        "/-/receipts/rcpt_1/lines",
        "/-/refreshes/a1/b",
        "/-/problems/throttled",
    ],
)
async def test_nothing_else_is_answered(desk: Desk, target: str) -> None:
    assert await desk.own.answer(make_request(target)) is None


async def test_a_head_is_answered_as_its_get(desk: Desk) -> None:
    assert (await desk.ask("/-/balance", "HEAD")).content == (await desk.ask("/-/balance")).content


async def test_a_flood_is_refused_before_it_takes_the_ledgers_readers(desk: Desk) -> None:
    held = Held(desk.ledger)
    desk.own._recorded = held  # type: ignore[assignment]
    flood = [asyncio.create_task(desk.ask("/-/receipts/rcpt_1")) for _ in range(50)]
    others = [asyncio.create_task(desk.ask("/-/receipts", key=OTHER_KEY)) for _ in range(2)]
    async with asyncio.timeout(20):
        for _ in range(6):
            await held.begun.acquire()
    held.gate.set()
    answers = [await answering for answering in flood]
    assert [answer.status for answer in answers] == [404] * 4 + [429] * 46
    assert (answers[-1].reason, answers[-1].fields["Retry-After"]) == ("throttled", "1")
    assert [(await answering).status for answering in others] == [200, 200]
    assert (await desk.ask("/-/receipts")).status == 200
    assert not desk.own._of_receipts.running


async def test_many_accounts_leave_readers_to_refreshes(desk: Desk) -> None:
    desk.own._of_receipts.running.update({f"account-{number}": 4 for number in range(10)})
    told = await desk.ask("/-/receipts")
    assert (told.status, told.reason, told.fields["Retry-After"]) == (503, "ledger_unavailable", "1")
    assert (await desk.ask("/-/balance")).status == 200


async def test_a_busy_ledger_is_503(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(query: object) -> object:
        raise Problem(Reason.ledger_unavailable, retry_after=1)

    monkeypatch.setattr(desk.ledger, "read", busy)
    told = await desk.ask("/-/receipts/rcpt_1")
    assert (told.status, told.reason) == (503, "ledger_unavailable")
    assert not desk.own._of_receipts.running


async def begun(desk: Desk, id_: str, account: Account = ALPHA) -> Job:
    """A single refresh under way."""
    job = Job(id_, Kind.single, "product", account.id, desk.clock.wall(), State.running, url="/a", host="gw.example")
    await desk.register.begin(job, Sending("GET", "/a"), desk.clock.wall())
    return job


async def test_refreshes_are_the_latest_first_and_ones_own(desk: Desk) -> None:
    for id_ in ("a1", "a2", "a3"):
        await begun(desk, id_)
    await begun(desk, "b1", ACCOUNTS[OTHER_KEY])
    page = (await desk.ask("/-/refreshes?most=2")).content
    assert ([told["id"] for told in page["refreshes"]], page["next"]) == (["a3", "a2"], "a2")
    page = (await desk.ask(f"/-/refreshes?most=2&after={page['next']}")).content
    assert ([told["id"] for told in page["refreshes"]], page["next"]) == (["a1"], None)
    assert len((await desk.ask("/-/refreshes", key=OTHER_KEY)).content["refreshes"]) == 1
    assert (await desk.ask("/-/refreshes?after=b1")).reason == "no_refresh"


async def test_a_refresh(desk: Desk) -> None:
    await begun(desk, "a1")
    told = await desk.ask("/-/refreshes/a1")
    assert (told.status, told.fields["Cache-Control"]) == (200, "no-store")
    assert (told.content["state"], told.content["url"], told.content["began"]) == (
        "running",
        "/a",
        "2026-01-15T12:00:00Z",
    )
    assert (await desk.ask("/-/refreshes/a1", "HEAD")).content == told.content
    assert (await desk.ask("/-/refreshes/a1", key=TEST_KEY)).content == told.content


async def test_a_background_refresh_is_told_with_its_progress(desk: Desk) -> None:
    order = Order("stores", ALPHA.id, ("1", "2"), whole=True, since=None, scopes=("",), first=Stage.select)
    accepted = await desk.register.accept(order, desk.clock.wall())
    told = (await desk.ask(f"/-/refreshes/{accepted.job}")).content
    assert (told["kind"], told["background"], told["subject"]) == ("background", "stores", None)
    assert (told["subjects"], told["progress"]["done"]) == ({"total": 2, "done": 0, "failed": 0}, 0)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_anothers_refresh_is_like_none(desk: Desk, method: str) -> None:
    await begun(desk, "b1", ACCOUNTS[OTHER_KEY])
    told = await desk.ask("/-/refreshes/b1", method)
    assert (told.status, told.reason) == (404, "no_refresh")
    found = await desk.register.find("b1")
    assert found is not None
    assert found.state is State.running


async def test_a_refresh_is_cancelled_once(desk: Desk) -> None:
    await begun(desk, "a1")
    told = await desk.ask("/-/refreshes/a1", "DELETE")
    assert (told.status, told.content["state"], told.content["ended"]) == (200, "cancelled", "2026-01-15T12:00:00Z")
    again = await desk.ask("/-/refreshes/a1", "DELETE")
    assert (again.status, again.reason) == (409, "refresh_ended")
    assert again.content["detail"] == "The refresh has ended: it is cancelled."


async def test_looking_at_refreshes_takes_nothing(desk: Desk) -> None:
    first = await desk.ask("/-/balance")
    await begun(desk, "a1")
    for method, target in (("GET", "/-/refreshes"), ("GET", "/-/refreshes/a1"), ("DELETE", "/-/refreshes/a1")):
        await desk.ask(target, method)
    assert (await desk.ask("/-/balance")).content == first.content


async def test_a_register_out_of_reach_is_503(desk: Desk) -> None:
    await begun(desk, "a1")
    with out_of_reach(desk.register):
        for method, target in (("GET", "/-/refreshes"), ("GET", "/-/refreshes/a1"), ("DELETE", "/-/refreshes/a1")):
            told = await desk.ask(target, method)
            assert (told.status, told.reason, told.fields["Retry-After"]) == (503, "jobs_unavailable", "1")
    assert not desk.own._of_refreshes.running


async def test_only_so_many_refreshes_are_looked_up_at_once(desk: Desk) -> None:
    desk.own._of_refreshes.running[ALPHA.id] = 4
    assert (await desk.ask("/-/refreshes")).reason == "throttled"
    assert (await desk.ask("/-/refreshes", key=OTHER_KEY)).status == 200
    assert (await desk.ask("/-/receipts")).status == 200
    desk.own._of_refreshes.running.update({f"account-{number}": 4 for number in range(9)})
    assert (await desk.ask("/-/refreshes", key=OTHER_KEY)).reason == "jobs_unavailable"
