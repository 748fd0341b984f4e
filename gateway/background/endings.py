"""How one step may end, and what is written down of that: a closed set, and when a failed one is tried again."""

from dataclasses import dataclass
from typing import assert_never

from gateway.admission.background import RetryPolicy
from gateway.admission.backoff import pause
from gateway.admission.jobs import Stage, Step, Target
from gateway.errors import Problem, Reason
from gateway.ports import Jobs

# What an upstream's Retry-After is believed at most, in seconds.
_MOST_BELIEVED = 3600.0

# The upstream was not asked, or answered that it is asked too often: nothing is known of the request itself.
_NO_ATTEMPT = frozenset(
    {
        Reason.buffers_full,
        Reason.ledger_unavailable,
        Reason.upstream_circuit_open,
        Reason.upstream_queue_full,
        Reason.upstream_rate_limited,
    }
)


@dataclass(slots=True, frozen=True)
class Passed:
    """A trigger or a wait has ended well: on to `following`, which is `due` then (wall-clock seconds)."""

    following: Stage
    due: float


@dataclass(slots=True, frozen=True)
class Refetched:
    """A target has been fetched, or is none any more; its list has `further` pages."""

    further: tuple[Target, ...] = ()


@dataclass(slots=True, frozen=True)
class Later:
    """It is to be tried again when it is `due`, in wall-clock seconds; `failed`: this was an attempt."""

    due: float
    reason: str
    failed: bool


@dataclass(slots=True, frozen=True)
class GivenUp:
    """Nothing more is tried."""

    reason: str


@dataclass(slots=True, frozen=True)
class Nothing:
    """All is written down already, or the step is wanted no more."""


Ending = Passed | Refetched | Later | GivenUp | Nothing


async def write_down(jobs: Jobs, step: Step, ending: Ending, now: float) -> None:
    """Tell the register. Raises Problem(jobs_unavailable)."""
    match ending:
        case Passed(following=following, due=due):
            await jobs.passed(step, following, due, now)
        case Refetched(further=further):
            await jobs.fetched(step, further, now)
        case Later(due=due, reason=reason, failed=failed):
            await jobs.later(step, due, reason, now, failed=failed)
        case GivenUp(reason=reason):
            await jobs.failed(step, reason, now)
        case Nothing():
            pass
        case _:
            assert_never(ending)


@dataclass(slots=True, frozen=True)
class Moment:
    """What deciding of another try depends on besides the step: `now` in wall-clock seconds, the jitter's `share`."""

    now: float
    share: float


def again(step: Step, retry: RetryPolicy, problem: Problem, moment: Moment, *, asked: bool = True) -> Later | GivenUp:
    """Whether a step that ended with `problem` is tried again, and when: not before the Retry-After that came.

    `asked` False: the upstream has not even been asked. What is no attempt is bounded by `retry.within` alone.
    """
    counts = asked and problem.reason not in _NO_ATTEMPT
    return _again(step, retry, problem.reason.name, moment, counts=counts, at_least=problem.retry_after or 0.0)


def again_for(step: Step, retry: RetryPolicy, reason: str, moment: Moment, *, counts: bool = True) -> Later | GivenUp:
    """The same where the upstream has answered, and its answer was of no use; it `counts` where that is its doing."""
    return _again(step, retry, reason, moment, counts=counts, at_least=0.0)


def _again(
    step: Step, retry: RetryPolicy, reason: str, moment: Moment, *, counts: bool, at_least: float
) -> Later | GivenUp:
    failures = step.attempts + 1 if counts else max(step.attempts, 1)
    wait = max(pause(retry, failures, moment.share), min(at_least, _MOST_BELIEVED))
    began = step.stage_began if step.began is None else step.began
    spent = counts and failures >= retry.attempts
    if spent or moment.now + wait > began + retry.within:
        return GivenUp(reason)
    return Later(moment.now + wait, reason, counts)
