"""The register forgets what ended long ago."""

import asyncio
from pathlib import Path

import pytest
from support.clock import FakeClock

from gateway.admission.jobs import Job, Kind, Sending, State
from gateway.background.pruning import KEPT, Pruning
from gateway.errors import Problem, Reason
from gateway.jobs.register import JobRegister


def ended(id_: str, at: float) -> Job:
    return Job(id_, Kind.single, "product", None, at, State.done, ended=at)


async def test_what_ended_long_ago_is_forgotten_and_the_rest_is_not(tmp_path: Path) -> None:
    clock, jobs = FakeClock(), JobRegister.open(tmp_path, "process")
    for id_, age in (("old", KEPT + 1), ("new", KEPT - 1)):
        at = clock.wall() - age
        await jobs.begin(Job(id_, Kind.single, "product", None, at, State.running), Sending("GET", "/"), at)
        await jobs.end(ended(id_, at), at)
    pruning = Pruning(jobs, clock)
    running = asyncio.create_task(pruning.run())
    async with asyncio.timeout(20):
        while await jobs.find("old") is not None:  # noqa: ASYNC110 - turns of the loop, not time
            await asyncio.sleep(0)
    assert await jobs.find("new") is not None
    pruning.end()
    await running
    await jobs.close()


async def test_a_register_out_of_reach_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = JobRegister.open(tmp_path, "process")
    pruning = Pruning(jobs, FakeClock())

    async def failing(_before: float) -> None:
        pruning.end()
        raise Problem(Reason.jobs_unavailable)

    monkeypatch.setattr(jobs, "prune", failing)
    await pruning.run()
    await jobs.close()
