"""Single refreshes in the durable register: written down first, followed to their end, and none that is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from pathlib import Path

import pytest
from admission.snapshots import KEY, make_request, make_snapshot, seed_route
from support.clock import FakeClock
from support.registers import out_of_reach, register_in

from gateway.admission.jobs import Job, Sending, State
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import KeySource
from gateway.errors import Problem, Reason
from gateway.jobs.register import JobRegister
from gateway.messages import Answer
from gateway.meter import HOUSE
from gateway.operation import Operation
from gateway.rfc9111.reuse import Fwd
from gateway.singles import MOST_HELD, Singles, failure

ITEM = "/v1/products/7?force_refresh"
PREPARER = Preparer(make_snapshot(seed_route()))


@pytest.fixture
async def register(tmp_path: Path) -> AsyncIterator[JobRegister]:
    async with register_in(tmp_path) as register:
        yield register


@pytest.fixture
async def singles(register: JobRegister) -> AsyncIterator[Singles]:
    singles = Singles(register, lambda: PREPARER, FakeClock())
    yield singles
    await singles.finish()


def on_disk(folder: Path) -> bytes:
    return b"".join([path.read_bytes() for path in folder.iterdir()])


def prepared(target: str = ITEM) -> Prepared:
    return PREPARER.prepare(make_request(target))


def operation(**found: object) -> Operation:
    op = Operation(make_request(ITEM), "r-1", 0.0, prepared(), "product", fwd=Fwd.request)
    for name, value in found.items():
        setattr(op, name, value)
    return op


async def answered(answer: Answer | None = None) -> Answer:
    return answer or Answer(200, "", b"")


async def ended(singles: Singles, register: JobRegister, op: Operation, answering: Awaitable[Answer]) -> Job:
    """What a client's refresh has come to."""
    job = await held(singles)
    singles.follow(job, op, answering)
    await singles.finish()
    found = await register.find(job.id)
    assert found is not None
    return found


async def held(singles: Singles, target: str = ITEM) -> Job:
    job = await singles.hold(prepared(target))
    assert job is not None
    return job


async def test_what_is_held_is_written_down(singles: Singles, register: JobRegister) -> None:
    job = await held(singles)
    assert await register.find(job.id, "ci") == job
    assert (job.state, job.name, job.account, job.url, job.host) == (State.running, "product", "ci", ITEM, "gw.example")
    ((left, sending),) = await register.unfinished()
    assert (left, sending) == (job, Sending("GET", ITEM, (("Host", "gw.example"),)))


async def test_no_key_is_written_down(register: JobRegister, tmp_path: Path) -> None:
    preparer = Preparer(make_snapshot(seed_route(), accept=(KeySource("query", "key"),)))
    singles = Singles(register, lambda: preparer, FakeClock())
    job = await singles.hold(preparer.prepare(make_request(f"{ITEM}&key={KEY}", key=None)))
    assert job is not None
    assert job.url == f"{ITEM}&key=..."
    assert KEY.encode() not in on_disk(tmp_path)


async def test_the_house_is_no_account(singles: Singles) -> None:
    assert (await singles.begin(replace(prepared(), account=HOUSE))).account is None
    assert (await singles.begin(replace(prepared(), account=None))).account is None


ENDS: dict[str, tuple[Operation, State, str | None]] = {
    "fresh data": (operation(fwd_status=200, stored=True, tokens=4), State.done, None),
    "not there": (operation(fwd_status=404, tokens=4), State.done, None),
    "no news": (operation(fwd_status=422, tokens=1), State.failed, "undelivered"),
    "refused": (operation(fwd_status=500, refusal="upstream_error"), State.failed, "upstream_error"),
    "a stale one instead": (operation(fwd_status=500, stale=True, ttl=-5, tokens=1), State.failed, "undelivered"),
    "a stale one, as nobody answers": (operation(stale=True, ttl=-5, tokens=1), State.failed, "undelivered"),
    "that of a moment ago": (operation(fwd=None, ttl=60, detail="cooldown", tokens=1), State.done, None),
}


@pytest.mark.parametrize(("op", "state", "reason"), ENDS.values(), ids=ENDS)
async def test_what_comes_of_it(
    singles: Singles, register: JobRegister, op: Operation, state: State, reason: str | None
) -> None:
    job = await ended(singles, register, op, answered())
    assert (job.state, job.reason, job.status, job.tokens) == (state, reason, op.fwd_status, op.tokens)
    assert job.ended == FakeClock().wall()
    assert failure(op) == reason
    assert await register.unfinished() == ()


CACHE_STATUS = {
    "fetched": (operation(fwd_status=200, stored=True), "gateway; fwd=request; fwd-status=200; stored"),
    "stored": (operation(fwd=None, ttl=60, detail="cooldown"), "gateway; hit; ttl=60; detail=cooldown"),
    "no answer": (operation(refusal="upstream_refused"), None),
}


@pytest.mark.parametrize(("op", "told"), CACHE_STATUS.values(), ids=CACHE_STATUS)
async def test_what_cache_status_would_say(
    singles: Singles, register: JobRegister, op: Operation, told: str | None
) -> None:
    assert (await ended(singles, register, op, answered())).cache_status == told


async def test_content_that_streams_is_given_up(singles: Singles, register: JobRegister) -> None:
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    job = await ended(singles, register, operation(fwd_status=200), answered(Answer(200, "", b"", close=close)))
    assert (job.state, closed.is_set()) == (State.done, True)


async def test_a_bug_of_ours_is_told_as_such(singles: Singles, register: JobRegister) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))

    async def broken() -> Answer:
        raise ZeroDivisionError

    job = await ended(singles, register, operation(), broken())
    assert (job.state, job.reason) == (State.failed, "internal_error")


async def test_a_cancelled_one_stays_cancelled(singles: Singles, register: JobRegister) -> None:
    job = await held(singles)
    assert await register.cancel(job.id, FakeClock().wall()) is State.running
    singles.follow(job, operation(fwd_status=200), answered())
    await singles.finish()
    found = await register.find(job.id)
    assert found is not None
    assert found.state is State.cancelled


async def test_who_cannot_be_written_down_has_to_wait(singles: Singles, register: JobRegister) -> None:
    with out_of_reach(register):
        assert await singles.hold(prepared()) is None
        with pytest.raises(Problem) as refused:
            await singles.begin(prepared())
    assert refused.value.reason is Reason.jobs_unavailable
    assert await singles.hold(prepared()) is not None


async def test_only_so_many_are_held(singles: Singles, register: JobRegister, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.singles.MOST_HELD", 3)
    gate = asyncio.Event()

    async def later() -> Answer:
        await gate.wait()
        return Answer(200, "", b"")

    jobs = await asyncio.gather(*[singles.hold(prepared()) for _ in range(10)])
    found = [job for job in jobs if job is not None]
    assert len(found) == 3
    for job in found:
        singles.follow(job, operation(fwd_status=200), later())
    assert await singles.hold(prepared()) is None
    gate.set()
    await singles.finish()
    assert await register.unfinished() == ()
    assert MOST_HELD == 1000


async def test_once_the_gateway_stops_none_is_held(singles: Singles) -> None:
    await singles.finish()
    assert await singles.hold(prepared()) is None


async def test_an_end_is_written_down_once_that_can_be(
    singles: Singles, register: JobRegister, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, written, end = 0, asyncio.Event(), register.end

    async def third(job: Job, now: float) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Problem(Reason.jobs_unavailable)
        await end(job, now)
        written.set()

    monkeypatch.setattr("gateway.singles._RETRY", 0.0)
    monkeypatch.setattr(register, "end", third)
    singles.follow(await held(singles), operation(fwd_status=200), answered())
    async with asyncio.timeout(20):
        await written.wait()
    assert await register.unfinished() == ()


async def test_what_cannot_be_written_down_is_left_to_the_next_start(singles: Singles, register: JobRegister) -> None:
    job = await held(singles)
    with out_of_reach(register):
        singles.follow(job, operation(fwd_status=200), answered())
        await singles.finish()
    assert [left.id for left, _ in await register.unfinished()] == [job.id]
