"""JobRegister on a real file: the contract, and what a process that comes after it finds."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from jobs.asked import NAME, REQUEST, due, known, only, order, selected, single, target
from jobs.jobs_contract import JobsContract

from gateway.admission.jobs import Accepted, How, Progress, Recorded, Stage, State
from gateway.errors import Problem, Reason
from gateway.jobs import accepting
from gateway.jobs.database import connect
from gateway.jobs.register import JobRegister
from gateway.ports import Jobs


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[Jobs]:
    register = JobRegister.open(tmp_path, "process")
    yield register
    await register.close()


class TestJobRegister(JobsContract):
    """The contract on SQLite."""


async def reopened(register: JobRegister, folder: Path) -> JobRegister:
    """What the next process opens."""
    await register.close()
    return JobRegister.open(folder, "process")


async def test_the_next_process_goes_on_where_this_one_stood(tmp_path: Path) -> None:
    register = JobRegister.open(tmp_path, "power")
    triggered = await register.accept(order("1", sending=REQUEST), 100.0)
    await register.sent(await only(register, 100.0), 101.0)
    register = await reopened(register, tmp_path)
    trigger = await only(register, 102.0)
    assert (trigger.sent, trigger.began, trigger.sending) == (True, 101.0, REQUEST)
    await register.passed(trigger, Stage.select, 102.0, 102.0)
    select = await only(register, 102.0)
    await register.found(select, [target("/a")], last=False, now=102.0)
    register = await reopened(register, tmp_path)
    assert await only(register, 102.0) == select
    await register.found(select, [target("/a"), target("/b")], last=True, now=103.0)
    register = await reopened(register, tmp_path)
    first, second = await due(register, 103.0)
    await register.fetched(first, (), 104.0)
    register = await reopened(register, tmp_path)
    assert await only(register, 104.0) == second
    await register.fetched(second, (), 105.0)
    register = await reopened(register, tmp_path)
    job = await known(register, triggered.job)
    assert (job.state, job.responses) == (State.done, Progress(2, 2))
    await register.close()


async def test_a_single_refresh_of_a_dead_process_is_unfinished(tmp_path: Path) -> None:
    register = JobRegister.open(tmp_path, "process")
    await register.begin(single("a"), REQUEST, 100.0)
    register = await reopened(register, tmp_path)
    assert await register.unfinished() == ((single("a"), REQUEST),)
    await register.close()


async def test_a_clock_that_was_set_back_between_two_processes(tmp_path: Path) -> None:
    register = JobRegister.open(tmp_path, "process")
    await register.accept(order("1"), 5000.0)
    await register.later(await only(register, 5000.0), 5010.0, "upstream_refused", 5000.0, failed=True)
    register = await reopened(register, tmp_path)
    assert await due(register, 100.0) == ()
    assert await register.next_due(NAME) == 110.0
    await register.close()


async def test_ids_of_what_has_ended_are_given_to_nothing_else(tmp_path: Path) -> None:
    register = JobRegister.open(tmp_path, "process")
    job = await register.accept(order("1"), 100.0)
    [old] = await selected(register, 100.0, "/a")
    await register.cancel(job.job, 101.0)
    await register.prune(1000.0)
    register = await reopened(register, tmp_path)
    await register.accept(order("1"), 102.0)
    [new] = await selected(register, 102.0, "/a")
    assert new.id != old.id
    await register.fetched(old, (), 103.0)
    assert await only(register, 103.0) == new
    await register.close()


async def test_nothing_is_left_of_what_has_ended_but_jobs_and_records(tmp_path: Path) -> None:
    register = JobRegister.open(tmp_path, "process")
    done = await register.accept(order("1", "2", whole=True, sending=REQUEST), 100.0)
    await register.passed(await only(register, 100.0), Stage.select, 100.0, 100.0)
    one, two = await due(register, 100.0)
    await register.found(one, [target("/a")], last=True, now=100.0)
    await register.found(two, (), last=True, now=100.0)
    await register.fetched(await only(register, 100.0), (), 100.0)
    cancelled = await register.accept(order("3", sending=REQUEST), 100.0)
    await register.cancel(cancelled.job, 100.0)
    assert {job.id for job in await register.latest(None, 10)} == {done.job, cancelled.job}
    db = register._transactions._db
    for table in ("works", "interests", "targets", "triggers", "ending"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert db.execute("SELECT count(*) FROM records").fetchone() == (3,)
    await register.close()


async def test_many_are_pruned_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jobs.reading._AT_ONCE", 2)
    register = JobRegister.open(tmp_path, "process")
    for n in range(5):
        await register.begin(single(str(n)), REQUEST, 100.0)
        await register.cancel(str(n), 101.0)
    await register.prune(101.5)
    assert await register.latest(None, 10) == ()
    await register.close()


TOO_MUCH = {"jobs": ("MOST_JOBS", 2), "subjects": ("MOST_SUBJECTS", 3)}


@pytest.mark.parametrize(("bound", "most"), TOO_MUCH.values(), ids=TOO_MUCH)
async def test_an_account_has_only_so_much_under_way(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    """Another's is no reason, a job that is joined is none more, and what has ended makes room."""
    monkeypatch.setattr(accepting, bound, most)
    await jobs.begin(single("a"), REQUEST, 100.0)
    first = await jobs.accept(order("1"), 100.0)
    await jobs.accept(order("2", "3"), 100.0)
    with pytest.raises(Problem) as caught:
        await jobs.accept(order("4"), 100.0)
    assert (caught.value.reason, caught.value.retry_after) == (Reason.throttled, 60.0)
    assert await jobs.recorded("acme", NAME, "4") == Recorded()
    assert await jobs.accept(order("1"), 100.0) == Accepted(first.job, How.joined)
    await jobs.accept(order("4", account="other"), 100.0)
    await jobs.cancel(first.job, 101.0)
    await jobs.accept(order("4"), 101.0)


def test_an_order_takes_no_longer_the_more_accounts_share_its_work(tmp_path: Path) -> None:
    """In steps of SQLite's own machine."""
    taken = []
    for accounts in (3, 30):
        folder = tmp_path / str(accounts)
        folder.mkdir()
        with closing(connect(folder, "process")) as db:
            for number in range(accounts):
                accept(db, account=f"account-{number}")
            taken.append(steps_of(db, partial(accept, db, account="account-0")))
    assert taken[1] < taken[0] * 1.2


def accept(db: sqlite3.Connection, account: str) -> None:
    everything = order(*map(str, range(100)), account=account, whole=True, sending=REQUEST)
    assert accepting.accept(db, everything, account, 100.0) is not None


def steps_of(db: sqlite3.Connection, action: Callable[[], None]) -> int:
    """Hundreds of virtual machine instructions that the action takes."""
    steps = count()
    db.set_progress_handler(lambda: next(steps) * 0, 100)
    action()
    db.set_progress_handler(None, 0)
    return next(steps)
