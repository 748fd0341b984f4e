"""A request's way where many want the same thing: who shares a fetch, who goes on alone, and what each pays."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admission.snapshots import make_request, seed_route
from support.in_process import ALPHA, Way, way

from gateway.admission.charge import Quote
from gateway.admission.snapshot import CachePolicy
from gateway.reservation import Reservation
from gateway.rfc9111.stored import Policy

ITEM = "/v1/products/1"
FORCED = f"{ITEM}?force_refresh=1"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def seed(tmp_path: Path) -> AsyncIterator[Way]:
    """The seed's route."""
    async with way(tmp_path, seed_route(cache=CachePolicy(Policy(ttl=60.0), max_body=1000))) as running:
        yield running


async def test_followers_share_the_leaders_fetch_and_pay_for_themselves(seed: Way) -> None:
    gate = asyncio.Event()
    seed.upstream.then(b"{}", before=(gate,), fields=JSON)
    asking = [seed.asking(FORCED) for _ in range(10)]
    await seed.upstream.arrived()
    gate.set()
    got = await asyncio.gather(*asking)
    assert sum(answer.cache.collapsed for answer in got) == 9
    assert {answer.tokens[0] for answer in got} == {4}
    assert (seed.calls, len({answer.tokens[1] for answer in got})) == (1, 10)
    assert (seed.metrics.calls_saved["product",], seed.metrics.tokens_saved["product",]) == (9, 9 * 4)


@pytest.mark.parametrize("callers", [1, 3])
async def test_content_is_packed_once_for_followers_and_not_for_who_is_alone(tmp_path: Path, callers: int) -> None:
    route = seed_route(cache=CachePolicy(Policy(ttl=60.0), max_body=1000), tokens_in_body=True)
    async with way(tmp_path, route) as running:
        gate = asyncio.Event()
        running.upstream.then(b'{"a":1}', before=(gate,), fields=JSON)
        asking = [running.asking(ITEM, fields={"Accept-Encoding": "gzip"}) for _ in range(callers)]
        await running.upstream.arrived()
        gate.set()
        bodies = [json.loads(gzip.decompress(got.body)) for got in await asyncio.gather(*asking)]
        assert [body["a"] for body in bodies] == [1] * callers
        assert len({body["tokens_remaining"] for body in bodies}) == callers
        (stored,) = running.cache.peek(running.live.preparer.prepare(make_request(ITEM)).key)
        assert stored.splice is not None
        assert (stored.splice.packed is None) == (callers == 1)


async def test_a_stopped_leader_changes_nothing_for_its_followers(seed: Way) -> None:
    gate = asyncio.Event()
    seed.upstream.then(b"{}", before=(gate,), fields=JSON)
    leader, follower = seed.asking(ITEM), seed.asking(ITEM)
    await seed.upstream.arrived()
    leader.cancel()
    gate.set()
    assert (await follower).status == 200
    assert leader.cancelled()
    seed.meter.release(_reservation_of(seed), "stopped")
    await seed.ledger.committed()


async def test_a_stopped_leaders_stream_is_closed(seed: Way) -> None:
    gate = asyncio.Event()
    seed.upstream.then(b"x" * 2000, before=(gate,), declared=True)
    leader = seed.asking(ITEM)
    await seed.upstream.arrived()
    leader.cancel()
    gate.set()
    await seed.settled()
    assert (seed.upstream.open, leader.cancelled()) == (0, True)
    seed.meter.release(_reservation_of(seed), "stopped")
    await seed.ledger.committed()


async def test_followers_of_a_private_answer_part_at_its_head(seed: Way) -> None:
    head, body = asyncio.Event(), asyncio.Event()
    private = JSON | {"Cache-Control": "no-store"}
    seed.upstream.then(b"{}", body, before=(head,), fields=private)
    for _ in range(4):
        seed.upstream.then(b"{}", fields=private)
    leader, *followers = [seed.asking(ITEM) for _ in range(5)]
    await seed.upstream.arrived()
    head.set()
    assert {got.cache.fwd for got in await asyncio.gather(*followers)} == {"uri-miss"}
    assert not leader.done()
    body.set()
    assert (await leader).cache.detail == "the response says no-store"
    assert (seed.calls, seed.balance.charged) == (5, 5)
    assert seed.collapse.is_private(seed.live.preparer.prepare(make_request(ITEM)).key)


async def test_a_follower_whose_language_differs_goes_on_alone(seed: Way, tmp_path: Path) -> None:
    gate = asyncio.Event()
    vary = JSON | {"Vary": "Accept-Language"}
    seed.upstream.then(b'"de"', before=(gate,), fields=vary)
    seed.upstream.then(b'"fr"', fields=vary)
    german, french = (seed.asking(ITEM, fields={"Accept-Language": language}) for language in ("de", "fr"))
    await seed.upstream.arrived()
    gate.set()
    assert [(await german).body, (await french).body] == [b'"de"', b'"fr"']
    assert (await seed.ask(ITEM, fields={"Accept-Language": "fr"})).cache.hit


def _reservation_of(running: Way) -> Reservation:
    """The one reservation that a stopped operation left open."""
    (reserve,) = running.ledger.accounts.open.values()
    return Reservation(ALPHA, Quote(1), reserve)
