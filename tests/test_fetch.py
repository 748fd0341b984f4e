"""One fetch for a cached route: to which closed outcome each answer of the upstream leads."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import make_request, seed_route
from stores.samples import sample
from structlog.testing import capture_logs
from support.in_process import Way, way

from gateway.admission.forwarding import forwarded
from gateway.admission.snapshot import CachePolicy
from gateway.collapse import Failed, Fetched, Flight, NotKept, Private, Rank, Unkept
from gateway.errand import Errand
from gateway.errors import Problem, Reason
from gateway.messages import Stream
from gateway.onward import for_lookup
from gateway.rfc9111.stored import Policy, StoredResponse
from gateway.rfc9111.storing import Unstorable

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
ROUTE = seed_route(cache=CachePolicy(Policy(ttl=60.0), max_body=1000))


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    async with way(tmp_path, ROUTE) as started:
        yield started


def errand(running: Way, target: str = ITEM, validating: StoredResponse | None = None) -> Errand:
    live = running.live
    prepared = live.preparer.prepare(make_request(target))
    selecting = forwarded(prepared, live.snapshot)
    outgoing = for_lookup(prepared, selecting, "id", validating=validating)
    policy = live.snapshot.upstreams["api"]
    assert prepared.route.cache is not None
    return Errand(prepared, prepared.route.cache, outgoing, selecting, policy, running.upstream, validating)


def off(running: Way, doing: Errand) -> Flight:
    flight = running.collapse.take_off(doing.prepared.key, Rank.forced if doing.forced else Rank.ordinary)
    running.fetcher.start(flight, doing)
    return flight


@pytest.mark.parametrize(
    ("scripted", "kind", "reason"),
    [
        ({}, Fetched, None),
        ({"status": 404}, Fetched, Unstorable.no_lifetime),
        ({"fields": {"Cache-Control": "no-store"}}, Private, Unstorable.no_store),
        ({"fields": {"Set-Cookie": "a=b"}}, Private, Unstorable.set_cookie),
        ({"fields": {"Vary": "*"}}, Private, Unstorable.vary_star),
        ({"delimited": False}, Private, Unkept.undelimited),
    ],
    ids=["stored", "404", "no-store", "cookie", "vary", "undelimited"],
)
async def test_what_an_answer_leads_to(
    running: Way, scripted: dict[str, Any], kind: type[Fetched | Private], reason: NotKept | None
) -> None:
    running.upstream.then(b"words", **scripted)
    outcome = await off(running, errand(running)).lead()
    assert isinstance(outcome, kind)
    assert outcome.reason is reason
    assert running.cache.stored_responses == (reason is None)


@pytest.mark.parametrize("declared", [True, False])
async def test_one_that_is_too_large_streams_to_its_leader(running: Way, declared: bool) -> None:
    running.upstream.then(b"x" * 700, b"y" * 700, declared=declared)
    outcome = await off(running, errand(running)).lead()
    assert isinstance(outcome, Private)
    assert isinstance(outcome.answer, Stream)
    assert b"".join([chunk async for chunk in outcome.answer.chunks]) == b"x" * 700 + b"y" * 700
    await outcome.answer.close()
    assert running.collapse.is_private(errand(running).prepared.key)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Problem(Reason.upstream_dns), Reason.upstream_dns),
        (TimeoutError(), Reason.upstream_read_timeout),
        (ZeroDivisionError(), Reason.internal_error),
    ],
)
@pytest.mark.parametrize("begun", [False, True], ids=["before the head", "in the content"])
async def test_failures(running: Way, error: Exception, reason: Reason, begun: bool) -> None:
    if begun:
        running.upstream.then(b"half", error)
    else:
        running.upstream.then(before=(error,))
    outcome = await off(running, errand(running)).lead()
    assert isinstance(outcome, Failed)
    assert outcome.problem.reason is reason
    assert running.collapse.find(errand(running).prepared.key) is None


async def test_a_bug_is_logged(running: Way) -> None:
    """It was an exception that nobody retrieved: the client had a 500 and the log nothing."""
    running.upstream.then(before=(ZeroDivisionError(),))
    with capture_logs() as logged:
        await off(running, errand(running)).lead()
    assert [entry["event"] for entry in logged] == ["fetch failed"]


async def test_a_failure_before_the_total_timeout_only_then(tmp_path: Path) -> None:
    async with way(tmp_path, ROUTE, total_timeout=0.05) as running:
        running.upstream.then(before=(asyncio.Event(),))
        outcome = await off(running, errand(running)).lead()
        assert isinstance(outcome, Failed)
        assert outcome.problem.reason is Reason.upstream_read_timeout


async def test_a_304_without_a_condition_of_ours_is_personal(running: Way) -> None:
    running.upstream.then(status=304)
    outcome = await off(running, errand(running)).lead()
    assert isinstance(outcome, Private)
    assert outcome.reason is Unstorable.not_modified


@pytest.mark.parametrize(("etag", "calls"), [('"v1"', 1), ('"v2"', 2)])
async def test_a_304_freshens_only_what_it_speaks_of(running: Way, etag: str, calls: int) -> None:
    doing = errand(running)
    stored = sample(doing.prepared.key, head=b'ETag: "v1"\r\n')
    running.upstream.then(status=304, fields={"ETag": etag})
    outcome = await off(running, errand(running, validating=stored)).lead()
    assert isinstance(outcome, Fetched)
    assert (outcome.validated, running.calls) == (calls == 1, calls)


@pytest.mark.parametrize(("said", "kind"), [("no-store", Private), ("private", Private), ("max-age=9", Fetched)])
async def test_a_304_may_forbid_what_it_confirms(running: Way, said: str, kind: type[Fetched | Private]) -> None:
    running.upstream.then(b"{}", fields=JSON | {"ETag": '"1"'})
    await off(running, errand(running)).lead()
    key = errand(running).prepared.key
    (stored,) = running.cache.peek(key)
    running.upstream.then(status=304, fields={"Cache-Control": said})
    outcome = await off(running, errand(running, validating=stored)).lead()
    assert isinstance(outcome, kind)
    assert len(running.cache.peek(key)) == (kind is Fetched)


@pytest.mark.parametrize(
    ("scripted", "outdated"),
    [({}, True), ({"status": 404}, True), ({"status": 500}, False), ({"delimited": False}, False)],
    ids=["fetched", "gone", "failed", "unproven"],
)
async def test_only_a_refresh_that_delivers_outdates(running: Way, scripted: dict[str, Any], outdated: bool) -> None:
    other = f"{ITEM}?include_offers=1"
    await running.ask(other)
    running.clock.advance(1)
    running.upstream.then(b"words", **scripted)
    await off(running, errand(running, f"{ITEM}?force_refresh=1")).lead()
    (stored,) = running.cache.peek(errand(running, other).prepared.key)
    assert stored.outdated is outdated


async def test_one_outdated_meanwhile_is_not_stored(running: Way) -> None:
    gate = asyncio.Event()
    running.upstream.then(b"{}", before=(gate,), fields=JSON)
    flight = off(running, errand(running))
    await running.upstream.arrived()
    running.clock.advance(1)
    await off(running, errand(running, f"{ITEM}?force_refresh=1")).lead()
    gate.set()
    outcome = await flight.lead()
    assert isinstance(outcome, Fetched)
    assert (outcome.kept, outcome.reason) == (False, Unkept.outdated)


async def test_finish_waits_for_every_errand(running: Way) -> None:
    gate = asyncio.Event()
    running.upstream.then(b"{}", before=(gate,))
    flight = off(running, replace(errand(running)))
    await running.upstream.arrived()
    assert running.fetcher.in_flight == 1
    finishing = asyncio.create_task(running.fetcher.finish())
    gate.set()
    await finishing
    assert isinstance(await flight.lead(), Fetched)


async def test_a_304_does_not_bring_back_what_was_replaced_meanwhile(running: Way) -> None:
    """A refresh came between deciding to validate and sending that; the upstream's cache still knew the old one."""
    running.upstream.then(b"old", fields=JSON | {"ETag": '"1"'})
    await off(running, errand(running)).lead()
    (old,) = running.cache.peek(errand(running).prepared.key)
    running.clock.advance(1)
    running.upstream.then(b"new", fields=JSON | {"ETag": '"2"'})
    await off(running, errand(running, f"{ITEM}?force_refresh=1")).lead()
    running.clock.advance(1)
    running.upstream.then(status=304, fields={"ETag": '"1"'})
    outcome = await off(running, errand(running, validating=old)).lead()
    assert isinstance(outcome, Fetched)
    assert (outcome.kept, outcome.reason) == (False, Unkept.outdated)
    assert [stored.body for stored in running.cache.peek(old.key)] == [b"new"]


async def test_a_304_that_ends_varying_supersedes_the_variant(running: Way) -> None:
    """It was validated for ever: the variant with Vary was still preferred."""
    running.upstream.then(b"{}", fields=JSON | {"ETag": '"1"', "Vary": "Accept"})
    await off(running, errand(running)).lead()
    key = errand(running).prepared.key
    (old,) = running.cache.peek(key)
    running.upstream.then(status=304, fields={"ETag": '"1"', "Vary": ""})
    await off(running, errand(running, validating=old)).lead()
    assert [stored.selecting for stored in running.cache.peek(key)] == [()]


async def slowed(running: Way, *content: bytes | BaseException, **rest: Any) -> tuple[float | None, float | None]:
    """Seconds to the head and to the end of an exchange whose head takes 2, and each piece of content 3 more."""
    steps: list[bytes | asyncio.Event | BaseException] = []
    heading, waits = asyncio.Event(), [asyncio.Event() for _ in content]
    for wait, step in zip(waits, content, strict=True):
        steps += [wait, step]
    running.upstream.then(*steps, before=(heading,), **rest)
    flight = off(running, errand(running))
    await running.upstream.arrived()
    running.clock.advance(2.0)
    heading.set()
    for wait in waits:
        # What was set off before has come to wait again.
        for _ in range(20):
            await asyncio.sleep(0)
        running.clock.advance(3.0)
        wait.set()
    outcome = await flight.lead()
    if isinstance(outcome, Private) and isinstance(outcome.answer, Stream):
        await outcome.answer.close()
    assert flight.exchange is not None
    return flight.exchange.head, flight.exchange.seconds


@pytest.mark.parametrize(
    ("content", "rest", "took"),
    [
        ((), {}, (2.0, 2.0)),
        ((b"a", b"b"), {}, (2.0, 8.0)),
        ((b"a", Problem(Reason.upstream_truncated)), {}, (2.0, 8.0)),
        ((b"x" * 2000,), {}, (2.0, 5.0)),
        ((), {"status": 503}, (2.0, 2.0)),
    ],
    ids=["no content", "content", "broken content", "streams on", "a failure"],
)
async def test_how_long_the_upstream_took(
    running: Way, content: tuple[bytes | BaseException, ...], rest: dict[str, Any], took: tuple[float, float]
) -> None:
    assert await slowed(running, *content, **rest) == took


async def test_how_long_nobody_answered(running: Way) -> None:
    gate = asyncio.Event()
    running.upstream.then(before=(gate, Problem(Reason.upstream_read_timeout)))
    flight = off(running, errand(running))
    await running.upstream.arrived()
    running.clock.advance(9.0)
    gate.set()
    await flight.lead()
    assert flight.exchange is not None
    assert (flight.exchange.head, flight.exchange.seconds) == (None, 9.0)
