"""Background calls over raw sockets: behind the foreground, within the upstream's own limits, until it is retired."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
from multidict import CIMultiDict
from support.clock import FakeClock
from support.scripts import End, Gate, answer, head
from support.upstream import ScriptedUpstream
from upstreams.clients import Client, client, whole

from gateway.admission.breaker import State
from gateway.admission.snapshot import BreakerPolicy, Rate
from gateway.errors import Problem, Reason
from gateway.messages import Outgoing

pytestmark = pytest.mark.slow


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def call(to: Client, target: str = "/background", method: str = "GET", body: bytes | None = None) -> bytes:
    return await whole(await to.upstream.send(Outgoing(method, target, CIMultiDict(), body, background=True)))


async def settled() -> None:
    """Whatever can go on without an answer has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def waiting(to: Client, count: int = 1) -> list[asyncio.Task[bytes]]:
    calls = [asyncio.create_task(call(to)) for _ in range(count)]
    await settled()
    return calls


async def problem_of(task: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await task
    return caught.value


async def test_it_is_sent_and_counted_as_any_other(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url) as to:
        await to.upstream.room()
        await call(to, "/a", "POST", b"content")
        assert to.counts.exchanges == {"200": 1}
        [received] = upstream.calls("/a")
        assert (received.method, received.body) == ("POST", b"content")


async def test_one_that_is_never_let_in_was_not_sent_and_says_so(upstream: ScriptedUpstream) -> None:
    """It looked as if the upstream had not answered, and counted as an attempt."""
    gate = Gate()
    upstream.script("/busy", gate, answer("busy"))
    async with client(upstream.url, connections=1, total_timeout=0.5, breaker=BreakerPolicy(1, 10.0)) as to:
        busy = asyncio.create_task(to.get("/busy"))
        await upstream.arrived("/busy", 1)
        problem = await problem_of(call(to))
        assert (problem.reason, problem.retry_after) == (Reason.upstream_queue_full, 0.0)
        gate.open()
        await busy
        assert (to.counts.exchanges, to.upstream.state().state) == ({"200": 1}, State.closed)
        await call(to)


async def test_one_whose_head_does_not_come_is_given_up_when_its_time_is_over(upstream: ScriptedUpstream) -> None:
    upstream.script("/background", End.hang)
    async with client(upstream.url, total_timeout=0.05, breaker=BreakerPolicy(1, 10.0)) as to:
        assert (await problem_of(call(to))).reason is Reason.upstream_read_timeout
        assert (to.counts.exchanges, to.upstream.state().state) == ({"read_timeout": 1}, State.open)


async def test_ten_thousand_wait_while_the_foreground_is_busy_and_keep_nobody_waiting(
    upstream: ScriptedUpstream,
) -> None:
    gate = Gate()
    upstream.script("/busy", gate, answer("busy"))
    async with client(upstream.url, connections=4, queue=100) as to:
        busy = [asyncio.create_task(to.get("/busy")) for _ in range(4)]
        await upstream.arrived("/busy", 4)
        calls = await waiting(to, 10_000)
        queued = [asyncio.create_task(to.get("/queued")) for _ in range(50)]
        await settled()
        gate.open()
        await asyncio.gather(*busy, *queued)
        order = [request.path for request in upstream.requests]
        assert "/background" not in order[: order.index("/queued")]
        # Those that are sent last take the places of the last ones in the foreground.
        assert order[: 4 + 50].count("/background") <= 2
        for task in calls[100:]:
            task.cancel()
        assert len(await asyncio.gather(*calls[:100])) == 100
        assert upstream.peak["/background"] <= 2


async def test_half_of_the_connections_are_the_foregrounds_alone(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/background", gate, answer("late"))
    async with client(upstream.url, connections=4) as to:
        calls = await waiting(to, 10)
        await upstream.arrived("/background", 2)
        looking = asyncio.create_task(to.upstream.room())
        assert await asyncio.gather(*[to.get("/now") for _ in range(20)])
        assert len(upstream.calls("/background")) == 2
        assert not looking.done()
        gate.open()
        await asyncio.gather(*calls)
        await looking


async def test_a_content_that_is_not_there_yet_keeps_its_place(upstream: ScriptedUpstream) -> None:
    upstream.script("/background", head(200, "Content-Length: 7"), b"con", Gate())
    async with client(upstream.url, connections=1) as to:
        stream = await to.upstream.send(Outgoing("GET", "/background", CIMultiDict(), background=True))
        looking = asyncio.create_task(to.upstream.room())
        await settled()
        assert not looking.done()
        await stream.close()
        await stream.close()
        await looking
        assert await to.get("/now")


@pytest.mark.parametrize("script", [(End.close,), (b"SMTP\r\n\r\n",)], ids=["closed", "no HTTP"])
async def test_what_fails_gives_its_place_back(upstream: ScriptedUpstream, script: tuple[bytes | End, ...]) -> None:
    upstream.script("/background", *script)
    async with client(upstream.url, connections=1) as to:
        for _ in range(3):
            with pytest.raises(Problem):
                await call(to)
        await to.upstream.room()
        assert await to.get("/now")


async def test_who_is_cancelled_at_any_moment_gives_its_place_back(upstream: ScriptedUpstream) -> None:
    hold = Gate()
    upstream.script("/background", hold, answer("late"))
    async with client(upstream.url, connections=1) as to:
        for turns in range(40):
            task = asyncio.create_task(call(to))
            looking = asyncio.create_task(to.upstream.room())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            looking.cancel()
            await asyncio.gather(task, looking, return_exceptions=True)
        await upstream.arrived("/background")
        await to.upstream.room()
        assert await to.get("/now")


REFUSED = [
    pytest.param(429, {"Retry_After": "30"}, 30.0, id="429"),
    pytest.param(503, {"Retry_After": "30"}, 30.0, id="503"),
    pytest.param(
        200, {"X_Rate_Limit_Limit": "40", "X_Rate_Limit_Remaining": "8", "X_Rate_Limit_Reset": "30"}, 30.0, id="X"
    ),
    pytest.param(200, {"RateLimit": '"a";r=0;t=30', "RateLimit_Policy": '"a";q=9'}, 30.0, id="the draft"),
    pytest.param(404, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1768478430"}, 30.0, id="epoch"),
]


@pytest.mark.parametrize("background", [False, True], ids=["heard in the foreground", "heard in the background"])
@pytest.mark.parametrize(("status", "fields", "pause"), REFUSED)
async def test_the_upstreams_own_limit_stops_the_background_alone(
    upstream: ScriptedUpstream, clock: FakeClock, status: int, fields: dict[str, str], pause: float, background: bool
) -> None:
    upstream.then("/a", answer("", status, **fields))
    async with client(upstream.url, clock=clock) as to:
        await (call(to, "/a") if background else to.get("/a"))
        calls, looking = await waiting(to, 3), asyncio.create_task(to.upstream.room())
        clock.advance(pause - 0.5)
        assert await to.get("/now")
        await settled()
        assert not any(task.done() for task in (*calls, looking))
        assert upstream.calls("/background") == []
        clock.advance(0.5)
        assert await to.get("/now")
        await asyncio.gather(*calls, looking)


async def test_the_background_never_takes_what_is_kept_of_the_upstreams_limit(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    left = 40

    def counting(_: object) -> bytes:
        nonlocal left
        left -= 1
        fields = {"X_Rate_Limit_Limit": "40", "X_Rate_Limit_Remaining": str(left), "X_Rate_Limit_Reset": "30"}
        return answer("ok", 200 if left >= 0 else 429, **fields)

    upstream.script("/background", counting)
    upstream.script("/now", counting)
    async with client(upstream.url, clock=clock, connections=10) as to:
        await to.get("/now")
        calls = await waiting(to, 60)
        await asyncio.to_thread(upstream.wait, lambda: left == 8)
        for _ in range(8):
            assert await to.get("/now") == b"ok"
        assert left == 0
        assert len(upstream.calls("/background")) == 31
        left = 40
        clock.advance(30.0)
        await to.get("/now")
        await asyncio.gather(*calls)
        assert left == 40 - 1 - 29


async def test_the_foreground_has_the_last_part_of_the_rate(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    async with client(upstream.url, clock=clock, rate=Rate(10, 3600.0), wait=0.0) as to:
        calls = await waiting(to, 20)
        await asyncio.gather(*calls[:8])
        for _ in range(2):
            await to.get("/now")
        with pytest.raises(Problem, match="upstream_queue_full"):
            await to.get("/now")
        assert len(upstream.calls("/background")) == 8
        for task in calls:
            task.cancel()


async def test_while_the_breaker_is_open_it_waits_for_the_probe_and_may_be_it(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    gate = Gate()
    upstream.then("/down", answer("", 502))
    upstream.then("/background", gate, answer("", 502))
    async with client(upstream.url, clock=clock, breaker=BreakerPolicy(1, 0.2)) as to:
        await to.get("/down")
        assert to.upstream.state().state is State.open
        calls = await waiting(to, 5)
        assert upstream.calls("/background") == []
        clock.advance(0.2)
        # No exchange tells of it: the timer does.
        await upstream.arrived("/background")
        assert to.upstream.state().state is State.half_open
        with pytest.raises(Problem, match="upstream_circuit_open"):
            await to.get("/now")
        gate.open()
        assert await calls[0] == b""
        assert to.upstream.state().state is State.open
        clock.advance(0.2)
        await asyncio.gather(*calls)
        assert to.upstream.state().state is State.closed


async def test_the_breaker_that_opens_turns_the_foreground_away_and_not_the_background(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    gate = Gate()
    upstream.then("/down", gate, answer("", 502))
    async with client(upstream.url, clock=clock, connections=1, wait=60.0, breaker=BreakerPolicy(1, 0.2)) as to:
        down = asyncio.create_task(to.get("/down"))
        await upstream.arrived("/down")
        foreground, calls = asyncio.create_task(to.get("/now")), await waiting(to, 3)
        gate.open()
        await down
        assert (await problem_of(foreground)).reason is Reason.upstream_circuit_open
        assert not any(task.done() for task in calls)
        clock.advance(0.2)
        assert len(await asyncio.gather(*calls)) == 3


async def test_one_that_is_retired_lets_nobody_wait_and_ends_what_is_under_way(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/background", gate, answer("late"))
    async with client(upstream.url, connections=1) as to:
        under_way, *calls = await waiting(to, 1000)
        looking = [asyncio.create_task(to.upstream.room()) for _ in range(1000)]
        await upstream.arrived("/background")
        retiring = asyncio.create_task(to.upstream.retire())
        for task in (*calls, *looking):
            problem = await problem_of(task)
            assert (problem.reason, problem.retry_after) == (Reason.upstream_unavailable, 0.0)
        assert not retiring.done()
        gate.open()
        assert await under_way == b"late"
        await retiring
        with pytest.raises(Problem, match="upstream_unavailable"):
            await to.upstream.room()
        with pytest.raises(Problem, match="upstream_unavailable"):
            await call(to)
        assert await to.get("/a-request-that-began-before")
        assert len(upstream.calls("/background")) == 1


async def test_one_at_rest_retires_at_once_though_some_look_for_room(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    upstream.script("/a", answer("", 429, Retry_After="3000"))
    async with client(upstream.url, clock=clock) as to:
        await to.get("/a")
        looking, [sending] = asyncio.create_task(to.upstream.room()), await waiting(to)
        await to.upstream.retire()
        assert (await problem_of(looking)).reason is Reason.upstream_unavailable
        assert (await problem_of(sending)).reason is Reason.upstream_unavailable


async def test_one_that_is_closed_lets_nobody_wait(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    upstream.script("/a", answer("", 429, Retry_After="3000"))
    async with client(upstream.url, clock=clock) as to:
        await to.get("/a")
        looking = asyncio.create_task(to.upstream.room())
        await settled()
    assert (await problem_of(looking)).reason is Reason.upstream_unavailable


async def test_content_that_breaks_gives_its_place_back(upstream: ScriptedUpstream) -> None:
    upstream.script("/background", head(200, "Content-Length: 10"), b"short", End.close)
    async with client(upstream.url, connections=1) as to:
        with pytest.raises(Problem, match="upstream_truncated"):
            await call(to)
        await to.upstream.room()


async def test_content_that_its_sender_breaks_off_gives_its_place_back(upstream: ScriptedUpstream) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        await upstream.arrived("/a")
        raise Problem(Reason.request_timeout)

    async with client(upstream.url, connections=1) as to:
        with pytest.raises(Problem, match="request_timeout"):
            await to.upstream.send(Outgoing("POST", "/a", CIMultiDict(), broken(), background=True))
        await to.upstream.room()
