"""The gate alone: places handed on, given up in the same turn of the loop, and everybody turned away."""

import asyncio
from math import inf

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


@pytest.mark.parametrize(
    ("connections", "background", "foreground"),
    [
        pytest.param(1, 1, 0, id="the only place"),
        pytest.param(2, 1, 0, id="of two one stays free"),
        pytest.param(3, 1, 1, id="of three one, and one stays free"),
        pytest.param(10, 5, 4, id="half"),
        pytest.param(100, 50, 40, id="half of many, and one in ten stays free"),
    ],
)
async def test_the_background_has_half_of_the_places_and_none_of_the_last(
    connections: int, background: int, foreground: int
) -> None:
    shared = gate(connections)
    for _ in range(background):
        assert shared.pause() == 0.0
        shared.take()
    assert shared.pause() == inf
    shared.leave_background()
    for _ in range(foreground):
        assert shared.pause() == 0.0
        assert await shared.enter()
    assert (shared.pause(), shared.background) == (0.0, background - 1)
    assert await shared.enter()
    assert shared.pause() == inf


async def test_the_background_comes_after_all_who_wait_for_a_place_or_the_rate() -> None:
    paced = gate(connections=10, wait=7200.0, bucket=TokenBucket(ThrottlePolicy(Rate(1, 3600.0), 1)))
    assert paced.pause() == 0.0
    assert await paced.enter()
    assert 0.0 < paced.pause() <= 3600.0
    [waiting] = await entering(paced)
    assert paced.pause() == inf
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert 0.0 < paced.pause() <= 3600.0


async def test_the_background_leaves_a_part_of_the_rate() -> None:
    clock = FakeClock()
    policy = UpstreamPolicy("u", ("http://u",), connections=100)
    paced = Gate(policy, TokenBucket(ThrottlePolicy(Rate(10, 20.0), 10)), clock)
    for _ in range(8):
        assert paced.pause() == 0.0
        paced.take()
    assert paced.pause() == 2.0
    clock.advance(2.0)
    assert paced.pause() == 0.0
    paced.take()
    assert [await paced.enter(), await paced.enter()] == [True, True]
    assert paced.pause() == 6.0
    clock.advance(6.0)
    assert paced.pause() == 0.0


async def test_what_was_not_sent_gives_back_its_part_of_the_rate_too() -> None:
    paced = gate(bucket=TokenBucket(SLOW))
    paced.take()
    paced.leave_unused()
    assert (paced.pause(), paced.background) == (0.0, 0)


async def test_it_is_told_whenever_there_may_be_room_and_never_while_somebody_waits() -> None:
    narrow, told = gate(), list[float]()
    narrow.freed = lambda: told.append(narrow.pause())
    assert await narrow.enter()
    [waiting] = await entering(narrow)
    narrow.leave()
    assert await waiting
    assert told == []
    narrow.leave()
    narrow.take()
    narrow.leave_background()
    assert told == [0.0, 0.0]


async def test_it_is_told_when_somebody_stops_waiting_for_the_rate() -> None:
    paced, told = gate(3, wait=7200.0, bucket=TokenBucket(SLOW)), list[float]()
    paced.freed = lambda: told.append(paced.pause())
    assert await paced.enter()
    [waiting] = await entering(paced)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(told) == 1
    assert told[0] < inf
