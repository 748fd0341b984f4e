"""Hot pages refresh themselves: what is asked for often is fetched anew before it goes stale, within a budget."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import make_request, public_route, seed_route
from support.in_process import ALPHA, Scripted, Way, way

from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import AheadPolicy, CachePolicy, Rate
from gateway.errors import Problem, Reason
from gateway.lookup import Live
from gateway.rfc9111.stored import Policy

ITEM = "/v1/products/1"
AHEAD = AheadPolicy(hits=3, last=0.2, rate=Rate(2, 60.0))


@pytest.fixture
async def hot(tmp_path: Path) -> AsyncIterator[Way]:
    """The seed's route for a hundred seconds, refreshed in the last twenty of them."""
    async with way(tmp_path, seed_route(cache=CachePolicy(Policy(ttl=100.0), ahead=AHEAD))) as running:
        yield running


async def asked(hot: Way, times: int, target: str = ITEM) -> None:
    for _ in range(times):
        await hot.ask(target)
    await hot.settled()


async def test_a_hot_page_is_fetched_anew_while_it_is_still_fresh(hot: Way) -> None:
    await asked(hot, 3)
    hot.clock.advance(85)
    hot.upstream.then(b'{"call":2}', fields={"Content-Type": "application/json"})
    before = await hot.ask(ITEM)
    await hot.settled()
    after = await hot.ask(ITEM)
    assert (before.cache.hit, before.body) == (True, b'{"call":1}')
    assert (after.cache.hit, after.cache.ttl, after.body) == (True, 100, b'{"call":2}')
    assert (hot.calls, hot.house.charged) == (2, 1)


COLD = {"too few ask for it": (2, 85), "it is young": (5, 79), "it is stale already": (5, 101)}


@pytest.mark.parametrize(("times", "age"), COLD.values(), ids=COLD.keys())
async def test_nothing_is_fetched_ahead_when(hot: Way, times: int, age: float) -> None:
    await asked(hot, times)
    hot.clock.advance(age)
    await asked(hot, 1)
    assert hot.house.charged == 0


async def test_nobody_asks_in_the_last_part_so_it_goes_stale(hot: Way) -> None:
    await asked(hot, 5)
    hot.clock.advance(101)
    assert (hot.calls, (await hot.ask(ITEM)).cache.fwd) == (1, "stale")


async def test_a_thousand_hits_at_once_begin_one_fetch(hot: Way) -> None:
    await asked(hot, 5)
    hot.clock.advance(85)
    await asyncio.gather(*(hot.ask(ITEM) for _ in range(1000)))
    await hot.settled()
    assert hot.calls == 2


async def test_it_must_be_asked_for_again_to_stay_hot(hot: Way) -> None:
    await asked(hot, 5)
    hot.clock.advance(85)
    await asked(hot, 1)
    hot.clock.advance(85)
    await asked(hot, 1)
    assert hot.calls == 2


async def test_the_budget_is_the_routes_and_renews(hot: Way) -> None:
    pages = [f"/v1/products/{number}" for number in range(1, 5)]
    for page in pages:
        await asked(hot, 4, page)
    hot.clock.advance(85)
    for page in pages:
        await asked(hot, 1, page)
    assert hot.house.charged == 2
    hot.clock.advance(10)
    for page in pages:
        await asked(hot, 4, page)
    assert hot.house.charged == 2
    hot.clock.advance(4)
    assert (await hot.ask(pages[3])).cache.hit


async def test_a_failed_fetch_ahead_leaves_what_is_stored(hot: Way) -> None:
    await asked(hot, 5)
    hot.clock.advance(85)
    hot.upstream.then(before=(Problem(Reason.upstream_refused),))
    await asked(hot, 1)
    assert ((await hot.ask(ITEM)).cache.hit, hot.house.charged) == (True, 0)


async def test_who_is_refused_fetches_nothing_ahead(hot: Way) -> None:
    """A caller without tokens must not spend the house's."""
    await asked(hot, 3)
    hot.clock.advance(85)
    refused = await hot.ask(ITEM, fields={"Authorization": "Bearer unknown"})
    await hot.settled()
    assert (refused.status, hot.calls) == (401, 1)


async def test_a_test_key_fetches_nothing_ahead(hot: Way) -> None:
    await asked(hot, 3)
    hot.clock.advance(85)
    snapshot = hot.live.snapshot
    tester = replace(snapshot, keys=dict.fromkeys(snapshot.keys, replace(ALPHA, test=True)))
    hot.pipeline.live = Live(tester, Preparer(tester), hot.live.upstreams)
    assert (await hot.ask(ITEM)).cache.hit
    await hot.settled()
    assert hot.calls == 1


NOTHING: dict[str, dict[str, Any]] = {
    "the upstream is away": {"before": (Problem(Reason.upstream_refused),)},
    "it fails": {"status": 503},
    "it is not to be stored now": {"fields": {"Cache-Control": "no-store"}},
    "it is somebody's now": {"fields": {"Set-Cookie": "a=b"}},
    "it is gone": {"status": 404},
}


@pytest.mark.parametrize("script", NOTHING.values(), ids=NOTHING.keys())
async def test_what_brought_nothing_is_not_tried_at_every_hit(hot: Way, script: dict[str, Any]) -> None:
    """One page that could not be stored spent the whole route's budget."""
    await asked(hot, 5)
    hot.clock.advance(85)
    hot.upstream.always = Scripted(**script)
    for _ in range(6):
        await asked(hot, 1)
    assert hot.calls == 2


async def test_a_server_error_that_would_be_stored_replaces_nothing_fresh(tmp_path: Path) -> None:
    policy = Policy(ttl=100.0, ttl_by_status={500: 60.0})
    async with way(tmp_path, public_route("/v1/{rest:.*}", cache=CachePolicy(policy, ahead=AHEAD))) as hot:
        anybodys = make_request(ITEM, key=None)
        for age in (0, 0, 0, 85):
            hot.clock.advance(age)
            await hot.handle(anybodys)
        hot.upstream.then(status=500)
        await hot.handle(anybodys)
        await hot.settled()
        assert ((await hot.handle(anybodys)).status, hot.calls) == (200, 2)
