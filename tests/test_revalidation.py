"""Stale stored responses replaced in the background: one fetch, on the house account, whatever becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admission.snapshots import seed_route
from support.in_process import ALPHA, Way, way

from gateway.admission.snapshot import CachePolicy
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import Policy

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
STALE = Policy(ttl=60.0, stale_while_revalidate=30.0)


@pytest.fixture
async def lenient(tmp_path: Path) -> AsyncIterator[Way]:
    """The seed's route, stale answers allowed."""
    async with way(tmp_path, seed_route(cache=CachePolicy(STALE, max_body=1000))) as running:
        yield running


async def test_a_stale_answer_goes_out_while_the_house_pays_for_the_next(lenient: Way) -> None:
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    lenient.upstream.then(b'{"call":2}', fields=JSON)
    stale = await lenient.ask(ITEM)
    assert (stale.cache.hit, stale.cache.ttl, stale.body) == (True, -10, b'{"call":1}')
    await lenient.settled()
    assert (await lenient.ask(ITEM)).body == b'{"call":2}'
    assert (lenient.balance.charged, lenient.house.charged, lenient.calls) == (3, 1, 2)


async def test_many_stale_answers_begin_one_background_fetch(lenient: Way) -> None:
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    answers = await asyncio.gather(*(lenient.ask(ITEM) for _ in range(20)))
    await lenient.settled()
    assert ({answer.cache.hit for answer in answers}, lenient.calls) == ({True}, 2)


async def test_a_failed_background_fetch_costs_nobody_anything(lenient: Way) -> None:
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    lenient.upstream.then(before=(Problem(Reason.upstream_refused),))
    await lenient.ask(ITEM)
    await lenient.settled()
    assert (lenient.house.charged, (await lenient.ask(ITEM)).cache.hit) == (0, True)


async def test_a_background_fetch_too_large_to_store_is_given_up(lenient: Way) -> None:
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    lenient.upstream.then(b"x" * 2000, declared=True)
    await lenient.ask(ITEM)
    await lenient.settled()
    assert (lenient.upstream.open, lenient.house.charged) == (0, 0)


async def test_a_background_fetch_the_journal_refuses_leaves_its_key_usable(lenient: Way) -> None:
    """Its flight had taken off before its reservation failed, and every later caller waited for it for ever."""
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    reserve = lenient.settlement.reserve_house

    async def failing(*given: object) -> object:
        lenient.settlement.reserve_house = reserve  # type: ignore[method-assign]
        raise Problem(Reason.ledger_unavailable)

    lenient.settlement.reserve_house = failing  # type: ignore[method-assign, assignment]
    await lenient.ask(ITEM)
    await lenient.settled()
    lenient.clock.advance(30)
    async with asyncio.timeout(20):
        assert (await lenient.ask(ITEM)).cache.fwd == "stale"


async def test_a_background_fetch_whose_settlement_the_journal_refuses_gives_it_back(lenient: Way) -> None:
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    gate = asyncio.Event()
    lenient.upstream.then(b"{}", before=(gate,), fields=JSON)
    await lenient.ask(ITEM)
    await lenient.upstream.arrived(2)
    with lenient.journal_failing():
        gate.set()
        await lenient.fetcher.finish()
        await lenient.ask("/v1/products/2")
    await lenient.settled()
    assert (lenient.house.reserved, lenient.house.charged) == (0, 0)


async def test_a_caller_without_tokens_starts_no_background_fetch(lenient: Way) -> None:
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    lenient.meter.correct(ALPHA, -lenient.balance.balance, "taken back")
    refused = await lenient.ask(ITEM)
    await lenient.settled()
    assert (refused.status, refused.cache.hit, lenient.calls) == (429, False, 1)


@pytest.mark.parametrize("status", [200, 304])
async def test_no_store_is_not_said_of_the_background_fetch(lenient: Way, status: int) -> None:
    validator = {"ETag": '"1"'}
    lenient.upstream.then(b"{}", fields=JSON | validator)
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    lenient.upstream.then(b"{}" if status == 200 else b"", status=status, fields=JSON | validator)
    assert (await lenient.ask(ITEM, fields={"Cache-Control": "no-store"})).cache.ttl == -10
    await lenient.settled()
    assert (await lenient.ask(ITEM)).cache.ttl == 60
