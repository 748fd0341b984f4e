"""Background calls that wait, without any socket: who is let in when, who gives up in the same turn, and the end."""

import asyncio
from math import inf
from random import Random

import pytest
from multidict import CIMultiDict
from support.clock import FakeClock

from gateway.admission.allowance import Allowance
from gateway.admission.breaker import State
from gateway.admission.snapshot import BreakerPolicy, Rate, ThrottlePolicy, UpstreamPolicy
from gateway.admission.throttle import TokenBucket
from gateway.clock import SystemClock
from gateway.errors import Problem, Reason
from gateway.ports import Clock
from gateway.upstreams.backlog import Backlog
from gateway.upstreams.circuit import Circuit, Pass
from gateway.upstreams.gate import Gate

pytestmark = pytest.mark.slow


class Behind:
    """A backlog and all that it heeds."""

    def __init__(self, clock: Clock | None = None, bucket: TokenBucket | None = None, connections: int = 1) -> None:
        policy = UpstreamPolicy("u", ("http://u",), connections=connections, queue=5, breaker=BreakerPolicy(1, 10.0))
        self.clock = FakeClock()
        reading = clock or self.clock
        self.gate = Gate(policy, bucket, reading)
        self.circuit = Circuit(policy, reading)
        self.allowance = Allowance()
        self.backlog = Backlog(self.gate, self.circuit, self.allowance, reading)

    async def sending(self, count: int = 1) -> list[asyncio.Task[Pass]]:
        """Calls that have come to wait, in order, or have been let in."""
        tasks = [asyncio.create_task(self.backlog.enter(uploads=False)) for _ in range(count)]
        await settled()
        return tasks

    async def looking(self, count: int = 1) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.backlog.room()) for _ in range(count)]
        await settled()
        return tasks

    def hear(self, status: int = 200, **fields: str) -> None:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        self.allowance.hear(status, CIMultiDict(named), self.clock.steady())

    def open(self) -> None:
        """The breaker."""
        self.circuit.failed(self.circuit.admit(), "refused")
        assert self.circuit.state().state is State.open


async def settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.fixture
def behind() -> Behind:
    return Behind()


def let_in(tasks: list[asyncio.Task[Pass]] | list[asyncio.Task[None]]) -> list[bool]:
    return [task.done() for task in tasks]


async def cancelled(*tasks: asyncio.Task[Pass] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(ended, asyncio.CancelledError)


async def test_places_go_to_whoever_waits_longest_behind_all_of_the_foreground(behind: Behind) -> None:
    assert await behind.gate.enter()
    first, second = await behind.sending(2)
    foreground = asyncio.create_task(behind.gate.enter())
    await settled()
    behind.gate.leave()
    assert await foreground
    await settled()
    assert let_in([first, second]) == [False, False]
    behind.gate.leave()
    await first
    assert not second.done()
    behind.gate.leave_background()
    await second


async def test_the_bound_of_the_foregrounds_queue_is_not_the_backgrounds(behind: Behind) -> None:
    assert await behind.gate.enter()
    calls = await behind.sending(1000)
    assert not any(let_in(calls))
    behind.gate.leave()
    for call in calls:
        await call
        behind.gate.leave_background()
    assert behind.gate.background == 0


async def test_looking_takes_nothing_and_comes_after_those_who_send(behind: Behind) -> None:
    [look] = await behind.looking()
    assert look.done()
    assert behind.gate.background == 0
    [first] = await behind.sending()
    looks = await behind.looking(2)
    [second] = await behind.sending()
    assert [*let_in([first, second]), *let_in(looks)] == [True, False, False, False]
    behind.gate.leave_background()
    await settled()
    assert [*let_in([second]), *let_in(looks)] == [True, False, False]
    behind.gate.leave_background()
    await asyncio.gather(*looks)


async def test_of_those_who_look_the_next_sees_what_the_first_has_taken(behind: Behind) -> None:
    async def call() -> None:
        await behind.backlog.room()
        await behind.backlog.enter(uploads=False)

    assert await behind.gate.enter()
    calls = [asyncio.create_task(call()) for _ in range(3)]
    await settled()
    behind.gate.leave()
    await settled()
    assert [task.done() for task in calls] == [True, False, False]
    assert len(behind.backlog._looking) == 2
    await cancelled(*calls[1:])


async def test_who_gives_up_in_the_turn_of_being_let_in_hands_it_on(behind: Behind) -> None:
    assert await behind.gate.enter()
    leaving, staying = await behind.sending(2)
    behind.gate.leave()
    leaving.cancel()
    await staying
    await cancelled(leaving)
    assert behind.gate.background == 1


async def test_who_gives_up_in_the_turn_of_a_place_that_becomes_free_is_passed_over(behind: Behind) -> None:
    assert await behind.gate.enter()
    leaving, staying = await behind.sending(2)
    [look] = await behind.looking()
    leaving.cancel()
    behind.gate.leave()
    await staying
    await cancelled(leaving)
    look.cancel()
    behind.gate.leave_background()
    await cancelled(look)
    assert behind.gate.background == 0


async def test_ten_thousand_give_up_and_leave_nothing_behind(behind: Behind) -> None:
    assert await behind.gate.enter()
    *calls, last = await behind.sending(10_000)
    looks = await behind.looking(1000)
    await cancelled(*calls, *looks)
    assert (len(behind.backlog._sending), len(behind.backlog._looking)) == (1, 0)
    behind.gate.leave()
    await last


async def test_who_gives_up_the_probe_makes_room_for_the_next(behind: Behind) -> None:
    behind.open()
    [leaving, staying] = await behind.sending(2)
    behind.clock.advance(10.0)
    behind.backlog.let_in()
    assert behind.circuit.state().state is State.half_open
    leaving.cancel()
    leave = await staying
    await cancelled(leaving)
    behind.circuit.answered(leave)
    assert behind.circuit.state().state is State.closed


async def test_while_the_breaker_is_open_it_waits_and_one_call_is_the_probe() -> None:
    behind = Behind(connections=10)
    behind.open()
    calls, looks = await behind.sending(3), await behind.looking(2)
    assert not any([*let_in(calls), *let_in(looks)])
    behind.clock.advance(10.0)
    behind.backlog.let_in()
    await settled()
    assert [*let_in(calls), *let_in(looks)] == [True, False, False, False, False]
    assert behind.circuit.state().state is State.half_open
    behind.circuit.answered(calls[0].result())
    behind.gate.leave_background()
    await settled()
    assert all([*let_in(calls), *let_in(looks)])


async def test_room_for_a_probe_is_room(behind: Behind) -> None:
    behind.open()
    [look] = await behind.looking()
    behind.clock.advance(10.0)
    behind.backlog.let_in()
    await look
    assert behind.circuit.state().state is State.open


async def test_who_was_let_in_as_the_breaker_opened_waits_on(behind: Behind) -> None:
    assert await behind.gate.enter()
    foreground = behind.circuit.admit()
    [call] = await behind.sending()
    behind.gate.leave()
    assert behind.gate.background == 1
    behind.circuit.failed(foreground, "refused")
    await settled()
    assert (call.done(), behind.gate.background) == (False, 0)
    behind.clock.advance(10.0)
    behind.backlog.let_in()
    assert (await call).turn > foreground.turn


async def test_the_timer_alone_lets_in_when_the_rate_allows() -> None:
    brisk = TokenBucket(ThrottlePolicy(Rate(50, 1.0), 1))
    behind = Behind(SystemClock(), brisk, connections=10)
    for _ in range(3):
        await behind.backlog.enter(uploads=False)
    await behind.backlog.room()
    assert behind.gate.background == 3


async def test_the_timer_is_set_forward_and_never_back(behind: Behind) -> None:
    behind.hear(429, Retry_After="3000")
    calls = await behind.sending(100)
    first = behind.backlog._alarm.at
    assert first < inf
    behind.backlog.let_in()
    assert behind.backlog._alarm.at == first
    behind.clock.advance(2990.0)
    behind.backlog.let_in()
    assert behind.backlog._alarm.at < first
    await cancelled(*calls)


async def test_what_the_upstream_leaves_is_obeyed_and_an_end_tells_that_there_is_more() -> None:
    behind = Behind(connections=10)
    behind.hear(X_Rate_Limit_Limit="5", X_Rate_Limit_Remaining="3", X_Rate_Limit_Reset="60")
    calls = await behind.sending(4)
    assert let_in(calls) == [True, True, False, False]
    behind.hear(X_Rate_Limit_Limit="5", X_Rate_Limit_Remaining="2", X_Rate_Limit_Reset="60")
    behind.gate.leave_background()
    await settled()
    assert let_in(calls) == [True, True, False, False]
    behind.clock.advance(60.0)
    behind.hear(X_Rate_Limit_Limit="5", X_Rate_Limit_Remaining="5", X_Rate_Limit_Reset="60")
    behind.gate.leave_background()
    await settled()
    assert let_in(calls) == [True] * 4


async def test_at_the_end_all_who_wait_hear_of_it_and_nobody_is_let_in() -> None:
    behind = Behind()
    assert await behind.gate.enter()
    calls, looks = await behind.sending(1000), await behind.looking(1000)
    leaving, looking = calls.pop(), looks.pop()
    leaving.cancel()
    looking.cancel()
    behind.backlog.end()
    await asyncio.sleep(0)
    assert 0 < sum(let_in(calls)) <= 200
    behind.gate.leave()
    for ended in await asyncio.gather(*calls, *looks, return_exceptions=True):
        assert isinstance(ended, Problem)
        assert ended.reason is Reason.upstream_unavailable
    for late in (behind.backlog.room(), behind.backlog.enter(uploads=False)):
        with pytest.raises(Problem, match="upstream_unavailable"):
            await late
    await cancelled(leaving, looking)
    assert await behind.gate.enter()


async def test_the_end_stops_the_timer(behind: Behind) -> None:
    behind.hear(429, Retry_After="3000")
    [call] = await behind.sending()
    assert behind.backlog._alarm.at < inf
    behind.backlog.end()
    assert behind.backlog._alarm.at == inf
    with pytest.raises(Problem, match="upstream_unavailable"):
        await call


async def test_who_has_a_place_at_the_end_keeps_it(behind: Behind) -> None:
    assert await behind.gate.enter()
    [call] = await behind.sending()
    behind.gate.leave()
    behind.backlog.end()
    await call
    behind.gate.leave_background()
    assert behind.gate.pause() == 0.0


class Storm:
    """Foreground and background at the same upstream, and whatever may happen to them, in the order that chance has."""

    def __init__(self, behind: Behind, chance: Random, failing: float) -> None:
        self.behind = behind
        self.chance = chance
        self.failing = failing
        self.tasks: list[asyncio.Task[None]] = []
        self.inside: list[asyncio.Event] = []
        self.most = 0

    async def foreground(self) -> None:
        behind = self.behind
        try:
            leave = behind.circuit.admit()
            if not await behind.gate.enter():
                return
        except Problem:
            return
        await self.stay(leave)
        behind.gate.leave()

    async def background(self) -> None:
        await self.behind.backlog.room()
        leave = await self.behind.backlog.enter(uploads=False)
        self.most = max(self.most, self.behind.gate.background)
        await self.stay(leave)
        self.behind.gate.leave_background()

    async def stay(self, leave: Pass) -> None:
        """Until it is let go, or cancelled: then, too, its place is given back."""
        end = asyncio.Event()
        self.inside.append(end)
        try:
            await end.wait()
            self.behind.circuit.failed(
                leave, "502"
            ) if self.chance.random() < self.failing else self.behind.circuit.answered(leave)
        except asyncio.CancelledError:
            self.behind.circuit.gave_up(leave)
        finally:
            self.inside.remove(end)

    async def step(self) -> None:
        match self.chance.randrange(7):
            case 0:
                self.tasks.append(asyncio.create_task(self.foreground()))
            case 1 | 2:
                self.tasks.append(asyncio.create_task(self.background()))
            case 3 if self.tasks:
                self.chance.choice(self.tasks).cancel()
            case 4 if self.inside:
                self.chance.choice(self.inside).set()
            case 5:
                self.pass_time(self.chance.choice([0.5, 10.0]))
            case _:
                for _ in range(self.chance.randrange(3)):
                    await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        """Only where a breaker opens time matters; else no call may need it to get in."""
        if self.failing:
            self.behind.clock.advance(seconds)
            self.behind.backlog.let_in()

    async def calm(self) -> None:
        """Everybody who waits gets in and out."""
        async with asyncio.timeout(20):
            while not all(task.done() for task in self.tasks):
                self.pass_time(10.0)
                for end in self.inside:
                    end.set()
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("failing", [0.0, 0.2], ids=["well", "failing"])
@pytest.mark.parametrize("seed", range(10))
async def test_in_whatever_order_no_place_is_lost_and_nobody_is_forgotten(seed: int, failing: float) -> None:
    behind = Behind(connections=4)
    storm = Storm(behind, Random(seed), failing)
    for _ in range(600):
        await storm.step()
        assert behind.gate.background <= 2
    await storm.calm()
    assert (behind.gate._free, behind.gate.background, storm.most) == (4, 0, 2)
    assert (len(behind.backlog._sending), len(behind.backlog._looking)) == (0, 0)
