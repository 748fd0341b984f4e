"""A request's way where the gateway itself fails: the journal takes nothing, or there is a bug."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admission.snapshots import seed_route
from support.in_process import Way, way

from gateway.admission.snapshot import CachePolicy
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import Policy

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def seed(tmp_path: Path) -> AsyncIterator[Way]:
    """The seed's route."""
    async with way(tmp_path, seed_route(cache=CachePolicy(Policy(ttl=60.0)))) as running:
        yield running


async def test_nothing_is_fetched_that_the_journal_has_not_reserved(seed: Way) -> None:
    with seed.journal_failing():
        refused = await seed.ask(ITEM)
    assert (refused.status, seed.calls, seed.balance.charged) == (503, 0, 0)
    assert (await seed.ask(ITEM)).status == 200


async def test_a_hit_the_journal_does_not_take_is_refused(seed: Way) -> None:
    await seed.ask(ITEM)
    with seed.journal_failing():
        refused = await seed.ask(ITEM)
    assert (refused.status, seed.balance.charged) == (503, 1)


async def test_a_settlement_the_journal_does_not_take_is_given_back_later(seed: Way) -> None:
    gate = asyncio.Event()
    seed.upstream.then(b"{}", before=(gate,), fields=JSON)
    asking = seed.asking(ITEM)
    await seed.upstream.arrived()
    with seed.journal_failing():
        gate.set()
        assert (await asking).status == 503
        assert seed.balance.reserved == 1
    await seed.settled()
    assert (seed.balance.reserved, seed.balance.charged) == (0, 0)


async def test_a_release_the_journal_does_not_take_is_a_503_of_the_operations_own(seed: Way) -> None:
    """It left the pipeline as an exception, and its answer lost request id and route."""
    gate = asyncio.Event()
    seed.upstream.then(before=(gate, Problem(Reason.upstream_refused)))
    asking = seed.asking(ITEM, fields={"X-Request-Id": "mine"})
    await seed.upstream.arrived()
    with seed.journal_failing():
        gate.set()
        got = await asking
    assert (got.status, got.fields["X-Request-Id"]) == (503, "mine")


async def test_a_bug_in_a_fetch_is_a_500_and_free(seed: Way) -> None:
    seed.upstream.then(before=(ZeroDivisionError(),))
    assert ((await seed.ask(ITEM)).status, seed.balance.charged) == (500, 0)
    assert (await seed.ask(ITEM)).status == 200


async def test_a_bug_on_the_way_is_a_500_and_free(seed: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*given: object, **named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(seed.collapse, "find", failing)
    assert ((await seed.ask(ITEM)).status, seed.balance.charged) == (500, 0)
