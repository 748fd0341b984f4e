"""The gate alone: places handed on, given up in the same turn of the loop, and everybody turned away."""

import asyncio

import pytest
from support.clock import FakeClock

from gateway.admission.snapshot import Rate, ThrottlePolicy, UpstreamPolicy
from gateway.admission.throttle import TokenBucket
from gateway.clock import SystemClock
from gateway.errors import Problem, Reason
from gateway.upstreams.gate import Gate

SLOW = ThrottlePolicy(Rate(1, 3600.0), 1)


def gate(connections: int = 1, queue: int = 10, wait: float = 60.0, bucket: TokenBucket | None = None) -> Gate:
    policy = UpstreamPolicy("u", ("http://u",), connections=connections, queue=queue, wait=wait)
    return Gate(policy, bucket, FakeClock())


async def entering(gate: Gate, count: int = 1) -> list[asyncio.Task[bool]]:
    """Callers that have come to wait, in order."""
    tasks = [asyncio.create_task(gate.enter()) for _ in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    return tasks


async def test_a_place_goes_to_whoever_waits_longest() -> None:
    narrow = gate()
    assert await narrow.enter()
    first, second = await entering(narrow, 2)
    narrow.leave()
    assert await first
    assert not second.done()
    narrow.leave()
    assert await second


async def test_all_who_wait_are_turned_away_and_take_no_place() -> None:
    narrow = gate()
    assert await narrow.enter()
    waiting = await entering(narrow, 3)
    narrow.turn_away()
    assert await asyncio.gather(*waiting) == [False, False, False]
    [late] = await entering(narrow)
    narrow.leave()
    assert await late


async def test_who_leaves_in_the_turn_a_place_is_handed_over_hands_it_on() -> None:
    narrow = gate()
    assert await narrow.enter()
    leaving, staying = await entering(narrow, 2)
    narrow.leave()
    leaving.cancel()
    assert await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_who_leaves_in_the_turn_of_a_place_that_becomes_free_is_passed_over() -> None:
    narrow = gate()
    assert await narrow.enter()
    leaving, staying = await entering(narrow, 2)
    leaving.cancel()
    narrow.leave()
    assert await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_who_leaves_in_the_turn_of_being_turned_away_takes_no_place_and_frees_none() -> None:
    narrow = gate()
    assert await narrow.enter()
    [leaving] = await entering(narrow)
    narrow.turn_away()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await entering(narrow)


async def test_a_full_queue_refuses() -> None:
    narrow = gate(queue=0)
    assert await narrow.enter()
    with pytest.raises(Problem) as caught:
        await narrow.enter()
    assert caught.value.reason is Reason.upstream_queue_full


async def test_who_waits_for_the_rate_gets_in_when_it_allows() -> None:
    brisk = TokenBucket(ThrottlePolicy(Rate(50, 1.0), 1))
    paced = Gate(UpstreamPolicy("u", ("http://u",), connections=2), brisk, SystemClock())
    assert await paced.enter()
    assert await paced.enter()
    assert paced._free == 0


async def test_who_waits_for_the_rate_is_turned_away_too_and_gives_the_place_back() -> None:
    paced = gate(wait=7200.0, bucket=TokenBucket(SLOW))
    assert await paced.enter()
    paced.leave()
    [waiting] = await entering(paced)
    paced.turn_away()
    assert await waiting is False
    assert paced._free == 1


async def test_who_stops_waiting_for_the_rate_gives_the_place_back() -> None:
    paced = gate(wait=7200.0, bucket=TokenBucket(SLOW))
    assert await paced.enter()
    paced.leave()
    [waiting] = await entering(paced)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert paced._free == 1


async def test_a_crowd_is_turned_away_a_few_in_each_turn_of_the_loop() -> None:
    narrow = gate(queue=1000)
    assert await narrow.enter()
    waiting = await entering(narrow, 1000)
    narrow.turn_away()
    # A future's waiter runs in the turn after the one that sets it.
    await asyncio.sleep(0)
    assert 0 < sum(task.done() for task in waiting) <= 200
    late = asyncio.create_task(narrow.enter())
    assert await asyncio.gather(*waiting) == [False] * 1000
    narrow.leave()
    assert await late


async def test_who_leaves_a_crowd_that_is_turned_away_takes_no_place() -> None:
    narrow = gate(queue=1000)
    assert await narrow.enter()
    *_, leaving = waiting = await entering(narrow, 1000)
    narrow.turn_away()
    leaving.cancel()
    assert await asyncio.gather(*waiting[:-1]) == [False] * 999
    with pytest.raises(asyncio.CancelledError):
        await leaving
    [late] = await entering(narrow)
    narrow.leave()
    assert await late
