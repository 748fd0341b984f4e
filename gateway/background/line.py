"""The steps of one background refresh: taken when they are due, as many at once and as fast as its pace allows."""

import asyncio
from collections import deque
from collections.abc import Set
from contextlib import suppress

import structlog

from gateway.admission.background import PacePolicy
from gateway.admission.jobs import Stage, Step
from gateway.admission.snapshot import ThrottlePolicy
from gateway.admission.throttle import TokenBucket
from gateway.background.endings import Ending, GivenUp, write_down
from gateway.background.firsts import Firsts
from gateway.background.reporting import Reporting
from gateway.background.selecting import MOST_WAITING
from gateway.background.stages import Stages
from gateway.background.turns import Ended
from gateway.background.work import Parts, Work, work
from gateway.errors import Problem, Reason
from gateway.lookup import Live
from gateway.ports import Jobs
from gateway.tasks import Tasks

_PAGE = 100

# Seconds that a page of steps is believed: those of a cancelled job are not done much longer.
_BELIEVED = 1.0

# Seconds between looks while steps are under way, and at most while nothing is due: the wall clock may be set.
_LOOK, _LOOK_IDLE = 1.0, 60.0

# Seconds until a register that failed is asked again.
_AGAIN = 1.0


class Line:
    """Holds a page of steps at most, besides those under way, however much there is to do."""

    def __init__(self, name: str, jobs: Jobs, stages: Stages, parts: Parts, withheld: Set[str]) -> None:
        self._name = name
        self._jobs = jobs
        self._stages = stages
        self._withheld = withheld
        self._live = parts.live
        self._clock = parts.clock
        self._reporting = Reporting(jobs)
        self._page: deque[Step] = deque()
        self._page_ends = 0.0
        self._under_way: dict[tuple[str, int], Step] = {}
        # How many of those call an upstream.
        self._calling = 0
        self._bucket: TokenBucket | None = None
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._resting = False
        self._without_config = False
        self._known: tuple[Live, Work | None] | None = None
        self._tasks = Tasks()
        self._told = Firsts()
        self._log = structlog.get_logger("gateway.background").bind(background=name)

    def wake(self) -> None:
        """Something may be due, or have changed."""
        self._changed.set()

    def end(self) -> None:
        """Take no more steps."""
        self._ended.set()
        self._changed.set()

    async def run(self) -> None:
        """Until it is ended, and no step is under way any more."""
        while not self._ended.is_set():
            try:
                await self._turn()
            except Problem:
                # The register, which tells itself that it is out of reach.
                self._resting = True
            except Exception as error:  # noqa: BLE001 - a bug of ours: nobody would look again
                self._log.error("background refreshes not looked at for a moment", exc_info=error)
                self._resting = True
            if self._resting:
                await self._rest()
        await self._tasks.finish()
        with suppress(Problem):
            await self._reporting.look()

    async def _turn(self) -> None:
        """Begin one step, or wait for what allows to."""
        self._changed.clear()
        found = self._work()
        if found is None:
            await self._do_without()
            return
        self._without_config = False
        if not self._page or self._clock.steady() >= self._page_ends:
            await self._look()
        else:
            await self._begin(self._page[0], found)

    def _work(self) -> Work | None:
        """By the config in operation, whose routes are gone through once."""
        live = self._live()
        if self._known is None or self._known[0] is not live:
            self._known = live, work(live, self._name)
        return self._known[1]

    async def _look(self) -> None:
        """Get what is due, or wait until something is."""
        await self._reporting.look()
        wall, busy = self._clock.wall(), tuple(self._under_way)
        due = await self._jobs.steps(self._name, wall, _PAGE, busy)
        steps = [step for step in due if step.job not in self._withheld]
        self._page_ends = self._clock.steady() + _BELIEVED
        self._page = deque(steps)
        if steps:
            return
        if self._under_way:
            # The next that is due may be one of those.
            await self._changed_within(_LOOK)
            return
        next_due = await self._jobs.next_due(self._name)
        await self._changed_within(_LOOK_IDLE if next_due is None else min(max(next_due - wall, 0.05), _LOOK_IDLE))

    async def _begin(self, step: Step, found: Work) -> None:
        """Begin it, or wait for a place or for its turn."""
        pause = self._pause(step.stage, found.policy.pace)
        if pause:
            await self._changed_within(pause)
            return
        self._page.popleft()
        self._under_way[step.stage.value, step.id] = step
        self._calling += step.stage is not Stage.select
        self._reporting.touch(step)
        self._tasks.start(self._run(step, found))

    def _pause(self, stage: Stage, pace: PacePolicy) -> float:
        """Seconds until there may be room for one more step, 0 for now. Selections call no upstream."""
        if stage is Stage.select:
            return _LOOK if len(self._under_way) - self._calling >= MOST_WAITING else 0.0
        if self._calling >= pace.concurrency:
            return _LOOK
        if pace.rate is None:
            return 0.0
        policy, now = ThrottlePolicy(pace.rate, 1), self._clock.steady()
        if self._bucket is None or self._bucket.policy != policy:
            self._bucket = TokenBucket(policy)
        return 0.0 if self._bucket.take(now) else self._bucket.wait(now)

    async def _run(self, step: Step, found: Work) -> None:
        try:
            await self._write_down(step, await self._stages.end(step, found))
        except Ended:
            pass
        except Problem as problem:
            await self._give_up(step, problem)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which must end neither the line nor the process
            if self._told.is_first(step.job, step.stage, type(error).__name__):
                self._log.error("step failed", refresh=step.job, stage=step.stage.value, exc_info=error)
            await self._give_up(step, Problem(Reason.internal_error))
        finally:
            del self._under_way[step.stage.value, step.id]
            self._calling -= step.stage is not Stage.select
            self._reporting.touch(step)
            self._changed.set()

    async def _give_up(self, step: Step, problem: Problem) -> None:
        """What the register does not take now is still due when it can be asked again."""
        try:
            if problem.reason is Reason.jobs_unavailable:
                raise problem
            await self._write_down(step, GivenUp(problem.reason.name))
        except Problem:
            self._resting = True

    async def _write_down(self, step: Step, ending: Ending) -> None:
        await write_down(self._jobs, step, ending, self._clock.wall())
        if isinstance(ending, GivenUp) and self._told.is_first(step.job, step.stage, ending.reason):
            told = {"refresh": step.job, "stage": step.stage.value, "subject": step.subject}
            self._log.warning("step given up", **told, reason=ending.reason)

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN):
                await self._ended.wait()
        # Steps that have failed meanwhile have failed by the same: that is no reason to rest again.
        self._resting = False

    async def _do_without(self) -> None:
        """The config does not have it: what is to be done waits, as it may come back."""
        self._page.clear()
        if not self._without_config and await self._jobs.next_due(self._name) is not None:
            self._log.warning("refreshes wait: the config no longer has their background refresh")
        self._without_config = True
        await self._changed.wait()

    async def _changed_within(self, seconds: float) -> None:
        # For each step there is such a wait: a timeout that is raised costs more than all the rest of it.
        timer = asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
