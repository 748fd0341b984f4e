"""An upstream's breaker against raw sockets: what counts, what is refused at once, who probes, and what it says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from multidict import CIMultiDict
from support.addresses import HOST, free_port, unanswering
from support.clock import FakeClock
from support.scripts import End, Gate, Script, answer, head
from support.upstream import ScriptedUpstream
from upstreams.clients import Client, client, whole

from gateway.admission.breaker import State
from gateway.admission.snapshot import BreakerPolicy
from gateway.errors import Problem, Reason
from gateway.messages import Outgoing

TWICE = BreakerPolicy(2, 10.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def refused(to: Client, target: str = "/a", method: str = "GET") -> Problem:
    with pytest.raises(Problem) as caught:
        await whole(await to.send(target, method))
    return caught.value


async def reason(to: Client) -> Reason | None:
    """Why there was no answer, None where there was one."""
    try:
        await to.get("/a")
    except Problem as problem:
        return problem.reason
    return None


def state(to: Client) -> State:
    return to.upstream.state().state


@asynccontextmanager
async def opened(upstream: ScriptedUpstream, clock: FakeClock, **policy: object) -> AsyncIterator[Client]:
    """A client whose breaker two requests have just opened."""
    upstream.script("/broken", b"SMTP\r\n\r\n", End.close)
    async with client(upstream.url, clock=clock, breaker=TWICE, **policy) as to:
        for _ in range(2):
            await refused(to, "/broken")
        assert state(to) is State.open
        yield to


COUNTED: dict[str, Script] = {
    "no answer in time": (End.hang,),
    "closed at once": (End.close,),
    "cut within the head": (b"HTTP/1.1 200 OK\r\nContent-", End.close),
    "no HTTP": (b"SMTP\r\n\r\n", End.close),
    "two framings": (head(200, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",),
    "502": (answer("", 502),),
    "503": (answer("", 503),),
    "504": (answer("", 504),),
}


@pytest.mark.parametrize("script", COUNTED.values(), ids=COUNTED.keys())
async def test_failures_in_a_row_open_it(upstream: ScriptedUpstream, clock: FakeClock, script: Script) -> None:
    upstream.script("/a", *script)
    async with client(upstream.url, clock=clock, breaker=TWICE, first_byte_timeout=0.1) as to:
        for seen in (State.closed, State.open):
            assert await reason(to) is not Reason.upstream_circuit_open
            assert state(to) is seen
        calls, exchanges = len(upstream.calls("/a")), to.counts.exchanges.total()
        problem = await refused(to)
        assert (problem.reason, problem.retry_after) == (Reason.upstream_circuit_open, 10.0)
        assert (len(upstream.calls("/a")), to.counts.exchanges.total()) == (calls, exchanges)


async def test_a_refused_connection_counts(clock: FakeClock) -> None:
    async with client(f"http://{HOST}:{free_port()}", clock=clock, breaker=TWICE) as to:
        assert [(await refused(to)).reason for _ in range(3)] == [
            Reason.upstream_refused,
            Reason.upstream_refused,
            Reason.upstream_circuit_open,
        ]


async def test_a_name_that_does_not_resolve_counts(clock: FakeClock) -> None:
    async with client("http://no-such-host.invalid", clock=clock, breaker=BreakerPolicy(1, 10.0)) as to:
        assert (await refused(to)).reason is Reason.upstream_dns
        assert state(to) is State.open


async def test_a_connection_that_is_not_accepted_in_time_counts(clock: FakeClock) -> None:
    with unanswering() as port:
        url = f"http://{HOST}:{port}"
        async with client(url, clock=clock, breaker=BreakerPolicy(1, 10.0), connect_timeout=0.1) as to:
            assert (await refused(to)).reason is Reason.upstream_connect_timeout
            assert state(to) is State.open


async def test_an_exchange_that_the_total_timeout_gives_up_counts(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    upstream.script("/a", End.hang)
    async with client(upstream.url, clock=clock, breaker=BreakerPolicy(1, 10.0)) as to:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await to.send("/a")
        assert state(to) is State.open


@pytest.mark.parametrize("status", [200, 404, 401, 429, 500, 501, 505])
async def test_any_other_status_is_an_answer(upstream: ScriptedUpstream, clock: FakeClock, status: int) -> None:
    upstream.script("/broken", End.close)
    upstream.script("/a", answer("", status))
    async with client(upstream.url, clock=clock, breaker=TWICE) as to:
        for _ in range(3):
            await refused(to, "/broken")
            await to.get("/a")
        assert to.upstream.state().failures == 0


async def test_what_the_client_breaks_off_counts_neither_way(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"half"
        raise Problem(Reason.request_timeout)

    upstream.script("/broken", End.close)
    async with client(upstream.url, clock=clock, breaker=TWICE) as to:
        await refused(to, "/broken")
        with pytest.raises(Problem, match="request_timeout"):
            await to.upstream.send(Outgoing("POST", "/a", CIMultiDict(), stalled()))
        assert (state(to), to.upstream.state().failures) == (State.closed, 1)


async def test_kept_connections_that_all_died_and_were_repeated_count_for_nothing(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    gate = Gate()
    upstream.script("/held", gate, answer("held"))
    async with client(upstream.url, clock=clock, breaker=TWICE) as to:
        held = [asyncio.create_task(to.get("/held")) for _ in range(4)]
        await upstream.arrived("/held", 4)
        gate.open()
        await asyncio.gather(*held)
        # All four are there before the first dies: a repetition must not be what the next one's end is for.
        dying = Gate()
        for _ in range(4):
            upstream.then("/a", dying, End.close)
        asking = [asyncio.create_task(to.get("/a")) for _ in range(4)]
        await upstream.arrived("/a", 4)
        dying.open()
        await asyncio.gather(*asking)
        assert (state(to), to.counts.retries) == (State.closed, 4)


async def test_the_next_request_after_the_pause_probes_and_closes(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    async with opened(upstream, clock) as to:
        clock.advance(9.0)
        assert (await refused(to)).retry_after == 1.0
        clock.advance(1.0)
        await to.get("/a")
        assert (state(to), len(upstream.calls("/a"))) == (State.closed, 1)


async def test_a_probe_that_fails_opens_it_for_the_same_time(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    async with opened(upstream, clock) as to:
        clock.advance(10.0)
        assert (await refused(to, "/broken")).reason is Reason.upstream_invalid
        problem = await refused(to)
        assert (problem.reason, problem.retry_after) == (Reason.upstream_circuit_open, 10.0)


async def test_a_thousand_at_once_make_one_probe(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    gate = Gate()
    upstream.script("/a", gate, answer("well"))
    async with opened(upstream, clock, connections=10) as to:
        clock.advance(10.0)
        asking = [asyncio.create_task(to.get("/a")) for _ in range(1000)]
        await upstream.arrived("/a")
        ended, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_EXCEPTION)
        while len(waiting) > 1:
            ended, waiting = await asyncio.wait(asking, timeout=0)
            await asyncio.sleep(0)
        reasons = {error.reason for task in ended if isinstance(error := task.exception(), Problem)}
        assert (len(ended), reasons) == (999, {Reason.upstream_circuit_open})
        gate.open()
        assert await waiting.pop() == b"well"
        assert (state(to), len(upstream.calls("/a"))) == (State.closed, 1)


async def test_a_probe_that_is_given_up_is_a_failure_and_not_for_ever(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    upstream.script("/hang", End.hang)
    async with opened(upstream, clock) as to:
        clock.advance(10.0)
        probe = asyncio.create_task(to.get("/hang"))
        await upstream.arrived("/hang")
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        assert (await refused(to)).retry_after == 10.0
        clock.advance(10.0)
        await to.get("/a")
        assert state(to) is State.closed


async def test_a_probe_that_leaves_the_queue_makes_room_for_the_next(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    upstream.script("/down", head(503, "Content-Length: 4"), b"do", Gate())
    async with client(upstream.url, clock=clock, breaker=TWICE, connections=2) as to:
        unread = [await to.send("/down") for _ in range(2)]
        clock.advance(10.0)
        probe = asyncio.create_task(to.get("/a"))
        await asyncio.sleep(0)
        assert state(to) is State.half_open
        assert (await refused(to)).reason is Reason.upstream_circuit_open
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        for stream in unread:
            await stream.close()
        await to.get("/a")
        assert state(to) is State.closed


async def test_who_waits_at_the_gate_when_it_opens_is_refused_too(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    gate = Gate()
    upstream.script("/broken", gate, b"SMTP\r\n\r\n", End.close)
    once = BreakerPolicy(1, 10.0)
    async with client(upstream.url, clock=clock, breaker=once, connections=1, wait=60.0) as to:
        failing = asyncio.create_task(refused(to, "/broken"))
        await upstream.arrived("/broken")
        waiting = [asyncio.create_task(refused(to)) for _ in range(500)]
        await asyncio.sleep(0)
        gate.open()
        assert (await failing).reason is Reason.upstream_invalid
        problems = await asyncio.gather(*waiting)
        assert {(problem.reason, problem.retry_after) for problem in problems} == {(Reason.upstream_circuit_open, 10.0)}
        assert upstream.calls("/a") == []
        clock.advance(10.0)
        await to.get("/a")
        assert state(to) is State.closed


async def test_who_waits_need_not_wait_for_a_place_to_be_refused(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    gate = Gate()
    upstream.script("/down", gate, answer("down", 503))
    once = BreakerPolicy(1, 10.0)
    async with client(upstream.url, clock=clock, breaker=once, connections=1, wait=60.0) as to:
        down = asyncio.create_task(to.send("/down"))
        await upstream.arrived("/down")
        waiting = [asyncio.create_task(refused(to)) for _ in range(3)]
        await asyncio.sleep(0)
        gate.open()
        unread = await down
        problems = await asyncio.gather(*waiting)
        assert [problem.reason for problem in problems] == [Reason.upstream_circuit_open] * 3
        await unread.close()


async def test_late_answers_to_what_was_sent_before_do_not_close_it(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    gate = Gate()
    upstream.script("/slow", gate, answer("late"))
    async with client(upstream.url, clock=clock, breaker=TWICE) as to:
        slow = asyncio.create_task(to.get("/slow"))
        await upstream.arrived("/slow")
        upstream.script("/broken", End.close)
        for _ in range(2):
            await refused(to, "/broken")
        gate.open()
        assert await slow == b"late"
        assert state(to) is State.open


@pytest.mark.parametrize(
    ("status", "wish", "pause"), [(503, "60", 60.0), (503, "1", 10.0), (503, "86400", 300.0), (502, "60", 10.0)]
)
async def test_a_503s_retry_after_may_lengthen_the_pause(
    upstream: ScriptedUpstream, clock: FakeClock, status: int, wish: str, pause: float
) -> None:
    upstream.script("/a", answer("", status, Retry_After=wish))
    async with client(upstream.url, clock=clock, breaker=TWICE) as to:
        for _ in range(2):
            await to.get("/a")
        assert (await refused(to)).retry_after == pause


async def test_each_url_has_a_breaker_and_an_open_one_is_passed_over(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    async with client(f"http://{HOST}:{free_port()}", upstream.url, clock=clock, breaker=TWICE) as to:
        for _ in range(5):
            await to.get("/a")
        assert to.counts.retries == 2
        told = to.upstream.state()
        assert (told.state, told.usable, told.urls, told.up, told.wait) == (State.closed, 1, 2, True, 0.0)
        clock.advance(10.0)
        await to.get("/a")
        assert to.counts.retries == 3, "it was probed, and the next one answered"
        upstream.refuse()
        for _ in range(2):
            await refused(to)
        clock.advance(4.0)
        problem = await refused(to)
        assert (problem.reason, problem.retry_after) == (Reason.upstream_circuit_open, 6.0)
        assert to.upstream.state().usable == 0


async def test_a_probe_of_one_url_holds_nobody_off_the_other(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    gate = Gate()
    with ScriptedUpstream() as first:
        first.script("/broken", b"SMTP\r\n\r\n", End.close)
        first.script("/a", gate, answer("first"))
        upstream.script("/a", answer("second"))
        async with client(first.url, upstream.url, clock=clock, breaker=TWICE) as to:
            for _ in range(2):
                await refused(to, "/broken")
            assert await to.get("/a") == b"second"
            clock.advance(10.0)
            probe = asyncio.create_task(to.get("/a"))
            await first.arrived("/a")
            assert await to.get("/a") == b"second"
            gate.open()
            assert await probe == b"first"
            assert to.upstream.state().usable == 2


async def test_without_a_breaker_nothing_is_refused_and_it_is_told(
    upstream: ScriptedUpstream, clock: FakeClock
) -> None:
    upstream.script("/broken", End.close)
    async with client(upstream.url, clock=clock) as to:
        for _ in range(6):
            assert (await refused(to, "/broken")).reason is Reason.upstream_truncated
        told = to.upstream.state()
        assert (told.state, told.up, told.failures) == (State.failing, False, 6)
        await to.get("/a")
        assert to.upstream.state().up


async def test_each_change_of_state_is_one_line(upstream: ScriptedUpstream, clock: FakeClock) -> None:
    with structlog.testing.capture_logs() as lines:
        async with opened(upstream, clock) as to:
            for _ in range(3):
                await refused(to)
            clock.advance(10.0)
            await to.get("/a")
    assert [(line["event"], line["log_level"], line["last"], line["wait"]) for line in lines] == [
        ("upstream open", "warning", "invalid", 10.0),
        ("upstream half-open", "info", None, 0.0),
        ("upstream closed", "info", None, 0.0),
    ]
    assert {(line["upstream"], line["url"]) for line in lines} == {("u", 1)}
