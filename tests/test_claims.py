"""An Idempotency-Key is one request's in the whole fleet, and what it was answered with is found at every node."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import ROUTE
from redis.asyncio import Redis
from stores.samples import sample
from support.clock import FakeClock
from support.fleet import Node
from support.metering import FULL, account
from support.repeating import DAY, REFRESH, refresh

from gateway.admission.charge import Charge
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan
from gateway.answered import Booked
from gateway.claims import Claims, moving
from gateway.errors import Problem, Reason
from gateway.fleet import names
from gateway.fleet.connection import Unreachable
from gateway.idempotency import Claim, Idempotency, Replay
from gateway.ledger.ledger import Ledger
from gateway.rfc9111.stored import StoredResponse

WHO = account(Plan("p", 1000, Every.month))
UNLIMITED = replace(account(Plan("u", None, Every.month)), id="free", holder="free")
LEASE = 0.4
PATIENCE = 10.0


class Desk:
    """A node's idempotency, and the meter that its answers are charged at."""

    def __init__(self, node: Node, lease: float) -> None:
        self.node = node
        self.claims = Claims(node.connection, node.clock, lease)
        self.idempotency = Idempotency(self.claims, node.clock)

    def claim(self, key: str = "k", who: Account = WHO, target: str = REFRESH) -> Claim:
        prepared = replace(refresh(key, target), account=who)
        claim = self.idempotency.claim(prepared)
        assert claim is not None
        return claim

    async def begin(self, **asked: Any) -> Claim:
        """A request that is answered nowhere else, nor was before."""
        claim = self.claim(**asked)
        assert await self.idempotency.earlier(claim) is None
        return claim

    async def charge(self, claim: Claim, stored: StoredResponse | None, who: Account = WHO) -> Charge:
        """It is answered, and charged with that."""
        reservation = await self.node.meter.reserve(who, ROUTE, FULL, "a-request")
        return await self.node.meter.settle(reservation, Outcome.refreshed, partial(claim.kept, stored=stored))

    async def earlier(self, **asked: Any) -> Replay | None:
        """What is answered at once."""
        claim = self.claim(**asked)
        try:
            return await self.idempotency.earlier(claim)
        finally:
            claim.end()
            await self.claims.close()

    async def refused(self, **asked: Any) -> Problem:
        with pytest.raises(Problem) as caught:
            await self.earlier(**asked)
        return caught.value

    async def end(self, claim: Claim) -> None:
        claim.end()
        await self.claims.close()


OpenDesk = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[OpenDesk]:
    """Opens nodes of one fleet."""
    desks = list[Desk]()

    async def begin(lease: float = 30.0) -> Desk:
        desks.append(Desk(await Node.open(redis_url, FakeClock(time.time()), WHO, UNLIMITED), lease))
        return desks[-1]

    yield begin
    for one in desks:
        await one.claims.close()
        await one.node.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def claimed(claim: Claim) -> str:
    return names.claim(names.shard(claim.asked.organization), claim.asked.account, claim.asked.key)


async def changed(redis: Redis, claim: Claim, exists: int) -> None:
    """Return once the claim is in Redis, or is not any more."""
    async with asyncio.timeout(PATIENCE):
        while await redis.exists(claimed(claim)) != exists:
            pass


@pytest.mark.parametrize("who", [WHO, UNLIMITED], ids=["limited", "unlimited"])
async def test_another_node_gives_the_first_answer_again(desk: OpenDesk, who: Account) -> None:
    first, second = await desk(), await desk()
    stored = sample(body=b'{"a":1}' * 9)
    claim = await first.begin(who=who)
    charge = await first.charge(claim, stored, who)
    await first.end(claim)
    for one in (second, first):
        replay = await one.earlier(who=who)
        assert replay is not None
        assert (replay.tokens, replay.remaining, replay.operation) == (
            charge.tokens,
            charge.remaining,
            charge.operation,
        )
        assert (replay.stored.head, replay.stored.body) == (stored.head, stored.body)
    assert (charge.remaining is None) == (who is UNLIMITED)


async def test_only_one_node_answers_it(desk: OpenDesk) -> None:
    first, second = await desk(), await desk()
    claim = await first.begin()
    problem = await second.refused()
    assert (problem.reason, problem.retry_after) == (Reason.request_in_progress, 1)
    assert (await second.refused(target="/v1/products/2?force_refresh=1")).reason is Reason.idempotency_key_reused
    assert await second.earlier(key="another") is None
    # Whoever was refused has not given it free.
    assert (await second.refused()).reason is Reason.request_in_progress
    await first.end(claim)
    await second.end(await second.begin())


async def test_of_many_at_once_one_is_answered(desk: OpenDesk) -> None:
    desks = [await desk() for _ in range(3)]
    begun = await asyncio.gather(*[one.begin() for one in desks], return_exceptions=True)
    assert sorted(isinstance(one, Claim) for one in begun) == [False, False, True]


async def test_what_was_charged_is_found_before_its_claim_has_ended(desk: OpenDesk) -> None:
    first, second = await desk(), await desk()
    await first.charge(await first.begin(), sample())
    assert await second.earlier() is not None


async def test_another_request_may_not_use_the_key(desk: OpenDesk) -> None:
    first, second = await desk(), await desk()
    claim = await first.begin()
    await first.charge(claim, sample())
    await first.end(claim)
    assert (await second.refused(target="/v1/products/2?force_refresh=1")).reason is Reason.idempotency_key_reused


async def test_what_was_too_large_is_not_kept(desk: OpenDesk) -> None:
    first, second = await desk(), await desk()
    claim = await first.begin()
    await first.charge(claim, None)
    await first.end(claim)
    assert (await second.refused()).reason is Reason.answer_not_kept


async def test_what_is_withdrawn_is_asked_anew(desk: OpenDesk) -> None:
    first, second = await desk(), await desk()
    claim = await first.begin()
    reservation = await first.node.meter.reserve(WHO, ROUTE, FULL, "a-request")
    await first.node.meter.settle(reservation, Outcome.refreshed, partial(claim.kept, stored=None))
    await first.node.meter.refund(reservation, Outcome.truncated, claim.withdrawn())
    await first.end(claim)
    await second.end(await second.begin())


async def test_an_answer_is_kept_for_a_day_and_its_key_is_free_then(desk: OpenDesk, redis: Redis) -> None:
    first, second = await desk(), await desk()
    claim = await first.begin()
    await first.charge(claim, sample())
    await first.end(claim)
    kept = names.kept(names.shard(claim.asked.organization), claim.asked.account, claim.asked.key)
    assert await redis.pexpiretime(kept) == round(1000 * (first.node.clock.wall() + DAY))
    second.node.clock.wall_now += DAY
    await second.end(await second.begin(target="/v1/products/2?force_refresh=1"))


async def test_who_only_looks_keeps_nobody_out(desk: OpenDesk, redis: Redis) -> None:
    first, second = await desk(), await desk()
    claim = first.claim()
    claim.end()
    assert await first.idempotency.earlier(claim) is None
    assert await redis.exists(claimed(claim)) == 0
    answering = await second.begin()
    looking = first.claim()
    looking.end()
    assert await first.idempotency.earlier(looking) is None
    await second.end(answering)


async def test_a_claim_is_renewed_while_its_request_runs(desk: OpenDesk, redis: Redis) -> None:
    first, second = await desk(LEASE), await desk()
    renewing = asyncio.create_task(first.claims.renew())
    claim = await first.begin()
    async with asyncio.timeout(PATIENCE):
        for _ in range(3):
            left = await redis.pttl(claimed(claim))
            while (now := await redis.pttl(claimed(claim))) <= left:
                left = now
    assert (await second.refused()).reason is Reason.request_in_progress
    await first.end(claim)
    renewing.cancel()
    assert await redis.exists(claimed(claim)) == 0


async def test_the_claim_of_a_dead_node_ends(desk: OpenDesk, redis: Redis) -> None:
    dead, second = await desk(LEASE), await desk()
    claim = await dead.begin()
    assert 0 < await redis.pttl(claimed(claim)) <= 1000 * LEASE
    await changed(redis, claim, exists=0)
    taken = await second.begin()
    # Should it live after all: what is another's by now is left to it.
    await dead.end(claim)
    assert await redis.exists(claimed(taken)) == 1
    await second.end(taken)


async def test_a_claim_that_redis_has_lost_is_taken_again(desk: OpenDesk, redis: Redis) -> None:
    first, second = await desk(LEASE), await desk()
    claim = await first.begin()
    await redis.delete(claimed(claim))
    renewing = asyncio.create_task(first.claims.renew())
    await changed(redis, claim, exists=1)
    assert (await second.refused()).reason is Reason.request_in_progress
    renewing.cancel()


async def test_without_redis_nothing_is_answered_and_nothing_stays_claimed(
    desk: OpenDesk, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim may have been granted by a call whose answer was lost."""
    first, second = await desk(), await desk()
    run = first.node.connection.run
    claim = first.claim()

    async def lost(*call: Any) -> Any:
        await run(*call)
        raise Unreachable("no answer in time")

    with monkeypatch.context() as broken:
        broken.setattr(first.node.connection, "run", lost)
        with pytest.raises(Problem) as caught:
            await first.idempotency.earlier(claim)
    assert (caught.value.reason, caught.value.retry_after) == (Reason.ledger_unavailable, 1)
    assert await redis.exists(claimed(claim)) == 1
    await first.end(claim)
    assert await redis.exists(claimed(claim)) == 0
    await second.end(await second.begin())


async def test_what_a_ledger_has_kept_moves_along(desk: OpenDesk, tmp_path: Path) -> None:
    second = await desk()
    clock = second.node.clock
    ledger = Ledger.open(tmp_path, "process", clock)
    idempotency = Idempotency(Booked(ledger), clock)
    for key, until in (("k", 0.0), ("old", -2 * DAY)):
        claim = idempotency.claim(replace(refresh(key), account=WHO))
        assert claim is not None
        kept = claim.kept(Charge(9, 77, operation=31), sample(body=b"[1]"))
        ledger.post(kept._replace(until=kept.until + until))
    await ledger.close()
    move = moving(tmp_path, {WHO.id: WHO.organization}, clock.wall())
    for _ in range(2):
        await move(second.node.connection)
    replay = await second.earlier()
    assert replay is not None
    assert (replay.tokens, replay.remaining, replay.operation, replay.stored.body) == (9, 77, 31, b"[1]")
    assert await second.earlier(key="old") is None
