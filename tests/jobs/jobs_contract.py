"""What every `ports.Jobs` must do; a subclass gives the fixture `jobs` and pytest runs all of it."""

import asyncio
from dataclasses import replace

import pytest
from jobs.asked import NAME, REQUEST, due, finished, known, only, order, selected, single
from jobs.jobs_contract_sharing import SharingContract
from jobs.jobs_contract_steps import StepsContract

from gateway.admission.jobs import (
    Accepted,
    How,
    Progress,
    Recorded,
    Sending,
    Stage,
    State,
)
from gateway.ports import Jobs


class JobsContract(StepsContract, SharingContract):
    """Inherit as `TestX` and define the fixture `jobs`: an empty register for each test."""

    @pytest.fixture
    async def heir(self, jobs: Jobs) -> Jobs:
        """The register as a process finds it for which that of `jobs` is dead."""
        return jobs

    # Single refreshes

    async def test_a_single_refresh_is_kept_until_it_ends(self, jobs: Jobs, heir: Jobs) -> None:
        begun = single("a" * 32)
        request = Sending("GET", "/v1/products/1", (("Prefer", "respond-async"),), scheme="https")
        await jobs.begin(begun, request, 100.0)
        await jobs.begin(begun, request, 100.0)
        assert await heir.unfinished() == ((begun, request),)
        ended = replace(begun, state=State.failed, ended=105.0, reason="upstream_error", status=500)
        await jobs.end(replace(ended, cache_status="gateway; fwd=miss", tokens=6), 105.0)
        assert await jobs.find(begun.id) == replace(ended, cache_status="gateway; fwd=miss", tokens=6)
        assert await heir.unfinished() == ()
        await jobs.end(replace(begun, state=State.done), 106.0)
        assert (await known(jobs, begun.id)).state is State.failed

    async def test_a_cancelled_single_refresh_stays_cancelled(self, jobs: Jobs, heir: Jobs) -> None:
        await jobs.begin(single("a"), REQUEST, 100.0)
        assert await jobs.cancel("a", 101.0) is State.running
        await jobs.end(replace(single("a"), state=State.done), 102.0)
        job = await known(jobs, "a")
        assert (job.state, job.ended) == (State.cancelled, 101.0)
        assert await heir.unfinished() == ()

    # Looking

    async def test_an_account_finds_its_own_jobs_alone(self, jobs: Jobs) -> None:
        mine = await jobs.accept(order("1"), 100.0)
        theirs = await jobs.accept(order("2", account="other"), 101.0)
        await jobs.begin(single("house", None), REQUEST, 102.0)
        later = await jobs.accept(order("3"), 50.0)
        assert await jobs.find(mine.job, "acme") == await jobs.find(mine.job)
        assert await jobs.find(theirs.job, "acme") is None
        assert await jobs.find("house", "acme") is None
        assert await jobs.find("unknown") is None
        everyone = [later.job, "house", theirs.job, mine.job]
        assert [job.id for job in await jobs.latest(None, 10)] == everyone
        assert [job.id for job in await jobs.latest(None, 2)] == everyone[:2]
        assert [job.id for job in await jobs.latest(everyone[1], 10)] == everyone[2:]
        assert [job.id for job in await jobs.latest(None, 10, "acme")] == [later.job, mine.job]
        assert [job.id for job in await jobs.latest(later.job, 10, "acme")] == [mine.job]
        assert await jobs.latest(theirs.job, 10, "acme") == ()
        assert await jobs.latest("unknown", 10) == ()

    # Forgetting

    async def test_what_ended_before_is_forgotten_but_not_its_record(self, jobs: Jobs) -> None:
        old = await jobs.accept(order("1"), 100.0)
        await finished(jobs, 101.0)
        new = await jobs.accept(order("2"), 102.0)
        await finished(jobs, 103.0)
        running = await jobs.accept(order("3"), 10.0)
        await jobs.prune(103.0)
        assert await jobs.find(old.job) is None
        assert [job.id for job in await jobs.latest(None, 10)] == [running.job, new.job]
        assert await jobs.recorded("acme", NAME, "1") == Recorded(100.0, 101.0, State.done)

    # Many at once, and clocks

    async def test_a_thousand_at_once_are_one_work(self, jobs: Jobs) -> None:
        accepted = await asyncio.gather(
            *(jobs.accept(order("7", account=f"a{n}", sending=REQUEST), 100.0) for n in range(1000))
        )
        assert [one.how for one in accepted].count(How.initiated) == 1
        assert len(await due(jobs, 100.0)) == 1
        await finished(jobs, 101.0)
        assert {job.state for job in await jobs.latest(None, 2000)} == {State.done}

    async def test_steps_answered_at_once_are_each_counted(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7"), 100.0)
        fetches = await selected(jobs, 100.0, *(f"/{n}" for n in range(300)))
        await asyncio.gather(*(jobs.fetched(fetch, (), 101.0) for fetch in fetches for _ in range(2)))
        job = await known(jobs, accepted.job)
        assert (job.state, job.responses) == (State.done, Progress(300, 300))

    async def test_what_is_due_keeps_its_distance_when_the_clock_is_set_back(self, jobs: Jobs) -> None:
        day = 86_400.0
        await jobs.accept(order("1"), day)
        await jobs.later(await only(jobs, day), day + 30.0, "upstream_refused", day + 1.0, failed=True)
        assert await due(jobs, 1.0) == ()
        assert await jobs.next_due(NAME) == 30.0
        step = await only(jobs, 30.0)
        assert (step.began, step.stage_began) == (1.0, 1.0)

    async def test_ten_thousand_subjects_are_one_order(self, jobs: Jobs) -> None:
        subjects = [str(n) for n in range(10_000)]
        whole = await jobs.accept(order(*subjects, whole=True, sending=REQUEST), 100.0)
        await jobs.passed(await only(jobs, 100.0), Stage.select, 100.0, 100.0)
        steps = await jobs.steps(NAME, 100.0, 5, ())
        assert [step.subject for step in steps] == subjects[:5]
        again = await jobs.accept(order(*subjects, whole=True, sending=REQUEST), 100.0)
        assert again == Accepted(whole.job, How.joined)
        assert await jobs.cancel(whole.job, 101.0) is State.running
        assert await due(jobs, 101.0) == ()
