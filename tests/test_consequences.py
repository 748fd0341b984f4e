"""What passes by the cache and changes what is stored: RFC 9111 §4.4 and §4.3.5, RFC 9110 §9.3.3, RFC 9875."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import make_route, public_route, seed_route
from support.in_process import Way, way

from gateway.admission.snapshot import CachePolicy, Share
from gateway.admission.tagging import Tag
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import Policy

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
TTL = CachePolicy(Policy(ttl=60.0))
FRESH = JSON | {"Cache-Control": "public, max-age=60"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    """A route that caches what is read and passes what is written."""
    async with way(tmp_path, make_route(cache=TTL)) as started:
        yield started


@pytest.mark.parametrize(
    ("method", "status", "outdates"),
    [
        ("POST", 201, True),
        ("PUT", 204, True),
        ("DELETE", 303, True),
        ("PURGE", 200, True),
        ("POST", 404, False),
        ("PATCH", 500, False),
        ("OPTIONS", 200, False),
    ],
)
@pytest.mark.parametrize("query", ["", "?a=1"])
async def test_a_change_outdates_its_target(running: Way, method: str, status: int, outdates: bool, query: str) -> None:
    await running.ask(ITEM + query)
    running.upstream.then(status=status)
    await running.ask(ITEM, method)
    assert (await running.ask(ITEM + query)).cache.hit is not outdates


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize(
    ("url", "outdates"),
    [
        ("/v1/products/2", True),
        ("2", True),
        ("http://up.example/v1/products/2?b", True),
        ("http://other.example/v1/products/2", False),
        ("http://up.example:81/v1/products/2", False),
        ("//[", False),
        ("/v1/%zz", False),
    ],
)
async def test_a_change_outdates_what_its_answer_names(running: Way, name: str, url: str, outdates: bool) -> None:
    await running.ask("/v1/products/2")
    running.upstream.then(status=201, fields={name: url})
    await running.ask(ITEM, "POST")
    assert (await running.ask("/v1/products/2")).cache.hit is not outdates


@pytest.mark.parametrize(
    ("reason", "outdates"),
    [
        (Reason.upstream_truncated, True),
        (Reason.upstream_read_timeout, True),
        (Reason.upstream_refused, False),
        (Reason.upstream_circuit_open, False),
        (Reason.upstream_queue_full, False),
    ],
)
async def test_a_change_without_an_answer_may_have_happened(running: Way, reason: Reason, outdates: bool) -> None:
    await running.ask(ITEM)
    running.upstream.then(before=(Problem(reason),))
    assert (await running.ask(ITEM, "PUT")).status == reason.status
    assert (await running.ask(ITEM)).cache.hit is not outdates


async def test_a_change_outdates_what_is_being_fetched(running: Way) -> None:
    gate = asyncio.Event()
    running.upstream.then(b"old", before=(gate,))
    old = running.asking(ITEM)
    await running.upstream.arrived()
    running.clock.advance(1)
    await running.ask(ITEM, "PUT")
    gate.set()
    assert (await old).body != b"old"


async def test_a_change_is_everyones_whatever_is_shared(tmp_path: Path) -> None:
    narrow = replace(TTL, share=Share.key, tags=(Tag.parse("product:{id}"),))
    async with way(tmp_path, make_route(cache=narrow, methods=frozenset({"GET"})), make_route(name="rest")) as running:
        await running.ask(ITEM)
        await running.ask(ITEM, "PUT")
        assert not (await running.ask(ITEM)).cache.hit


@pytest.mark.parametrize("said", [{"Cache-Group-Invalidation": '"shop"'}, {"Location": "/v1/products/2"}])
async def test_groups_of_a_response_are_outdated_together(running: Way, said: dict[str, str]) -> None:
    running.upstream.then(b"{}", fields=JSON | {"Cache-Groups": '"shop", "all"'})
    await running.ask("/v1/products/2")
    running.upstream.then(status=204, fields=said)
    await running.ask(ITEM, "POST")
    assert not (await running.ask("/v1/products/2")).cache.hit


async def test_a_get_invalidates_no_groups(running: Way) -> None:
    running.upstream.then(b"{}", fields=JSON | {"Cache-Groups": '"shop"'})
    await running.ask("/v1/products/2")
    running.upstream.then(b"{}", fields=JSON | {"Cache-Group-Invalidation": '"shop"'})
    await running.ask(ITEM)
    assert (await running.ask("/v1/products/2")).cache.hit


ANSWERS = FRESH | {"Content-Location": ITEM}


@pytest.mark.parametrize(
    ("scripted", "fields", "kept"),
    [
        ({"fields": ANSWERS}, {}, True),
        ({"fields": ANSWERS, "status": 201}, {}, False),
        ({"fields": JSON | {"Content-Location": ITEM}}, {}, False),
        ({"fields": FRESH | {"Content-Location": "/v1/products/2"}}, {}, False),
        ({"fields": ANSWERS | {"Cache-Control": "no-store"}}, {}, False),
        ({"fields": ANSWERS}, {"Cache-Control": "no-store"}, False),
        ({"fields": ANSWERS | {"Content-Type": "text/plain"}, "delimited": False}, {}, False),
    ],
    ids=["9.3.3", "created", "no lifetime", "another", "no-store", "asked no-store", "unproven"],
)
async def test_a_post_may_bring_what_a_get_would(
    running: Way, scripted: dict[str, Any], fields: dict[str, str], kept: bool
) -> None:
    running.upstream.then(b"posted", **scripted)
    posted = await running.ask(ITEM, "POST", fields)
    assert (posted.body, posted.cache.stored) == (b"posted", kept)
    assert (await running.ask(ITEM)).cache.hit is kept


async def test_a_post_does_not_bring_what_was_changed_meanwhile(running: Way) -> None:
    gate = asyncio.Event()
    running.upstream.then(gate, b"posted", fields=ANSWERS)
    posting = running.asking(ITEM, "POST")
    await running.upstream.arrived()
    running.clock.advance(1)
    await running.ask(ITEM, "PUT")
    gate.set()
    assert not (await posting).cache.stored


@pytest.fixture
async def pure(tmp_path: Path) -> AsyncIterator[Way]:
    """A public route where the origin's fields alone decide."""
    async with way(tmp_path, public_route("/v1/products/{id}", cache=CachePolicy())) as started:
        yield started


STORED = FRESH | {"ETag": '"1"', "X-Told": "by the GET"}


@pytest.mark.parametrize(
    ("status", "said", "hit", "told"),
    [
        (200, STORED | {"X-Told": "by the HEAD"}, True, "by the HEAD"),
        (200, STORED | {"ETag": '"2"'}, False, None),
        (200, STORED | {"Content-Length": "3"}, False, None),
        (410, {}, False, None),
        (304, {"ETag": '"1"'}, False, None),
        (405, {}, False, None),
    ],
)
async def test_a_head_tells_of_the_stored_get(
    pure: Way, status: int, said: dict[str, str], hit: bool, told: str | None
) -> None:
    pure.upstream.then(b"{}", fields=STORED)
    await pure.ask(ITEM)
    pure.clock.advance(61)
    pure.upstream.then(status=status, fields=said)
    head = await pure.ask(ITEM, "HEAD")
    assert (head.status, pure.upstream.sent[1].method) == (status, "HEAD")
    again = await pure.ask(ITEM)
    assert (again.cache.hit, again.fields.get("X-Told")) == (hit, told)


async def test_a_head_brings_nothing_back_that_was_replaced_meanwhile(pure: Way) -> None:
    pure.upstream.then(b"old", fields=STORED)
    await pure.ask(ITEM)
    pure.clock.advance(61)
    pure.upstream.then(b"own", fields={"Cache-Control": "no-store"})
    await pure.ask(ITEM)
    got, told = asyncio.Event(), asyncio.Event()
    pure.upstream.then(b"new", before=(got,), fields=FRESH | {"ETag": '"2"'})
    pure.upstream.then(before=(told,), fields=STORED)
    getting = pure.asking(ITEM)
    await pure.upstream.arrived(3)
    pure.clock.advance(1)
    heading = pure.asking(ITEM, "HEAD")
    await pure.upstream.arrived(4)
    for gate, asking in ((got, getting), (told, heading)):
        gate.set()
        await asking
    again = await pure.ask(ITEM)
    assert (again.cache.hit, again.body) == (True, b"new")


async def test_a_head_is_answered_from_a_stored_get(pure: Way) -> None:
    pure.upstream.then(b"{}", fields=STORED)
    await pure.ask(ITEM)
    assert ((await pure.ask(ITEM, "HEAD")).cache.hit, pure.calls) == (True, 1)


async def test_a_head_falls_back_to_what_is_stored(tmp_path: Path) -> None:
    async with way(tmp_path, public_route("/v1/products/{id}", cache=CachePolicy(Policy(stale_if_error=60.0)))) as pure:
        pure.upstream.then(b"{}", fields=STORED)
        await pure.ask(ITEM)
        pure.clock.advance(61)
        pure.upstream.then(before=(Problem(Reason.upstream_refused),))
        head = await pure.ask(ITEM, "HEAD")
        assert (head.status, head.cache.detail) == (200, "stale-if-error")


async def test_where_a_ttl_governs_a_head_is_fetched_as_a_get(tmp_path: Path) -> None:
    async with way(tmp_path, seed_route()) as running:
        await running.ask(ITEM, "HEAD")
        assert running.upstream.sent[0].method == "GET"
        assert (await running.ask(ITEM)).cache.hit


async def test_a_herd_of_heads_makes_one_head_and_one_get(pure: Way) -> None:
    gate = asyncio.Event()
    pure.upstream.then(before=(gate,), fields=STORED)
    first = pure.asking(ITEM, "HEAD")
    await pure.upstream.arrived()
    pure.upstream.then(b"{}", before=(gate,), fields=STORED)
    others = [pure.asking(ITEM, "HEAD") for _ in range(5)]
    await pure.upstream.arrived(2)
    gate.set()
    assert {got.status for got in await asyncio.gather(first, *others)} == {200}
    assert [sent.method for sent in pure.upstream.sent] == ["HEAD", "GET"]


async def test_a_refresh_outdates_nothing_in_another_share_scope(tmp_path: Path) -> None:
    """One that is everyone's did: its group had the name of the group that all scopes have in common."""
    open_to_all = public_route("/v1/products/{id}", cache=TTL, host="open.example")
    async with way(tmp_path, open_to_all, seed_route(cache=TTL)) as running:
        running.upstream.then(b"{}", fields=FRESH)
        await running.ask(ITEM, fields={"Host": "open.example"})
        running.clock.advance(1)
        assert (await running.ask(f"{ITEM}?force_refresh=1")).tokens[0] == 4
        assert (await running.ask(ITEM, fields={"Host": "open.example"})).cache.hit
