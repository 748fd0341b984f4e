"""The list of subjects: read whole, believed for a while, and asked for once however many need it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from background.yard import Yard, background, begins, yard
from structlog.testing import capture_logs

from gateway.admission.background import Condition, ListPolicy, PagesPolicy
from gateway.background import subjects as module
from gateway.background.calling import ON_LOOP
from gateway.background.subjects import Subjects
from gateway.errors import Problem, Reason

LIST = ListPolicy("/stores", id=("storeId",), refreshable=(Condition(("active",), (True,)),), keep=300.0)
STORES = [{"storeId": 1, "active": True}, {"storeId": 2, "active": False}]
POLICY = background(subjects=LIST)
ROUTE = begins(POLICY)


def subjects(running: Yard) -> Subjects:
    return Subjects(lambda: running.live, running.fetcher, running.settlement, running.watch, running.clock)


async def refused(known: Subjects, subject: str) -> str:
    with pytest.raises(Problem) as raised:
        await known.refreshable(ROUTE, subject)
    return raised.value.reason.name


async def test_which_there_are_and_which_can_be_refreshed(tmp_path: Path) -> None:
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.always_at("/stores", STORES)
        known = subjects(running)
        assert await known.every(ROUTE) == {"1": True, "2": False}
        await known.refreshable(ROUTE, "1")
        assert (await refused(known, "2"), await refused(known, "3")) == ("not_refreshable", "unknown_subject")
        (asked,) = running.upstream.sent
        # A client waits for it.
        assert (asked.background, asked.fields["Authorization"]) == (False, "Bearer upstream")
        assert (running.house.charged, running.house.reserved) == (1, 0)


async def test_without_a_list_any_is_believed(tmp_path: Path) -> None:
    route = begins(background())
    async with yard(tmp_path, route) as running:
        known = subjects(running)
        await known.refreshable(route, "whatever")
        assert await known.every(route) == {}
        assert not running.upstream.sent


async def test_it_is_believed_for_a_while(tmp_path: Path) -> None:
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.always_at("/stores", STORES)
        known = subjects(running)
        for pause, calls in ((0.0, 1), (299.0, 1), (1.0, 2)):
            running.clock.advance(pause)
            await known.refreshable(ROUTE, "1")
            await known.finish()
            assert len(running.upstream.sent) == calls


async def test_for_as_long_again_nobody_waits_for_the_next_one(tmp_path: Path) -> None:
    """A request that is to be answered at once waited for an upstream that took its time."""
    async with yard(tmp_path, ROUTE) as running:
        gate = asyncio.Event()
        running.upstream.at("/stores", STORES)
        running.upstream.at("/stores", [], before=(gate,))
        known = subjects(running)
        await known.every(ROUTE)
        running.clock.advance(599.0)
        assert await known.every(ROUTE) == {"1": True, "2": False}
        running.clock.advance(1.0)
        waiting = asyncio.create_task(known.every(ROUTE))
        await running.upstream.arrived(2)
        assert not waiting.done()
        gate.set()
        assert await waiting == {}


async def test_an_unknown_one_is_looked_for_again_but_not_at_once(tmp_path: Path) -> None:
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.at("/stores", STORES)
        running.upstream.at("/stores", [*STORES, {"storeId": 3, "active": True}])
        known = subjects(running)
        await known.every(ROUTE)
        for _ in range(5):
            assert await refused(known, "3") == "unknown_subject"
        assert len(running.upstream.sent) == 1
        running.clock.advance(10.0)
        await known.refreshable(ROUTE, "3")
        assert len(running.upstream.sent) == 2


async def test_all_who_need_it_wait_for_one(tmp_path: Path) -> None:
    async with yard(tmp_path, ROUTE) as running:
        gate = asyncio.Event()
        running.upstream.at("/stores", STORES, before=(gate,))
        known = subjects(running)
        asking = [asyncio.create_task(known.every(ROUTE)) for _ in range(50)]
        await running.upstream.arrived(1)
        # One leaves, and nobody else is touched.
        asking[0].cancel()
        gate.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert all(every == {"1": True, "2": False} for every in found[1:])
        assert len(running.upstream.sent) == 1


async def test_while_the_upstream_fails_the_last_one_is_believed_for_a_day(tmp_path: Path) -> None:
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.at("/stores", STORES)
        running.upstream.always_at("/stores", {}, status=503)
        known = subjects(running)
        await known.every(ROUTE)
        running.clock.advance(600.0)
        with capture_logs() as logs:
            for _ in range(5):
                await known.refreshable(ROUTE, "1")
            assert len(running.upstream.sent) == 2
            running.clock.advance(10.0)
            await known.refreshable(ROUTE, "1")
        assert len(running.upstream.sent) == 3
        assert [(entry["event"], entry["reason"]) for entry in logs] == [
            ("list of subjects not read", "upstream_unavailable")
        ]
        running.clock.advance(86_400.0)
        assert await refused(known, "1") == "upstream_unavailable"
        running.upstream.at("/stores", STORES)
        running.clock.advance(10.0)
        with capture_logs() as logs:
            await known.refreshable(ROUTE, "1")
        assert [(entry["event"], entry["subjects"]) for entry in logs] == [("list of subjects read again", 2)]


async def test_without_a_last_one_the_upstream_s_problem_is_told(tmp_path: Path) -> None:
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.always_at("/stores", {}, status=503, fields={"Retry-After": "7"})
        known = subjects(running)
        for _ in range(5):
            with pytest.raises(Problem) as raised:
                await known.every(ROUTE)
            assert (raised.value.reason, raised.value.retry_after) == (Reason.upstream_unavailable, 7.0)
        assert len(running.upstream.sent) == 1


LEFT_ALONE = {
    "as long as it wishes": (429, {"Retry-After": "7"}, 7.0),
    "not for ever": (429, {"Retry-After": "86400"}, 300.0),
    "a moment where it wishes nothing": (503, {}, 1.0),
}


@pytest.mark.parametrize(("status", "fields", "pause"), LEFT_ALONE.values(), ids=LEFT_ALONE)
async def test_an_upstream_that_refuses_is_left_alone(
    tmp_path: Path, status: int, fields: dict[str, str], pause: float
) -> None:
    """It was asked once a second, whatever its Retry-After said."""
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.always_at("/stores", {}, status=status, fields=fields)
        known = subjects(running)
        for passed, calls in ((0.0, 1), (pause - 0.5, 1), (0.5, 2)):
            running.clock.advance(passed)
            with pytest.raises(Problem):
                await known.every(ROUTE)
            assert len(running.upstream.sent) == calls


async def test_its_pages_are_read_to_the_end(tmp_path: Path) -> None:
    policy = replace(LIST, items=("stores",), refreshable=(), pages=PagesPolicy())
    route = begins(background(subjects=policy))
    async with yard(tmp_path, route) as running:
        running.upstream.at("/stores", {"stores": [{"storeId": 1}], "page": 1, "pages": 3})
        running.upstream.at("/stores?page=2", {"stores": [{"storeId": 2}], "page": 2, "pages": 3})
        running.upstream.at("/stores?page=3", {"stores": [{"storeId": 3}], "page": 3, "pages": 3})
        assert await subjects(running).every(route) == {"1": True, "2": True, "3": True}


UNREADABLE = {
    "no JSON": (b"<html>", {}),
    "no list": ({"stores": []}, {}),
    "an item without id": ([{"name": "x"}], {}),
    "not found": ({}, {"status": 404}),
    "in a coding": (STORES, {"fields": {"Content-Encoding": "br"}}),
}


@pytest.mark.parametrize(("document", "script"), UNREADABLE.values(), ids=UNREADABLE)
async def test_one_that_cannot_be_read_is_not_believed_in_part(
    tmp_path: Path, document: object, script: dict[str, object]
) -> None:
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.always_at("/stores", document, **script)
        assert await refused(subjects(running), "1") in ("upstream_invalid", "upstream_error")


async def test_a_page_that_fails_fails_the_list(tmp_path: Path) -> None:
    policy = replace(LIST, items=("stores",), refreshable=(), pages=PagesPolicy())
    route = begins(background(subjects=policy))
    async with yard(tmp_path, route) as running:
        running.upstream.at("/stores", {"stores": [{"storeId": 1}], "page": 1, "pages": 2})
        running.upstream.at("/stores?page=2", {}, status=500)
        with pytest.raises(Problem):
            await subjects(running).every(route)


async def test_neither_items_nor_bytes_are_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ITEMS", 2)
    policy = replace(LIST, items=("stores",), refreshable=(), pages=PagesPolicy())
    route = begins(background(subjects=policy))
    async with yard(tmp_path, route) as running:
        running.upstream.always_at("/stores", {"stores": [{"storeId": 1}, {"storeId": 2}], "page": 1, "pages": 2})
        running.upstream.always_at("/stores?page=2", {"stores": [{"storeId": 3}], "page": 2, "pages": 2})
        with pytest.raises(Problem) as raised:
            await subjects(running).every(route)
        assert raised.value.reason is Reason.upstream_invalid


async def test_a_list_of_one_page_has_the_same_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ITEMS", 2)
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.always_at("/stores", [{"storeId": number, "active": True} for number in (1, 2, 3)])
        with pytest.raises(Problem) as raised:
            await subjects(running).every(ROUTE)
        assert raised.value.reason is Reason.upstream_invalid


async def test_a_long_one_is_read_beside_the_loop(tmp_path: Path) -> None:
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.always_at("/stores", [{"storeId": 1, "active": True, "name": "x" * ON_LOOP}])
        assert await subjects(running).every(ROUTE) == {"1": True}


async def test_another_config_s_list_is_another(tmp_path: Path) -> None:
    changed = begins(background(subjects=replace(LIST, target="/shops")))
    async with yard(tmp_path, ROUTE) as running:
        running.upstream.always_at("/stores", STORES)
        running.upstream.always_at("/shops", [{"storeId": 7, "active": True}])
        known = subjects(running)
        await known.every(ROUTE)
        running.configure(changed)
        assert await known.every(changed) == {"7": True}


async def test_a_request_under_a_former_config_finds_its_upstream_gone(tmp_path: Path) -> None:
    async with yard(tmp_path, ROUTE) as running:
        gone = replace(ROUTE, upstream="gone")
        with pytest.raises(Problem) as raised:
            await subjects(running).every(gone)
        assert raised.value.reason is Reason.upstream_unavailable
