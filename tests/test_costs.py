"""Vendor costs in process: whose call it was, which answers are read, and that nothing about it fails a request."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import KEY, make_request, public_route, seed_route
from structlog.testing import capture_logs
from support.in_process import ALPHA, Step, Way, way

from gateway.admission.snapshot import CachePolicy
from gateway.answers.cost import Untold
from gateway.errors import Problem, Reason
from gateway.ledger.records import Record, Spend
from gateway.meter import HOUSE
from gateway.rfc9111.stored import Policy

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
BODY = b'{"tokens_consumed":7}'
LARGE = b'{"tokens_consumed":7,"filling":"%b"}' % (b"x" * 100_000)
CACHED = seed_route(
    cache=CachePolicy(Policy(ttl=60.0, stale_while_revalidate=30.0, stale_if_error=90.0), max_body=200_000)
)
BARE = seed_route(cache=None, refresh=None, methods=None)
PURE = seed_route(cache=CachePolicy(Policy(), max_body=200_000), refresh=None)
TOKENS = seed_route(cache=None, refresh=None, tokens_in_body=True)
COST = ("tokens_consumed",)


class Book:
    """The spends that the journal took, as (account, tokens), oldest first."""

    def __init__(self, running: Way) -> None:
        self.spends: list[Spend] = []
        self._count = running.meter.tally.count
        running.ledger.listen(self._hear)

    def _hear(self, record: Record, times: int) -> None:
        self._count(record, times)
        if isinstance(record, Spend):
            self.spends += [record] * times

    @property
    def costs(self) -> list[tuple[str, int]]:
        return [(spend.account, spend.tokens) for spend in self.spends]


@pytest.fixture
async def cached(tmp_path: Path) -> AsyncIterator[Way]:
    async with way(tmp_path, CACHED, cost=COST) as running:
        yield running


async def test_a_spend_names_all_that_a_call_is_booked_by(cached: Way) -> None:
    book = Book(cached)
    cached.upstream.then(BODY, fields=JSON)
    await cached.ask(ITEM)
    await cached.settled()
    minute = int(cached.clock.wall() // 60)
    assert book.spends == [Spend(ALPHA.id, ALPHA.organization, "product", "api", 7, minute)]


async def test_the_cost_is_in_the_journal_before_the_answer_leaves(cached: Way) -> None:
    book = Book(cached)
    cached.upstream.then(BODY, fields=JSON)
    await cached.ask(ITEM)
    assert book.costs == [("ci", 7)]


@pytest.mark.parametrize("content", [BODY, LARGE], ids=["on the loop", "in a thread"])
async def test_hits_cost_the_vendor_nothing_and_find_the_body_as_it_came(cached: Way, content: bytes) -> None:
    book = Book(cached)
    cached.upstream.then(content, fields=JSON)
    bodies = [(await cached.ask(ITEM)).body for _ in range(3)]
    assert (bodies, book.costs) == ([content] * 3, [("ci", 7)])


async def test_collapsed_requests_are_one_call_of_the_leaders(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with way(tmp_path, CACHED, cost=COST) as running:
        book = Book(running)
        running.upstream.then(gate, BODY, fields=JSON)
        asking = [running.asking(ITEM) for _ in range(10)]
        await running.upstream.arrived()
        gate.set()
        await asyncio.gather(*asking)
        assert (book.costs, running.calls) == ([("ci", 7)], 1)


async def test_a_background_revalidation_is_the_houses(cached: Way) -> None:
    cached.upstream.then(BODY, fields=JSON)
    await cached.ask(ITEM)
    book = Book(cached)
    cached.clock.advance(70)
    cached.upstream.then(BODY, fields=JSON)
    await cached.ask(ITEM)
    await cached.settled()
    assert book.costs == [(HOUSE.id, 7)]


async def test_the_publics_calls_are_the_houses(tmp_path: Path) -> None:
    async with way(tmp_path, public_route(cache=CachePolicy(Policy(ttl=60.0))), cost=COST) as running:
        book = Book(running)
        running.upstream.then(BODY, fields=JSON)
        assert (await running.ask("/public/1", fields={"Authorization": f"Bearer {KEY}"})).status == 200
        await running.settled()
        assert book.costs == [(HOUSE.id, 7)]


async def test_a_304_costs_nothing_that_it_says(cached: Way) -> None:
    cached.upstream.then(BODY, fields=JSON | {"ETag": '"1"'})
    await cached.ask(ITEM)
    book = Book(cached)
    cached.clock.advance(100)
    cached.upstream.then(status=304, fields={"ETag": '"1"'})
    with capture_logs() as logged:
        assert (await cached.ask(ITEM)).cache.fwd == "stale"
    assert (book.costs, _causes(logged)) == ([], [])


READ: dict[str, dict[str, Any]] = {
    "a 404": {"status": 404},
    "no-store": {"fields": JSON | {"Cache-Control": "no-store"}},
    "a cookie": {"fields": JSON | {"Set-Cookie": "a=b"}},
    "of no media type": {"fields": {}},
    "ended by the close": {"delimited": False},
    "ended by the close, of no media type": {"fields": {}, "delimited": False},
}
UNREAD: dict[str, tuple[tuple[Step, ...], dict[str, Any]]] = {
    "a 500": ((BODY,), {"status": 500}),
    "a 401": ((BODY,), {"status": 401}),
    "broken off": ((BODY[:9], Problem(Reason.upstream_truncated)), {}),
    "cut where only the close ends it": ((BODY[:9],), {"delimited": False}),
}


@pytest.mark.parametrize("route", [CACHED, BARE, TOKENS], ids=["cached", "passed", "tokens in body"])
@pytest.mark.parametrize("scripted", READ.values(), ids=READ.keys())
async def test_whole_answers_are_read_whatever_they_cost_the_client(
    tmp_path: Path, route: Any, scripted: dict[str, Any]
) -> None:
    async with way(tmp_path, route, cost=COST) as running:
        book = Book(running)
        running.upstream.then(BODY, **{"fields": JSON} | scripted)
        await running.ask(ITEM)
        await running.settled()
        assert book.costs == [("ci", 7)]


@pytest.mark.parametrize("route", [CACHED, BARE, TOKENS], ids=["cached", "passed", "tokens in body"])
@pytest.mark.parametrize(("content", "scripted"), UNREAD.values(), ids=UNREAD.keys())
async def test_what_is_not_read_to_its_end_is_not_recorded(
    tmp_path: Path, route: Any, content: Sequence[Step], scripted: dict[str, Any]
) -> None:
    async with way(tmp_path, route, cost=COST) as running:
        book = Book(running)
        running.upstream.then(*content, **{"fields": JSON} | scripted)
        await running.ask(ITEM)
        await running.settled()
        assert book.costs == []


async def test_a_publics_500_is_read_where_its_body_is(tmp_path: Path) -> None:
    async with way(tmp_path, public_route(cache=CachePolicy(Policy(ttl=60.0))), cost=COST) as running:
        book = Book(running)
        running.upstream.then(BODY, status=500, fields=JSON)
        await running.ask("/public/1")
        await running.settled()
        assert book.costs == [(HOUSE.id, 7)]


async def test_gzip_is_read_and_passed_on_as_it_came(tmp_path: Path) -> None:
    packed = gzip.compress(BODY)
    async with way(tmp_path, CACHED, cost=COST) as running:
        book = Book(running)
        running.upstream.then(packed, fields=JSON | {"Content-Encoding": "gzip"})
        answer = await running.ask(ITEM, fields={"Accept-Encoding": "gzip"})
        await running.settled()
        assert (answer.body, book.costs) == (packed, [("ci", 7)])


LIES: dict[str, tuple[bytes, dict[str, Any], Untold]] = {
    "negative": (b'{"tokens_consumed":-7}', {}, Untold.not_whole),
    "repeated": (b'{"tokens_consumed":1,"tokens_consumed":7}', {}, Untold.repeated),
    "absent": (b"{}", {}, Untold.absent),
    "no object": (b"[7]", {}, Untold.not_object),
    "not UTF-8": (b'{"tokens_consumed":7,"a":"\xff"}', {}, Untold.not_object),
    "coded": (b"...", {"fields": JSON | {"Content-Encoding": "br"}}, Untold.coded),
}


@pytest.mark.parametrize("route", [CACHED, BARE], ids=["cached", "passed"])
@pytest.mark.parametrize(("content", "scripted", "why"), LIES.values(), ids=LIES.keys())
async def test_a_lie_fails_nothing_and_is_told_once(
    tmp_path: Path, route: Any, content: bytes, scripted: dict[str, Any], why: Untold
) -> None:
    async with way(tmp_path, route, cost=COST) as running:
        book = Book(running)
        with capture_logs() as logged:
            for number in range(3):
                running.upstream.then(content, **{"fields": JSON} | scripted)
                answer = await running.ask(f"/v1/products/{number}")
                assert (answer.status, answer.body) == (200, content)
        assert (book.costs, _causes(logged)) == ([], [why.value])


async def test_of_an_error_nobody_expects_a_cost(cached: Way) -> None:
    cached.upstream.then(b"{}", status=404, fields=JSON)
    with capture_logs() as logged:
        await cached.ask(ITEM)
    assert _causes(logged) == []


async def test_a_part_may_say_what_its_client_likes(tmp_path: Path) -> None:
    async with way(tmp_path, PURE, cost=COST) as running:
        book = Book(running)
        running.upstream.then(BODY, status=206, fields=JSON | {"Content-Range": "bytes 10-30/100"})
        with capture_logs() as logged:
            answer = await running.ask(ITEM, fields={"Range": "bytes=10-30"})
        assert (answer.status, answer.body, book.costs) == (206, BODY, [])
        assert _causes(logged) == [Untold.part.value]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("route", "size"), [(CACHED, 300_000), (BARE, 300_000)], ids=["cached", "passed"])
async def test_what_is_too_large_streams_unread(tmp_path: Path, route: Any, size: int, declared: bool) -> None:
    half = b"x" * (size // 2)
    async with way(tmp_path, route, cost=COST) as running:
        book = Book(running)
        with capture_logs() as logged:
            for number in range(2):
                running.upstream.then(half, half, declared=declared)
                assert len((await running.ask(f"/v1/products/{number}")).body) == size
        assert (book.costs, _causes(logged)) == ([], [Untold.too_large.value])


async def test_one_too_large_for_the_cache_is_still_read_as_it_passes(cached: Way) -> None:
    content = b'{"tokens_consumed":7,"filling":"%b"}' % (b"x" * 210_000)
    book = Book(cached)
    cached.upstream.then(content[:99], content[99:], fields=JSON)
    answer = await cached.ask(ITEM)
    await cached.settled()
    assert (answer.body, book.costs) == (content, [("ci", 7)])


async def test_what_its_client_gives_up_halfway_is_not_recorded(tmp_path: Path) -> None:
    async with way(tmp_path, BARE, cost=COST) as running:
        book = Book(running)
        running.upstream.then(BODY, b" ", fields=JSON)
        answer = await running.handle(make_request(ITEM))
        assert answer.chunks is not None
        assert answer.close is not None
        assert await anext(aiter(answer.chunks)) == BODY
        await answer.close()
        await running.settled()
        assert book.costs == []


@pytest.mark.parametrize("route", [CACHED, BARE, PURE], ids=["cached", "passed", "pure"])
async def test_a_head_has_nothing_to_tell_a_cost(tmp_path: Path, route: Any) -> None:
    async with way(tmp_path, route, cost=COST) as running:
        book = Book(running)
        with capture_logs() as logged:
            running.upstream.then(fields=JSON | {"Content-Length": "900000"})
            await running.ask(ITEM, "HEAD")
        await running.settled()
        assert (book.costs, _causes(logged)) == ([], [])


@pytest.mark.parametrize("route", [CACHED, BARE], ids=["cached", "passed"])
async def test_without_the_setting_nothing_is_read(tmp_path: Path, route: Any) -> None:
    async with way(tmp_path, route) as running:
        book = Book(running)
        with capture_logs() as logged:
            running.upstream.then(b"[]", fields=JSON)
            await running.ask(ITEM)
            running.upstream.then(BODY, fields=JSON)
            await running.ask(f"{ITEM}0")
        await running.settled()
        assert (book.costs, _causes(logged)) == ([], [])


async def test_a_cost_that_the_journal_refuses_is_owed_until_it_takes_it(cached: Way) -> None:
    book = Book(cached)
    gate = asyncio.Event()
    cached.upstream.then(gate, BODY, fields=JSON)
    asking = cached.asking(ITEM)
    await cached.upstream.arrived()
    with cached.journal_failing():
        gate.set()
        assert (await asking).status == 503
        assert book.costs == []
    await cached.settled()
    assert book.costs == [("ci", 7)]


def _causes(logged: Sequence[Any]) -> list[str]:
    return [entry["reason"] for entry in logged if entry["event"] == "vendor cost not recorded"]
