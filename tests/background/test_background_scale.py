"""A job for ten thousand subjects is held in the register alone: the process has a page of it at a time."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from background.yard import JSON, ORDERS, Yard, background, begins, yard
from support.in_process import Scripted

from gateway.admission.background import PacePolicy
from gateway.admission.jobs import Job, Progress, State, Step
from gateway.background import line
from gateway.background.selecting import MOST_WAITING
from gateway.messages import Outgoing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SUBJECTS = 10_000
EVERY = 20
"""One in so many of the subjects has something stored."""

CONCURRENCY = 16
FRESH = b'{"orders":["new"]}'
MEBIBYTE = 1 << 20


@pytest.fixture
def traced() -> Iterator[None]:
    """Every allocation of Python's is counted."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


class Counted(list[Outgoing]):
    """How many there were, none of which is kept."""

    calls = 0

    def append(self, _sent: Outgoing) -> None:
        self.calls += 1


class Held:
    """How many steps the line holds: those that it is given, and those that are under way then."""

    def __init__(self, running: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = 0
        self._steps = running.register.steps
        monkeypatch.setattr(running.register, "steps", self._counted)

    async def _counted(self, name: str, now: float, most: int, busy: tuple[tuple[str, int], ...]) -> tuple[Step, ...]:
        found = await self._steps(name, now, most, busy)
        self.most = max(self.most, len(found) + len(busy))
        return found


async def ended(running: Yard, id_: str) -> Job:
    """The job at its end, which is looked for now and then alone: ten thousand looks are a load of their own."""
    async with asyncio.timeout(300):
        while not (job := await running.job(id_)).state.final:
            running.clock.advance(1.0)
            running.worker.wake("stores")
            await asyncio.sleep(0.1)
    return job


@pytest.mark.usefixtures("traced")
async def test_a_job_for_ten_thousand_subjects_takes_the_memory_of_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = background(pace=PacePolicy(concurrency=CONCURRENCY))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        targets = [f"/orders?storeId={subject}" for subject in range(1, SUBJECTS + 1, EVERY)]
        for target in targets:
            await running.store(target, {"orders": ["old"]})
        sent = running.upstream.sent = Counted()
        running.upstream.always = Scripted((FRESH,), fields=JSON, declared=True)
        held = Held(running, monkeypatch)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        id_ = await running.accept(*map(str, range(1, SUBJECTS + 1)))
        running.worker.configure()
        job = await ended(running, id_)
        after, most = tracemalloc.get_traced_memory()
        assert (job.state, job.subjects) == (State.done, Progress(SUBJECTS, SUBJECTS, 0))
        assert job.responses == Progress(len(targets), len(targets), 0)
        assert sent.calls == 1 + len(targets)
        assert {running.stored(target).body for target in targets} == {FRESH}
        assert held.most <= MOST_WAITING + line._PAGE + CONCURRENCY
        # Ten thousand steps alone would take more.
        assert most - before < 4 * MEBIBYTE
        assert after - before < MEBIBYTE
