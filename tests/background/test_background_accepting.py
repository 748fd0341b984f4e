"""Background refreshes as they are accepted: whose stored responses they are about, and what fails in between."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from admission.snapshots import TTL, make_request, make_route, public_route
from background.yard import REFRESH, background, begins
from multidict import CIMultiDict
from support.in_process import ALPHA, Way, received, way

from gateway.admission.background import (
    BackgroundPolicy,
    Call,
    Condition,
    ListPolicy,
    SincePolicy,
    SubjectPolicy,
    TriggerPolicy,
    WaitPolicy,
)
from gateway.admission.jobs import Order, State
from gateway.admission.patterns import PathPattern
from gateway.admission.snapshot import Rate, Route, Share, ThrottlePolicy
from gateway.errors import Problem, Reason
from gateway.jobs import accepting
from gateway.messages import Request

STORE = f"{REFRESH}?storeId=1"
STORES = begins(background(per_subject=2))
DATED = begins(background(since=SincePolicy("refreshDate", "UTC")))


def stores_by(share: Share) -> Route:
    return make_route(f"/{share.value}", name=share.value, cache=replace(TTL, share=share))


SCOPES = {
    "nothing is stored": ([], ("",)),
    "for everybody": ([stores_by(Share.everyone), public_route()], ("",)),
    "for organizations": ([stores_by(Share.everyone), stores_by(Share.organization)], ("", "o:acme")),
    "for keys": ([stores_by(Share.key)], ("", "k:ci")),
    "for all of them": ([stores_by(share) for share in Share], ("", "o:acme", "k:ci")),
}


@pytest.mark.parametrize(("routes", "scopes"), SCOPES.values(), ids=SCOPES)
async def test_it_is_about_where_its_account_is_served_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, routes: list[Route], scopes: tuple[str, ...]
) -> None:
    """More than that would keep accounts from sharing their work."""
    async with way(tmp_path, STORES, *routes) as running:
        orders = ordered(running, monkeypatch)
        assert (await running.ask(STORE, "POST")).status == 200
        await running.background.accepting.order("stores", "2", None, ALPHA)
        await running.background.accepting.order("stores", "3", None, None)
        assert [order.scopes for order in orders] == [scopes, scopes, ("*",)]


def ordered(running: Way, monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """What the register is told from now on."""
    orders, accept = list[Order](), running.jobs.accept

    async def told(order: Order, now: float) -> object:
        orders.append(order)
        return await accept(order, now)

    monkeypatch.setattr(running.jobs, "accept", told)
    return orders


LISTED = begins(background(subjects=ListPolicy("/stores", ("id",), refreshable=(Condition(("on",), (True,)),))))
SUBJECTS: dict[str, tuple[str, bytes, int, bytes]] = {
    "one": ("?storeId=1", b'[{"id": 1, "on": true}]', 200, b"{}"),
    "all": ("", b'[{"id": 1, "on": true}, {"id": 2, "on": true}, {"id": 3, "on": false}]', 200, b"{}"),
    "unknown": ("?storeId=2", b'[{"id": 1, "on": true}]', 404, b"unknown_subject"),
    "not refreshable": ("?storeId=1", b'[{"id": 1, "on": false}]', 409, b"not_refreshable"),
    "none refreshable": ("", b'[{"id": 1, "on": false}]', 409, b"not_refreshable"),
    "no list": ("", b"[{}]", 502, b"upstream_invalid"),
}


@pytest.mark.parametrize(("query", "listed", "status", "said"), SUBJECTS.values(), ids=SUBJECTS)
async def test_what_the_list_says_decides(tmp_path: Path, query: str, listed: bytes, status: int, said: bytes) -> None:
    async with way(tmp_path, LISTED) as running:
        running.upstream.then(listed, fields={"Content-Type": "application/json"})
        got = await running.ask(REFRESH + query, "POST")
        assert (got.status, said in got.body) == (status, True)
        assert running.balance.charged == (1 if status == 200 else 0)


SLOW = replace(ALPHA, plan=replace(ALPHA.plan, throttle=ThrottlePolicy(Rate(1, 60.0), 2)))


@pytest.mark.parametrize("on", [b"false", b"true"], ids=["not refreshable", "unknown"])
async def test_who_tries_ids_is_throttled(tmp_path: Path, on: bytes) -> None:
    async with way(tmp_path, LISTED, account=SLOW) as running:
        running.upstream.then(b'[{"id": 1, "on": %b}]' % on, fields={"Content-Type": "application/json"})
        tried, refused = ("1", 409) if on == b"false" else ("2", 404)
        found = [(await running.ask(f"{REFRESH}?storeId={tried}", "POST")).status for _ in range(3)]
        assert found == [refused, refused, 429]
        assert running.balance.charged == 0


SHOPS = replace(background(), subject=SubjectPolicy("storeId", "text"))
OWN_PATH = replace(SHOPS, trigger=TriggerPolicy(Call("POST", "/shops/{subject}/import")))
AWAITED = replace(SHOPS, trigger=TriggerPolicy(wait=WaitPolicy("/shops/{subject}?since={since}", until=())))
OWN_QUERY = replace(SHOPS, trigger=TriggerPolicy(Call("POST", "/import", (("shop", "{subject}"),))))
UNSENDABLE = {
    "above": (OWN_PATH, "..", 400),
    "two segments": (OWN_PATH, "a%2Fb", 400),
    "another host": (OWN_PATH, "%2F%2Fevil.example", 400),
    "a query": (OWN_PATH, "a%3Fb%23c", 200),
    "encoded already": (OWN_PATH, "%252e%252e", 200),
    "what is waited for": (AWAITED, "a%2Fb", 400),
    "in a query": (OWN_QUERY, "a%2Fb", 200),
    "nowhere": (SHOPS, "a%2Fb", 200),
}


@pytest.mark.parametrize(("entry", "subject", "status"), UNSENDABLE.values(), ids=UNSENDABLE)
async def test_what_no_path_can_hold_is_refused_for_nothing(
    tmp_path: Path, entry: BackgroundPolicy, subject: str, status: int
) -> None:
    async with way(tmp_path, begins(entry)) as running:
        got = await running.ask(f"{REFRESH}?storeId={subject}", "POST")
        assert (got.status, b"bad_subject" in got.body) == (status, status == 400)
        assert running.balance.charged == (1 if status == 200 else 0)


async def test_an_account_has_only_so_many_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "MOST_JOBS", 2)
    async with way(tmp_path, STORES) as running:
        found = [await running.ask(f"{REFRESH}?storeId={store}", "POST") for store in (1, 2, 3, 1)]
        assert [got.status for got in found] == [200, 200, 429, 200]
        assert (b"throttled" in found[2].body, found[2].fields["Retry-After"]) == (True, "60")
        assert running.balance.charged == 3 * 3
        (second, _) = await running.jobs.latest(None, 10)
        await running.jobs.cancel(second.id, running.clock.wall())
        assert (await running.ask(f"{REFRESH}?storeId=3", "POST")).status == 200


async def test_without_the_register_nothing_is_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with way(tmp_path, STORES) as running:
        monkeypatch.setattr(running.jobs, "accept", unavailable)
        got = await running.ask(STORE, "POST")
        assert (got.status, b"jobs_unavailable" in got.body) == (503, True)
        assert (running.balance.charged, running.balance.reserved) == (0, 0)


async def unavailable(*_: object) -> NoReturn:
    raise Problem(Reason.jobs_unavailable)


@pytest.mark.parametrize("withdrawn", [True, False], ids=["taken back", "left, as the register is gone too"])
async def test_what_cannot_be_charged_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, withdrawn: bool
) -> None:
    async with way(tmp_path, STORES) as running:
        monkeypatch.setattr(running.settlement, "settle", unsettled)
        if not withdrawn:
            monkeypatch.setattr(running.jobs, "withdraw", unavailable)
        got = await running.ask(STORE, "POST")
        assert (got.status, b"ledger_unavailable" in got.body) == (503, True)
        (job,) = await running.jobs.latest(None, 10)
        assert job.state is (State.cancelled if withdrawn else State.pending)
        assert (running.balance.charged, running.balance.reserved) == (0, 0)


async def unsettled(*_: object) -> NoReturn:
    raise Problem(Reason.ledger_unavailable)


async def test_content_has_a_bound(tmp_path: Path) -> None:
    async with way(tmp_path, STORES) as running:
        for size, status in ((65_536, 200), (65_537, 413)):
            got = await received(await running.handle(posted(b'{"storeId": 1}'.ljust(size))))
            assert got.status == status


def posted(content: bytes) -> Request:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 10_000):
            yield content[at : at + 10_000]

    head = make_request(REFRESH, "POST")
    return Request("POST", REFRESH, CIMultiDict(head.fields), body=chunks())


PARAMETERS = begins(background())
ORDERS = {
    "no such name": (STORES, ("shops", "1", None), Reason.no_route),
    "no date taken": (STORES, ("stores", "1", "2020-05-29"), Reason.bad_since),
    "no date": (DATED, ("stores", "1", "yesterday"), Reason.bad_since),
    "no subject": (STORES, ("stores", None, None), Reason.bad_subject),
    "no number": (STORES, ("stores", "one", None), Reason.bad_subject),
    "a path with parameters": (
        replace(PARAMETERS, path=PathPattern.parse("/{shop}/refresh")),
        ("stores", "1", None),
        Reason.bad_subject,
    ),
}


@pytest.mark.parametrize(("route", "order", "reason"), ORDERS.values(), ids=ORDERS)
async def test_an_order_that_cannot_be_followed(
    tmp_path: Path, route: Route, order: tuple[str, str | None, str | None], reason: Reason
) -> None:
    async with way(tmp_path, route) as running:
        with pytest.raises(Problem) as caught:
            await running.background.accepting.order(*order, None)
        assert caught.value.reason is reason
        assert await running.jobs.latest(None, 10) == ()


async def test_an_order_is_written_as_a_client_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with way(tmp_path, replace(DATED, strip_prefix="/stores")) as running:
        orders = ordered(running, monkeypatch)
        _, job = await running.background.accepting.order("stores", "7", "2020-05-29", None)
        (order,) = orders
        assert order.sending is not None
        assert (order.sending.method, order.sending.target) == ("POST", "/refreshstore")
        assert order.sending.content == b'{"storeId":7,"refreshDate":"2020-05-29 00:00:00"}'
        assert (job.subject, running.balance.charged) == ("7", 0)
