"""What an account may not ask for and what a request does not allow itself to cost, on the way: refused for nothing."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from admission.snapshots import KEY, make_route, seed_route
from support.in_process import ALPHA, GRANT, Way, way

from gateway.admission.snapshot import CachePolicy, ClientDirectives, Plan, Rate, Scope, ThrottlePolicy
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import Policy

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
FORCED = f"{ITEM}?force_refresh=1"
JSON = {"Content-Type": "application/json"}
NO_CACHE = {"Cache-Control": "no-cache"}
TEST = {"Authorization": f"Bearer {KEY.replace('live', 'test')}"}
LENIENT = Policy(ttl=60.0, stale_while_revalidate=30.0)
ROUTES = (
    seed_route(cache=CachePolicy(LENIENT, client_directives=ClientDirectives.price, max_body=1000), methods=None),
    make_route("/uncached", name="uncached"),
)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    async with way(tmp_path, *ROUTES) as started:
        yield started


async def test_what_directives_force_is_held_against_the_most_it_may_cost(running: Way) -> None:
    await running.ask(ITEM)
    running.clock.advance(1)
    assert (await running.ask(ITEM, fields=NO_CACHE | {"X-Max-Tokens": "3"})).status == 402
    assert (running.calls, running.balance.charged, running.balance.reserved) == (1, 1, 0)
    assert (await running.ask(ITEM, fields=NO_CACHE | {"X-Max-Tokens": "4"})).tokens == (4, GRANT - 5)


async def test_directives_are_no_way_round_a_missing_scope(tmp_path: Path) -> None:
    reader = replace(ALPHA, scopes=frozenset({Scope.lookup}))
    async with way(tmp_path, *ROUTES, account=reader) as running:
        assert (await running.ask(ITEM, fields=NO_CACHE)).tokens[0] == 1  # fetched anyway
        running.clock.advance(1)
        assert (await running.ask(ITEM, fields=NO_CACHE)).status == 403
        assert (await running.ask(FORCED)).status == 403
        assert (running.calls, running.balance.charged) == (1, 1)


async def test_a_key_ends_with_the_wall_clock_however_often_its_head_was_seen(tmp_path: Path) -> None:
    async with way(tmp_path, *ROUTES, account=replace(ALPHA, expires=1_768_478_400.0 + 10)) as running:
        for _ in range(2):
            assert (await running.ask(ITEM)).status == 200
        running.clock.wall_now += 10
        assert ((await running.ask(ITEM)).status, running.balance.charged) == (401, 2)


@pytest.mark.parametrize(
    ("target", "method", "fields"),
    [
        pytest.param(ITEM, "GET", {}, id="lookup"),
        pytest.param(ITEM, "HEAD", {}, id="HEAD"),
        pytest.param(ITEM, "GET", NO_CACHE, id="no-cache"),
        pytest.param(ITEM, "GET", {"Range": "bytes=0-3"}, id="range"),
        pytest.param(FORCED, "GET", {}, id="forced"),
        pytest.param(f"{ITEM}/refresh", "POST", {}, id="posted"),
        pytest.param(ITEM, "DELETE", {}, id="another method"),
        pytest.param("/uncached", "GET", {}, id="uncached"),
    ],
)
async def test_a_test_key_never_reaches_the_upstream(
    running: Way, target: str, method: str, fields: Mapping[str, str]
) -> None:
    assert (await running.ask(target, method, {**fields, **TEST})).status == 404
    assert (running.calls, running.balance.charged) == (0, 0)


@pytest.mark.parametrize("age", [10, 70, 100_000], ids=["fresh", "stale while revalidating", "stale"])
async def test_a_test_key_gets_what_is_stored_however_old(running: Way, age: float) -> None:
    first = await running.ask(ITEM)
    running.clock.advance(age)
    for target, fields in ((ITEM, TEST), (FORCED, TEST), (ITEM, NO_CACHE | TEST)):
        tested = await running.ask(target, fields=fields)
        assert (tested.status, tested.body, tested.tokens[0]) == (200, first.body, 0)
    await running.settled()
    assert (running.calls, running.balance.charged, running.house.charged) == (1, 1, 0)


async def test_a_test_key_gets_nothing_that_must_be_validated(running: Way) -> None:
    running.upstream.then(b"{}", fields=JSON | {"Cache-Control": "max-age=60, must-revalidate"})
    await running.ask(ITEM)
    running.clock.advance(70)
    assert ((await running.ask(ITEM, fields=TEST)).status, running.calls) == (404, 1)


async def test_a_test_key_takes_no_room_under_the_cap(tmp_path: Path) -> None:
    async with way(tmp_path, *ROUTES, account=replace(ALPHA, force_refresh_cap=Rate(2, 60.0))) as running:
        await running.ask(ITEM)
        for _ in range(3):
            assert (await running.ask(FORCED, fields=TEST)).status == 200
        assert [(await running.ask(FORCED)).status for _ in range(3)] == [200, 200, 429]


async def test_a_repetition_counts_against_the_throttle(tmp_path: Path) -> None:
    slow = replace(ALPHA, plan=replace(ALPHA.plan, throttle=ThrottlePolicy(Rate(1, 60.0), 2)))
    async with way(tmp_path, *ROUTES, account=slow) as running:
        keyed = {"Idempotency-Key": "a"}
        assert (await running.ask(FORCED, fields=keyed)).tokens[0] == 4
        repeated = await running.ask(FORCED, fields=keyed)
        assert (repeated.status, repeated.tokens[0], repeated.fields["Idempotent-Replayed"]) == (200, 0, "true")
        assert (await running.ask(FORCED, fields=keyed)).status == 429
        assert (running.calls, running.balance.charged) == (1, 4)


async def test_a_repetition_that_is_refused_counts_against_the_throttle(tmp_path: Path) -> None:
    """Each had the book read, for nothing, as often as a client liked."""
    slow = replace(ALPHA, plan=replace(ALPHA.plan, throttle=ThrottlePolicy(Rate(1, 60.0), 2)))
    async with way(tmp_path, *ROUTES, account=slow) as running:
        keyed = {"Idempotency-Key": "a"}
        await running.ask(FORCED, fields=keyed)
        statuses = [(await running.ask(f"{FORCED}&include_offers=1", fields=keyed)).status for _ in range(3)]
        assert statuses == [422, 429, 429]


async def test_a_head_that_cannot_be_settled_gets_no_stale_answer_instead(tmp_path: Path) -> None:
    """It was charged anew, for what it was told the upstream's failure was the reason of."""
    pure = seed_route(cache=CachePolicy(Policy(stale_if_error=3600.0)), refresh=None)
    async with way(tmp_path, pure) as running:
        running.upstream.then(b"{}", fields=JSON | {"Cache-Control": "max-age=60"})
        await running.ask(ITEM)
        running.clock.advance(70)
        settle = running.settlement.settle

        async def failing(*given: object, **named: object) -> object:
            running.settlement.settle = settle  # type: ignore[method-assign]
            raise Problem(Reason.ledger_unavailable)

        running.settlement.settle = failing  # type: ignore[method-assign, assignment]
        assert (await running.ask(ITEM, "HEAD")).status == 503
        assert running.balance.charged == 1


async def test_what_may_be_cut_is_not_kept_for_a_repetition(running: Way) -> None:
    keyed = {"Idempotency-Key": "a"}
    running.upstream.then(b"half", fields={"Content-Type": "text/plain"}, delimited=False)
    assert (await running.ask(FORCED, fields=keyed)).tokens[0] == 0
    assert (await running.ask(FORCED, fields=keyed)).tokens[0] == 4
    assert running.calls == 2


async def test_an_unlimited_account_has_receipts_too(tmp_path: Path) -> None:
    async with way(tmp_path, *ROUTES, account=replace(ALPHA, plan=Plan("free"))) as running:
        for target in (f"{ITEM}?include_offers=1", f"{ITEM}?include_offers=1", FORCED):
            assert (await running.ask(target)).fields["X-Receipt-Id"].startswith("rcpt_")
        assert "X-Receipt-Id" not in (await running.ask(ITEM)).fields
