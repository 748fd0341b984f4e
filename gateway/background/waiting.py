"""The second step of a background refresh: asking the upstream until it says that it is done."""

from gateway.admission.background import WaitPolicy
from gateway.admission.filled import spelled
from gateway.admission.jobs import Stage, Step
from gateway.admission.listing import meets
from gateway.background.calling import Calls, parsed
from gateway.background.endings import Ending, GivenUp, Later, Passed
from gateway.background.told import values
from gateway.background.turns import Turns
from gateway.background.work import Work
from gateway.errors import Problem, Reason
from gateway.ports import Clock

FAILED = "upstream_gave_up"
TOO_LONG = "upstream_took_too_long"
PENDING = "upstream_not_done"


class Waiting:
    """Each step asks once. What keeps an answer from coming ends nothing before `within` has passed."""

    def __init__(self, calls: Calls, turns: Turns, clock: Clock) -> None:
        self._calls = calls
        self._turns = turns
        self._clock = clock

    async def end(self, step: Step, work: Work) -> Ending:
        """Ask. Raises Ended, and the Problem of a subject that no target can hold."""
        wait = work.policy.trigger.wait
        if wait is None:
            return Passed(Stage.select, self._clock.wall())
        target = spelled(wait.target, values(work.policy, step.subject, step.since))
        try:
            await self._turns.room(work.live.upstreams[work.route.upstream])
            document = await parsed(await self._calls.get(work.route, work.live, target))
        except Problem as problem:
            return self._later(step, wait, problem.reason.name, problem.retry_after or 0.0)
        except ValueError:
            return self._later(step, wait, Reason.upstream_invalid.name)
        if meets(wait.until, document):
            return Passed(Stage.select, self._clock.wall())
        if any(meets((condition,), document) for condition in wait.failed):
            return GivenUp(FAILED)
        return self._later(step, wait, PENDING)

    def _later(self, step: Step, wait: WaitPolicy, reason: str, at_least: float = 0.0) -> Later | GivenUp:
        """The last time when `within` is over."""
        now, end = self._clock.wall(), step.stage_began + wait.within
        if now >= end:
            return GivenUp(TOO_LONG if reason == PENDING else reason)
        return Later(min(now + max(wait.every, at_least), end), reason, failed=False)
