"""The register under a hypothesis machine, beside a model of plain dicts: whatever is done, both tell the same."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from jobs.asked import NAME, REQUEST, order, target
from jobs.jobs_model import Model, Seen

from gateway.admission.jobs import Job, Order, Progress, Recorded, Stage, Step
from gateway.jobs.register import JobRegister

T = TypeVar("T")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ACCOUNTS = ("acme", "other")
SUBJECTS = ("1", "2", "3")
RECORDS = tuple(product(ACCOUNTS, SUBJECTS))
PATHS = st.lists(st.sampled_from(["/a", "/b", "/c"]), max_size=3)


def orders() -> st.SearchStrategy[Order]:
    """Of all kinds, close together."""

    def ordered(subjects: list[str], account: str, since: float | None, scopes: list[str], client: bool) -> Order:
        return order(*subjects, account=account, since=since, scopes=scopes, sending=REQUEST if client else None)

    return st.builds(
        ordered,
        st.lists(st.sampled_from(SUBJECTS), max_size=3),
        st.sampled_from(ACCOUNTS),
        st.sampled_from([None, 10.0, 20.0]),
        st.lists(st.sampled_from(["", "k:a"]), min_size=1, max_size=2, unique=True),
        st.booleans(),
    )


def seen(step: Step) -> Seen:
    """A step as the model knows it."""
    path = "" if step.target is None else step.target.sending.target
    return step.stage, step.job, step.subject, path, step.since, step.attempts, step.sent


class RegisterMachine(RuleBasedStateMachine):
    """Steps stay in their bundle when they are gone: what is reported late has to change nothing."""

    jobs = Bundle("jobs")
    steps = Bundle("steps")

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.register = self._opened()
        self.model = Model()
        self.now = 100.0

    def teardown(self) -> None:
        self.done(self.register.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def done(self, call: Coroutine[Any, Any, T]) -> T:
        """What a call returns; time passes."""
        self.now += 1.0
        return self.runner.run(call)

    def _opened(self) -> JobRegister:
        async def opened() -> JobRegister:
            return JobRegister.open(self.folder, "process")

        return self.runner.run(opened())

    @rule(target=jobs, wanted=orders())
    def accept(self, wanted: Order) -> str:
        now, own = self.now, self.model.own(wanted)
        accepted = self.done(self.register.accept(wanted, now))
        assert accepted.job == own if own is not None else accepted.job not in self.model.jobs
        assert accepted.how is self.model.accept(wanted, accepted.job, now)
        return accepted.job

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        state = self.model.jobs[job].state
        assert self.done(self.register.cancel(job, self.now)) is state
        self.model.leave(job, None)

    @rule(job=jobs)
    def withdraw(self, job: str) -> None:
        self.done(self.register.withdraw(job, self.now))
        self.model.leave(job, "not_charged")

    @rule(target=steps)
    def look(self) -> Any:
        return multiple(*self.done(self.register.steps(NAME, self.now, 100, ())))

    @rule(step=steps)
    def sent(self, step: Step) -> None:
        now = self.now
        if step.stage is Stage.trigger:
            assert self.done(self.register.sent(step, now)) is self.model.sent(step, now)

    @rule(step=steps, following=st.sampled_from([Stage.wait, Stage.select]))
    def passed(self, step: Step, following: Stage) -> None:
        now = self.now
        if step.stage in (Stage.trigger, Stage.wait):
            self.done(self.register.passed(step, following, now, now))
            self.model.passed(step, following, now)

    @rule(step=steps, paths=PATHS, last=st.booleans())
    def found(self, step: Step, paths: list[str], last: bool) -> None:
        now = self.now
        if step.stage is Stage.select:
            self.done(self.register.found(step, map(target, paths), last=last, now=now))
            self.model.found(step, paths, last, now)

    @rule(step=steps, further=PATHS)
    def fetched(self, step: Step, further: list[str]) -> None:
        if step.stage is Stage.fetch:
            self.done(self.register.fetched(step, map(target, further), self.now))
            self.model.fetched(step, further)

    @rule(step=steps, reason=st.sampled_from(["one", "two"]), failed=st.booleans())
    def later(self, step: Step, reason: str, failed: bool) -> None:
        now = self.now
        self.done(self.register.later(step, now, reason, now, failed=failed))
        self.model.later(step, reason, failed, now)

    @rule(step=steps, reason=st.sampled_from(["one", "two"]))
    def failed(self, step: Step, reason: str) -> None:
        self.done(self.register.failed(step, reason, self.now))
        self.model.failed(step, reason)

    @rule(all_good=st.booleans())
    def work(self, all_good: bool) -> None:
        """Bring everything that is due one step on."""
        outcome: Callable[[Step], None] = self._go_on if all_good else lambda step: self.failed(step, "three")
        for step in self.done(self.register.steps(NAME, self.now, 100, ())):
            outcome(step)

    def _go_on(self, step: Step) -> None:
        self.passed(step, Stage.select)
        self.found(step, ["/a", "/b"], True)
        self.fetched(step, ["/b"])

    @rule()
    def restart(self) -> None:
        self.done(self.register.close())
        self.register = self._opened()

    @invariant()
    def tells_the_same(self) -> None:
        steps, found, records = self.done(self._told())
        assert {seen(step) for step in steps} == self.model.steps()
        assert records == [self.model.recorded(account, subject) for account, subject in RECORDS]
        assert [job.id for job in found] == [*self.model.jobs][::-1]
        for job in found:
            expected = self.model.jobs[job.id]
            assert (job.state, job.reason) == (expected.state, expected.reason)
            assert job.subjects == Progress(expected.total, expected.done, expected.failed)
            assert job.responses == self.model.responses(job.id)
            assert (job.ended is not None) is job.state.final

    async def _told(self) -> tuple[tuple[Step, ...], tuple[Job, ...], list[Recorded]]:
        """All that the register tells, in one of its transactions."""
        return await asyncio.gather(
            self.register.steps(NAME, self.now, 100, ()),
            self.register.latest(None, 1000),
            asyncio.gather(*[self.register.recorded(account, NAME, subject) for account, subject in RECORDS]),
        )


TestRegisterMachine = RegisterMachine.TestCase
TestRegisterMachine.settings = settings(max_examples=50, stateful_step_count=30)
