"""A request's way, step by step: every decision and every outcome of a fetch, with what it costs and who waits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admission.snapshots import REFRESH, public_route, seed_route
from aiocache import SimpleMemoryCache
from support.in_process import GRANT, Way, way

from gateway.admission.prepared import group
from gateway.admission.snapshot import CachePolicy, RefreshPolicy, Route
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import Policy
from gateway.stores.second import AiocacheTier

ITEM = "/v1/products/1"
FORCED = f"{ITEM}?force_refresh=1"
JSON = {"Content-Type": "application/json"}
STALE = Policy(ttl=60.0, stale_while_revalidate=30.0, stale_if_error=3600.0)


def cached(policy: Policy | None = None, *, max_body: int = 1000, **changes: object) -> Route:
    return seed_route(cache=CachePolicy(policy or Policy(ttl=60.0), max_body=max_body), **changes)


@pytest.fixture
async def seed(tmp_path: Path) -> AsyncIterator[Way]:
    """The seed's route."""
    async with way(tmp_path, cached()) as running:
        yield running


@pytest.fixture
async def lenient(tmp_path: Path) -> AsyncIterator[Way]:
    """The seed's route, stale answers allowed."""
    async with way(tmp_path, cached(STALE)) as running:
        yield running


async def test_a_miss_is_stored_and_hit(seed: Way) -> None:
    missed = await seed.ask(ITEM)
    assert (missed.cache.fwd, missed.cache.stored, missed.tokens) == ("uri-miss", True, (1, GRANT - 1))
    seed.clock.advance(20)
    hit = await seed.ask(ITEM)
    assert (hit.cache.hit, hit.cache.ttl, hit.fields["Age"], hit.tokens) == (True, 40, "20", (1, GRANT - 2))
    assert (hit.body, seed.calls) == (missed.body, 1)


async def test_a_head_is_fetched_as_a_get_and_serves_both(seed: Way) -> None:
    assert (await seed.ask(ITEM, "HEAD")).tokens == (1, GRANT - 1)
    assert (await seed.ask(ITEM)).cache.hit
    assert [sent.method for sent in seed.upstream.sent] == ["GET"]


@pytest.mark.parametrize(
    ("target", "method", "price"),
    [(FORCED, "GET", 4), (f"{FORCED}&include_offers=1", "GET", 9), (f"{ITEM}/refresh", "POST", 9)],
)
async def test_a_force_refresh_fetches_for_its_surcharge(seed: Way, target: str, method: str, price: int) -> None:
    await seed.ask(ITEM)
    refreshed = await seed.ask(target, method)
    assert (refreshed.tokens, seed.calls) == ((price, GRANT - 1 - price), 2)
    assert seed.upstream.sent[1].fields["Cache-Control"] == "no-cache"


async def test_a_refresh_within_the_cooldown_gets_that_copy_without_the_surcharge(tmp_path: Path) -> None:
    refresh = RefreshPolicy(query=REFRESH.query, cooldown=10.0)
    async with way(tmp_path, cached(refresh=refresh)) as running:
        assert (await running.ask(FORCED)).tokens[0] == 4
        cooling = await running.ask(FORCED)
        assert (cooling.cache.hit, cooling.cache.detail, cooling.tokens[0]) == (True, "cooldown", 1)
        running.clock.advance(10)
        assert (await running.ask(FORCED)).tokens[0] == 4


async def test_a_304_freshens_what_is_stored(seed: Way) -> None:
    seed.upstream.then(b'{"v":1}', fields=JSON | {"ETag": '"1"'})
    seed.upstream.then(status=304, fields={"ETag": '"1"'})
    await seed.ask(ITEM)
    seed.clock.advance(61)
    validated = await seed.ask(ITEM)
    assert (validated.status, validated.body, validated.tokens[0]) == (200, b'{"v":1}', 1)
    assert (validated.cache.fwd, validated.cache.parameters["fwd-status"]) == ("stale", "304")
    assert seed.upstream.sent[1].fields["If-None-Match"] == '"1"'
    assert (await seed.ask(ITEM)).cache.hit


async def test_a_304_that_speaks_of_something_else_makes_a_whole_fetch(seed: Way) -> None:
    seed.upstream.then(b"{}", fields=JSON | {"ETag": '"1"'})
    seed.upstream.then(status=304, fields={"ETag": '"2"'})
    seed.upstream.then(b'{"v":2}', fields=JSON | {"ETag": '"2"'})
    await seed.ask(ITEM)
    seed.clock.advance(61)
    whole = await seed.ask(ITEM)
    assert (whole.status, whole.body, whole.tokens[0]) == (200, b'{"v":2}', 1)
    assert "If-None-Match" not in seed.upstream.sent[2].fields


async def test_after_a_failure_a_stale_answer_costs_base_and_options_only(lenient: Way) -> None:
    await lenient.ask(ITEM)
    lenient.upstream.then(status=500)
    stale = await lenient.ask(FORCED)
    assert (stale.status, stale.cache.detail, stale.tokens[0]) == (200, "stale-if-error", 1)
    assert stale.cache.parameters["fwd-status"] == "500"


@pytest.mark.parametrize(
    ("reason", "status"),
    [(Reason.upstream_refused, 502), (Reason.upstream_read_timeout, 504), (Reason.upstream_queue_full, 503)],
)
async def test_a_failure_is_told_to_all_who_waited_and_free(seed: Way, reason: Reason, status: int) -> None:
    gate = asyncio.Event()
    seed.upstream.then(before=(gate, Problem(reason)))
    asking = [seed.asking(ITEM) for _ in range(50)]
    await seed.upstream.arrived()
    gate.set()
    assert {got.status for got in await asyncio.gather(*asking)} == {status}
    assert (seed.balance.charged, seed.calls) == (0, 1)


async def test_an_answer_too_large_to_store_streams(seed: Way) -> None:
    seed.upstream.then(b"x" * 600, b"y" * 600)
    got = await seed.ask(ITEM)
    assert (got.body, got.tokens[0]) == (b"x" * 600 + b"y" * 600, 1)
    assert got.cache.detail == "the response is larger than what the route stores"


async def test_a_refresh_that_streams_outdates_what_is_stored(seed: Way) -> None:
    """The copy from before the refresh went on being served as fresh."""
    await seed.ask(ITEM)
    seed.upstream.then(b"x" * 2000, declared=True)
    assert (await seed.ask(FORCED)).tokens[0] == 4
    assert (await seed.ask(ITEM)).cache.fwd == "stale"


async def test_an_answer_outdated_while_it_was_fetched_is_fetched_again(seed: Way) -> None:
    gate = asyncio.Event()
    seed.upstream.then(b'{"old":1}', before=(gate,), fields=JSON)
    seed.upstream.then(b'{"new":1}', fields=JSON)
    slow = seed.asking(ITEM)
    await seed.upstream.arrived()
    seed.clock.advance(1)
    await seed.ask(FORCED)
    gate.set()
    assert (await slow).body == b'{"new":1}'
    assert (seed.calls, seed.balance.charged) == (2, 5)


async def test_a_validation_outdated_meanwhile_is_not_served_as_fresh(seed: Way) -> None:
    """The 304 of a validation that began before the refresh brought the old content back to its callers."""
    seed.upstream.then(b'{"old":1}', fields=JSON | {"ETag": '"1"'})
    await seed.ask(ITEM)
    seed.clock.advance(61)
    gate = asyncio.Event()
    seed.upstream.then(status=304, before=(gate,))
    seed.upstream.then(b'{"new":1}', fields=JSON)
    slow = seed.asking(ITEM)
    await seed.upstream.arrived(2)
    seed.clock.advance(1)
    await seed.ask(FORCED)
    gate.set()
    assert (await slow).body == b'{"new":1}'


async def test_one_that_is_outdated_again_and_again_is_answered_in_the_end(seed: Way) -> None:
    gates = [asyncio.Event() for _ in range(4)]
    for gate in gates:
        seed.upstream.then(b"{}", before=(gate,), fields=JSON)
    slow = seed.asking(ITEM)
    for number, gate in enumerate(gates, 1):
        await seed.upstream.arrived(number)
        seed.cache.invalidate((group("api", ITEM),))
        gate.set()
    assert (await slow).cache.detail == "a refresh outdated the response while it was fetched"


async def test_a_body_that_drips_ends_at_the_total_timeout(tmp_path: Path) -> None:
    async with way(tmp_path, cached(), total_timeout=0.05) as running:
        running.upstream.then(b"{", asyncio.Event(), fields=JSON)
        assert (await running.ask(ITEM)).status == 504
        assert running.balance.charged == 0


@pytest.mark.parametrize(
    ("kind", "body", "status", "charged"),
    [("application/json", b'{"cut":', 502, 0), ("application/json", b"{}", 200, 1), ("text/plain", b"text", 200, 0)],
    ids=["cut JSON", "whole JSON", "text"],
)
async def test_content_that_only_the_close_ends(seed: Way, kind: str, body: bytes, status: int, charged: int) -> None:
    seed.upstream.then(body, fields={"Content-Type": kind}, delimited=False)
    got = await seed.ask(ITEM)
    assert (got.status, seed.balance.charged, got.cache.stored) == (status, charged, charged == 1)


async def test_more_unfinished_content_than_is_allowed_is_refused(tmp_path: Path) -> None:
    async with way(tmp_path, cached(), buffered=10) as running:
        running.upstream.then(b"x" * 11)
        refused = await running.ask(ITEM)
        assert (refused.status, refused.fields["Retry-After"], running.balance.charged) == (503, "1", 0)


@pytest.mark.parametrize(("status", "stored"), [(500, False), (404, False), (200, True)])
async def test_a_public_route_passes_what_the_upstream_says(tmp_path: Path, status: int, stored: bool) -> None:
    route = public_route(cache=CachePolicy(Policy(ttl=60.0)))
    async with way(tmp_path, route) as running:
        running.upstream.then(b"said", status=status, fields={"Cache-Control": "public"})
        got = await running.ask("/public/a")
        assert (got.status, got.body, got.cache.stored) == (status, b"said", stored)
        assert "X-Tokens-Consumed" not in got.fields


async def test_a_second_tier_is_asked_on_a_miss_and_told_of_refreshes(tmp_path: Path) -> None:
    shared = SimpleMemoryCache()
    behind = AiocacheTier(shared, expire_after=None)
    async with way(tmp_path / "a", cached(tokens_in_body=True), second=behind) as first:
        await first.ask(ITEM)
        await first.cache.close()
        async with way(tmp_path / "b", cached(tokens_in_body=True), second=behind) as second:
            loaded = await second.ask(ITEM)
            assert (loaded.cache.hit, second.calls) == (True, 0)
            assert loaded.body == b'{"call":1,"tokens_consumed":1,"tokens_remaining":1999}'
        first.clock.advance(1)
        await first.ask(f"{ITEM}?force_refresh=1&include_offers=1")
        await first.cache.close()
        async with way(tmp_path / "c", cached(), second=behind) as third:
            third.clock.advance(2)
            assert ((await third.ask(ITEM)).cache.fwd, third.calls) == ("uri-miss", 1)


@pytest.mark.parametrize("status", [200, 304, 500], ids=["loaded", "validated", "spare"])
async def test_tokens_go_into_what_a_second_tier_held(tmp_path: Path, status: int) -> None:
    behind, route = AiocacheTier(SimpleMemoryCache(), expire_after=None), cached(STALE, tokens_in_body=True)
    async with way(tmp_path / "a", route, second=behind) as first:
        first.upstream.then(b'{"a":1}', fields=JSON | {"ETag": '"1"'})
        await first.ask(ITEM)
        await first.cache.close()
    async with way(tmp_path / "b", route, second=behind) as second:
        second.clock.advance(0 if status == 200 else 100)
        second.upstream.then(b"", status=status, fields={"ETag": '"1"'})
        got = await second.ask(ITEM)
        assert (got.body, got.fields["ETag"]) == (b'{"a":1,"tokens_consumed":1,"tokens_remaining":1999}', 'W/"1"')


async def test_what_could_not_be_read_gets_a_problem_and_ends_its_connection(seed: Way) -> None:
    answer = seed.pipeline.refuse_unread(Problem(Reason.malformed_request))
    assert (answer.status, answer.last, answer.chunks) == (400, True, None)


@pytest.mark.parametrize("name", ["X-Request-Id", "Via", "If-None-Match"])
async def test_a_vary_on_what_the_gateway_itself_adds_tells_no_requests_apart(seed: Way, name: str) -> None:
    seed.upstream.then(b"{}", fields=JSON | {"ETag": '"1"'})
    for _ in range(3):
        seed.upstream.then(b"{}", fields=JSON | {"Vary": name})
    await seed.ask(ITEM)
    seed.clock.advance(61)
    answers = [await seed.ask(ITEM) for _ in range(2)]
    assert [(got.status, got.tokens[0]) for got in answers] == [(200, 1)] * 2
    assert (seed.calls, answers[1].cache.hit) == (2, True)


async def test_a_stale_hit_whose_request_cannot_be_sent_on_is_refused_free(tmp_path: Path) -> None:
    async with way(tmp_path, cached(Policy(stale_while_revalidate=30.0))) as running:
        running.upstream.then(b"{}", fields=JSON | {"Cache-Control": "max-age=60"})
        await running.ask(ITEM)
        running.clock.advance(61)
        refused = await running.ask(ITEM, fields={"X-Name": "caf\udce9"})
        assert (refused.status, running.balance.charged) == (400, 1)
