"""RFC 9111 §3.3 and §3.4 in process: what is kept of parts beside the whole, and what supersedes them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admission.snapshots import make_request, make_route, public_route
from support.in_process import Got, Way, way

from gateway.admission.snapshot import CachePolicy, ClientDirectives

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
TEN = b"0123456789"
SAID = {"Cache-Control": "public, max-age=60", "ETag": '"a"'}


@pytest.fixture
async def pure(tmp_path: Path) -> AsyncIterator[Way]:
    async with way(tmp_path, public_route("/v1/products/{id}", cache=CachePolicy())) as started:
        yield started


async def part(way: Way, first: int, last: int, etag: str = '"a"') -> Got:
    """The answer to a range, which the upstream sends where it is asked."""
    told = SAID | {"ETag": etag, "Content-Range": f"bytes {first}-{last}/10"}
    before = way.calls
    way.upstream.then(TEN[first : last + 1], status=206, fields=told)
    got = await way.ask(ITEM, fields={"Range": f"bytes={first}-{last}"})
    if way.calls == before:
        way.upstream._queued.pop()
    assert (got.status, got.body) == (206, TEN[first : last + 1])
    return got


async def test_a_part_serves_what_it_holds_until_it_is_stale(pure: Way) -> None:
    assert (await part(pure, 2, 6)).cache.stored
    assert (await part(pure, 3, 4)).cache.hit
    pure.clock.advance(61)
    assert (await part(pure, 3, 4)).cache.fwd == "uri-miss"


async def test_a_part_that_holds_too_little_is_no_miss(pure: Way) -> None:
    """It was said that nothing of the URI was stored (RFC 9211 §2.2)."""
    assert (await part(pure, 2, 6)).cache.fwd == "uri-miss"
    assert (await part(pure, 4, 8)).cache.fwd == "partial"


async def test_parts_become_the_whole(pure: Way) -> None:
    await part(pure, 0, 4)
    await part(pure, 3, 9)
    whole = await pure.ask(ITEM)
    assert (whole.status, whole.body, whole.cache.hit) == (200, TEN, True)
    assert "Content-Range" not in whole.fields


async def test_parts_do_not_grow_beyond_what_may_be_stored(tmp_path: Path) -> None:
    async with way(tmp_path, public_route("/v1/products/{id}", cache=CachePolicy(max_body=6))) as small:
        await part(small, 0, 3)
        await part(small, 4, 5)
        assert (await part(small, 0, 5)).cache.hit
        await part(small, 6, 8)
        assert (await part(small, 6, 8)).cache.hit
        assert not (await part(small, 0, 5)).cache.hit


async def test_a_whole_supersedes_its_parts(pure: Way) -> None:
    await part(pure, 0, 4)
    pure.upstream.then(b"changed", fields=SAID | {"ETag": '"b"'})
    await pure.ask(ITEM)
    assert pure.cache.stored_responses == 1
    assert (await pure.ask(ITEM, fields={"Range": "bytes=0-2"})).body == b"cha"


async def test_a_change_outdates_parts(pure: Way) -> None:
    await part(pure, 0, 4)
    pure.upstream.then(status=204)
    await pure.ask(ITEM, "PUT")
    assert not (await part(pure, 0, 4, '"b"')).cache.hit
    # And what came after is not joined to what was before.
    await part(pure, 5, 9, '"a"')
    assert not (await pure.ask(ITEM)).cache.hit


@pytest.mark.parametrize("fields", [{"If-Range": '"z"'}, {"Cache-Control": "no-cache"}])
async def test_a_part_answers_nothing_but_its_range(pure: Way, fields: dict[str, str]) -> None:
    await part(pure, 0, 4)
    pure.upstream.then(TEN, fields=SAID)
    got = await pure.ask(ITEM, fields={"Range": "bytes=0-2"} | fields)
    assert pure.calls == 2
    assert got.status == (200 if "If-Range" in fields else 206)


async def test_ranges_do_not_stop_collapsing(pure: Way) -> None:
    """Each one that was passed on used to mark the whole as private for a minute."""
    pure.upstream.then(TEN[:5], status=206, fields={"Content-Range": "bytes 0-4/10", "Cache-Control": "no-store"})
    await pure.ask(ITEM, fields={"Range": "bytes=0-4"})
    assert not pure.collapse.is_private(pure.live.preparer.prepare(make_request(ITEM)).key)


async def test_no_directive_forces_a_part_for_the_base_price(tmp_path: Path) -> None:
    """It did: only what was stored whole was looked at."""
    cache = CachePolicy(client_directives=ClientDirectives.price)
    async with way(tmp_path, make_route(cache=cache)) as metered:
        await part(metered, 2, 6)
        metered.clock.advance(1)
        told = SAID | {"Content-Range": "bytes 2-6/10"}
        metered.upstream.then(TEN[2:7], status=206, fields=told)
        forced = await metered.ask(ITEM, fields={"Range": "bytes=2-6", "Cache-Control": "no-cache"})
        assert (forced.status, forced.cache.fwd, forced.tokens[0]) == (206, "request", 4)


async def test_a_part_is_charged_like_the_whole(tmp_path: Path) -> None:
    async with way(tmp_path, make_route(cache=CachePolicy())) as metered:
        assert (await part(metered, 2, 6)).tokens[0] == 1
        assert (await part(metered, 2, 6)).tokens[0] == 1
        assert metered.calls == 1


@pytest.mark.parametrize(("said", "calls"), [("public, max-age=60", 1), ("no-store", 3)])
async def test_a_herd_for_one_part_makes_one_call_where_it_may_be_shared(pure: Way, said: str, calls: int) -> None:
    gate = asyncio.Event()
    told = {"Cache-Control": said, "Content-Range": "bytes 0-4/10"}
    pure.upstream.then(gate, TEN[:5], status=206, fields=told)
    for _ in range(2):
        pure.upstream.then(TEN[:5], status=206, fields=told)
    herd = [pure.asking(ITEM, fields={"Range": "bytes=0-4"}) for _ in range(3)]
    await pure.upstream.arrived()
    gate.set()
    assert [(got.status, got.body) for got in await asyncio.gather(*herd)] == [(206, TEN[:5])] * 3
    assert pure.calls == calls
    pure.upstream._queued.clear()


async def test_parts_are_not_joined_to_more_than_the_route_stores(tmp_path: Path) -> None:
    async with way(tmp_path, public_route("/v1/products/{id}", cache=CachePolicy(max_body=8))) as running:
        for first, last in ((0, 4), (5, 9)):
            assert (await part(running, first, last)).cache.stored
        assert running.cache.stored_responses == 1
        assert (await part(running, 5, 9)).cache.hit
        assert (await running.ask(ITEM)).cache.fwd == "uri-miss"


async def test_no_part_is_left_beside_the_whole_it_became(pure: Way) -> None:
    await part(pure, 0, 4)
    await part(pure, 5, 9)
    assert pure.cache.stored_responses == 1
