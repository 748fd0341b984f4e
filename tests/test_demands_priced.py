"""What a request's own directives force (RFC 9111 §5.2.1), and what it costs: each way a route may take them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admission.snapshots import public_route, seed_route
from support.in_process import GRANT, Way, way

from gateway.admission.snapshot import CachePolicy, ClientDirectives
from gateway.rfc9111.stored import Policy

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
AGED = {"Cache-Control": "max-age=5"}
FORCING = {
    "no-cache": {"Cache-Control": "no-cache"},
    "max-age": AGED,
    "max-age zero": {"Cache-Control": "max-age=0"},
    "min-fresh": {"Cache-Control": "min-fresh=55"},
    "Pragma": {"Pragma": "no-cache"},
}


def cached(directives: ClientDirectives) -> CachePolicy:
    return CachePolicy(Policy(ttl=60.0), client_directives=directives)


@pytest.fixture
async def pricing(tmp_path: Path) -> AsyncIterator[Way]:
    """The seed's route, which prices what directives force."""
    async with way(tmp_path, seed_route(cache=cached(ClientDirectives.price))) as running:
        yield running


@pytest.mark.parametrize("fields", FORCING.values(), ids=FORCING)
async def test_forced_work_costs_a_force_refresh(pricing: Way, fields: dict[str, str]) -> None:
    await pricing.ask(ITEM)
    pricing.clock.advance(10)
    forced = await pricing.ask(ITEM, fields=fields)
    assert (forced.cache.fwd, forced.tokens, pricing.calls) == ("request", (4, GRANT - 5), 2)
    assert (await pricing.ask(ITEM)).tokens == (1, GRANT - 6)


@pytest.mark.parametrize("fields", [{}, *FORCING.values()], ids=["none", *FORCING])
async def test_what_would_be_fetched_anyway_costs_no_more(pricing: Way, fields: dict[str, str]) -> None:
    fetched = await pricing.ask(ITEM, fields=fields)
    assert (fetched.cache.fwd, fetched.tokens[0]) == ("uri-miss", 1)


async def test_a_directive_that_forces_nothing_is_free(pricing: Way) -> None:
    await pricing.ask(ITEM)
    hit = await pricing.ask(ITEM, fields={"Cache-Control": "max-age=30, min-fresh=10, max-stale, x-unknown"})
    assert (hit.cache.hit, hit.tokens[0]) == (True, 1)


async def test_not_to_store_costs_a_force_refresh_each_time(pricing: Way) -> None:
    for _ in range(2):
        answer = await pricing.ask(ITEM, fields={"Cache-Control": "no-store"})
        assert (answer.cache.stored, answer.tokens[0]) == (False, 4)
    assert (pricing.calls, pricing.cache.stored_responses) == (2, 0)


async def test_forced_work_counts_against_the_cap(pricing: Way) -> None:
    await pricing.ask(ITEM)
    pricing.clock.advance(10)
    for _ in range(100):
        pricing.clock.advance(0.1)
        assert (await pricing.ask(ITEM, fields=FORCING["no-cache"])).status == 200
    pricing.clock.advance(0.1)
    capped = await pricing.ask(ITEM, fields=FORCING["no-cache"])
    assert (capped.status, pricing.calls) == (429, 101)
    assert (await pricing.ask(ITEM)).cache.hit


async def test_forced_work_that_fails_is_free(pricing: Way) -> None:
    await pricing.ask(ITEM)
    pricing.clock.advance(10)
    pricing.upstream.then(status=500)
    failed = await pricing.ask(ITEM, fields=FORCING["no-cache"])
    assert (failed.status, pricing.balance.charged, pricing.balance.reserved) == (502, 1, 0)


async def test_nothing_is_forced_from_the_store_alone(pricing: Way) -> None:
    only = {"Cache-Control": "only-if-cached"}
    refused = await pricing.ask(ITEM, fields=only)
    assert (refused.status, refused.tokens[0], pricing.calls) == (504, 0, 0)
    await pricing.ask(ITEM)
    assert (await pricing.ask(ITEM, fields=only)).cache.hit


async def test_forced_fetches_collapse_with_each_other_and_serve_the_others(pricing: Way) -> None:
    await pricing.ask(ITEM)
    pricing.clock.advance(10)
    gate = asyncio.Event()
    pricing.upstream.then(b"{}", before=(gate,), fields=JSON)
    leader = pricing.asking(ITEM, fields=FORCING["no-cache"])
    await pricing.upstream.arrived(2)
    follower = pricing.asking(ITEM, fields=AGED)
    for _ in range(50):  # turns of the loop: enough for it to be admitted and to wait
        await asyncio.sleep(0)
    gate.set()
    assert (await leader).tokens[0] == (await follower).tokens[0] == 4
    assert ((await follower).cache.collapsed, pricing.calls) == (True, 2)


async def test_a_force_refresh_does_not_join_what_a_directive_forced(pricing: Way) -> None:
    await pricing.ask(ITEM)
    pricing.clock.advance(10)
    gate = asyncio.Event()
    pricing.upstream.then(b"{}", before=(gate,), fields=JSON)
    demanded = pricing.asking(ITEM, fields=FORCING["no-cache"])
    await pricing.upstream.arrived(2)
    assert (await pricing.ask(f"{ITEM}?force_refresh=1")).cache.fwd == "request"
    gate.set()
    await demanded
    assert pricing.calls == 3


@pytest.mark.parametrize("demanded", [True, False])
async def test_directives_go_on_only_where_they_are_paid_for(pricing: Way, demanded: bool) -> None:
    if demanded:
        await pricing.ask(ITEM)
        pricing.clock.advance(10)
    await pricing.ask(ITEM, fields=AGED)
    assert pricing.upstream.sent[-1].fields.get("Cache-Control") == ("max-age=5" if demanded else None)


@pytest.mark.parametrize("fields", [*FORCING.values(), {"Cache-Control": "only-if-cached, no-store"}])
async def test_ignored_directives_do_nothing(tmp_path: Path, fields: dict[str, str]) -> None:
    async with way(tmp_path, seed_route(cache=cached(ClientDirectives.ignore))) as running:
        assert (await running.ask(ITEM, fields=fields)).cache.stored
        running.clock.advance(10)
        assert (await running.ask(ITEM, fields=fields)).cache.hit
        assert not {"Cache-Control", "Pragma"} & running.upstream.sent[0].fields.keys()


@pytest.mark.parametrize("fields", FORCING.values(), ids=FORCING)
async def test_honoured_directives_cost_nothing_more(tmp_path: Path, fields: dict[str, str]) -> None:
    async with way(tmp_path, seed_route(cache=cached(ClientDirectives.honour))) as running:
        await running.ask(ITEM)
        running.clock.advance(10)
        forced = await running.ask(ITEM, fields=fields)
        assert (forced.cache.fwd, forced.tokens[0], running.calls) == ("request", 1, 2)


async def test_a_validation_that_is_demanded_is_one(tmp_path: Path) -> None:
    async with way(tmp_path, public_route("/v1/products/{id}", cache=CachePolicy())) as running:
        running.upstream.then(b"{}", fields={"Cache-Control": "public, max-age=60", "ETag": '"1"'})
        running.upstream.then(status=304, fields={"ETag": '"1"'})
        await running.ask(ITEM)
        running.clock.advance(1)
        validated = await running.ask(ITEM, fields=FORCING["no-cache"])
        assert (validated.status, validated.cache.parameters["fwd-status"]) == (200, "304")
        sent = running.upstream.sent[1].fields
        assert (sent["If-None-Match"], sent["Cache-Control"]) == ('"1"', "no-cache")


async def test_work_forced_after_a_wait_for_the_journal_costs_what_it_forces(pricing: Way) -> None:
    gate = asyncio.Event()
    pricing.upstream.then(b"{}", before=(gate,), fields=JSON)
    missing = pricing.asking(ITEM)
    await pricing.upstream.arrived()
    pricing.clock.advance(1)
    gate.set()
    # Decided while nothing is stored, admitted when the other's answer is.
    forced = await pricing.ask(ITEM, fields=FORCING["no-cache"])
    await missing
    assert (forced.cache.fwd, forced.tokens[0], pricing.calls) == ("request", 4, 2)


async def test_what_is_stored_for_others_is_fetched_in_words_of_our_own(pricing: Way) -> None:
    await pricing.ask(ITEM)
    pricing.clock.advance(10)
    hostile = {"Cache-Control": "no-cache, max-age=5, x-made-up=<b>, max-stale", "Pragma": "<b>"}
    await pricing.ask(ITEM, fields=hostile)
    sent = pricing.upstream.sent[1].fields
    assert (sent.getall("Cache-Control"), sent.get("Pragma")) == (["no-cache, max-age=5"], None)
