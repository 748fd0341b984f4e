"""The first step of a background refresh: what makes the upstream begin. It is never sent twice by mistake."""

from collections.abc import Callable

import structlog

from gateway.admission.background import BackgroundPolicy, Call
from gateway.admission.filled import called
from gateway.admission.jobs import Sending, Stage, Step
from gateway.background.calling import Calls
from gateway.background.endings import Ending, GivenUp, Moment, Nothing, Passed, again
from gateway.background.firsts import Firsts
from gateway.background.told import values
from gateway.background.turns import Turns
from gateway.background.work import Work
from gateway.errors import UNSENT, Problem, Reason
from gateway.ports import Clock, Jobs
from gateway.rfc9111.dates import retry_after

REFUSED = "trigger_refused"

# Nothing of the request has left.
_UNSENT = UNSENT | {Reason.buffers_full, Reason.ledger_unavailable, Reason.upstream_unavailable}

# Answered, and not begun: what answered does not reach the upstream, or too much is asked of it.
_NOT_BEGUN = frozenset({408, 425, 429, 502, 503, 504})


class Triggering:
    """Sends the client's own request once for a job, or the config's for each subject."""

    def __init__(self, jobs: Jobs, calls: Calls, turns: Turns, clock: Clock, draw: Callable[[], float]) -> None:
        self._jobs = jobs
        self._calls = calls
        self._turns = turns
        self._clock = clock
        self._draw = draw
        self._lost_of = Firsts()
        self._log = structlog.get_logger("gateway.background")

    async def end(self, step: Step, work: Work) -> Ending:
        """Trigger. Raises Problem(jobs_unavailable), Ended, and that of a subject that no target can hold."""
        trigger = work.policy.trigger
        if step.sent and not trigger.repeatable:
            return self._lost(step, work)
        sending = _sending(step, work)
        if sending is None:
            return self._on(work)
        try:
            await self._turns.room(work.live.upstreams[work.route.upstream])
        except Problem as problem:
            return again(step, work.policy.retry, problem, self._moment(), asked=False)
        return await self._sent(step, work, sending)

    async def _sent(self, step: Step, work: Work, sending: Sending) -> Ending:
        # From here on a process that dies leaves behind that nobody knows whether it arrived.
        if not await self._jobs.sent(step, self._clock.wall()):
            return Nothing()
        try:
            # Behind others it might wait until nobody knows whether it was sent; there is room for it.
            response = await self._calls.send(work.route, work.live, sending, background=False)
        except Problem as problem:
            if problem.upstream_status is None:
                return self._unanswered(step, work, problem)
            return self._answered(step, work, problem.upstream_status, problem)
        wish, status = retry_after(response.fields), response.status
        told = Problem(Reason.upstream_error, retry_after=wish, upstream_status=status)
        return self._answered(step, work, status, told)

    def _unanswered(self, step: Step, work: Work, problem: Problem) -> Ending:
        if problem.reason in _UNSENT or work.policy.trigger.repeatable:
            return again(step, work.policy.retry, problem, self._moment())
        return self._lost(step, work)

    def _answered(self, step: Step, work: Work, status: int, problem: Problem) -> Ending:
        if 200 <= status < 300:
            return self._on(work)
        if status in _NOT_BEGUN or (status >= 500 and work.policy.trigger.repeatable):
            return again(step, work.policy.retry, problem, self._moment())
        return GivenUp(f"{REFUSED} {status}" if status < 500 else f"{problem.reason.name} {status}")

    def _lost(self, step: Step, work: Work) -> Passed:
        """It may have arrived: sent again it might begin twice, so that it is believed to have."""
        if self._lost_of.is_first(step.job):
            self._log.warning("answer to a trigger lost", refresh=step.job, background=step.name, setting="repeatable")
        return self._on(work)

    def _on(self, work: Work) -> Passed:
        """An upstream that has only just been told may still say how the time before has ended."""
        now, wait = self._clock.wall(), work.policy.trigger.wait
        return Passed(Stage.select, now) if wait is None else Passed(Stage.wait, now + wait.every)

    def _moment(self) -> Moment:
        return Moment(self._clock.wall(), self._draw())


def _sending(step: Step, work: Work) -> Sending | None:
    """What is sent, None where the config no longer has anything."""
    request = work.policy.trigger.request
    if step.sending is not None:
        return step.sending
    if not isinstance(request, Call):
        return None
    return calling(request, work.policy, step.subject, step.since)


def calling(call: Call, policy: BackgroundPolicy, subject: str, since: float | None) -> Sending:
    """The config's own request for a subject. Raises Problem for one that no target can hold."""
    target, content = called(call, values(policy, subject, since))
    fields = [("Accept", "application/json")]
    if content:
        fields.append(("Content-Type", "application/json"))
    return Sending(call.method, target, tuple(fields), content)
