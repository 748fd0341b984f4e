"""Whether a step that failed is tried again, when, and what the register is told of each end."""

from dataclasses import replace

import pytest

from gateway.admission.background import RetryPolicy
from gateway.admission.jobs import Stage, Step
from gateway.background.endings import GivenUp, Later, Moment, again, again_for
from gateway.errors import Problem, Reason

NOW = 1_000_000.0
STEP = Step(1, Stage.fetch, "stores", "j", "ci", "1", None, ("",), NOW, stage_began=NOW)
RETRY = RetryPolicy(attempts=3, first=2.0, longest=60.0, within=7200.0)
FAILED = Problem(Reason.upstream_error)
LIMITED = Problem(Reason.upstream_rate_limited, retry_after=30.0)

TRIES = {
    "a first failure waits half of the first pause at least": (
        STEP,
        FAILED,
        True,
        Later(NOW + 1.0, "upstream_error", True),
    ),
    "a second one twice as long": (
        replace(STEP, attempts=1),
        FAILED,
        True,
        Later(NOW + 2.0, "upstream_error", True),
    ),
    "the last attempt": (replace(STEP, attempts=2), FAILED, True, GivenUp("upstream_error")),
    "a rate limit is no attempt, and is heeded": (
        replace(STEP, attempts=2),
        LIMITED,
        True,
        Later(NOW + 30.0, "upstream_rate_limited", False),
    ),
    "nor is what was not asked": (replace(STEP, attempts=2), FAILED, False, Later(NOW + 2.0, "upstream_error", False)),
    "a wish for years is not believed": (
        STEP,
        Problem(Reason.upstream_rate_limited, retry_after=1e12),
        True,
        Later(NOW + 3600.0, "upstream_rate_limited", False),
    ),
    "its time is over": (
        replace(STEP, began=NOW - 7199.5),
        LIMITED,
        True,
        GivenUp("upstream_rate_limited"),
    ),
    "its time counts from its first call, else from its stage's beginning": (
        replace(STEP, stage_began=NOW - 7199.5),
        FAILED,
        True,
        GivenUp("upstream_error"),
    ),
}


@pytest.mark.parametrize(("step", "problem", "asked", "expected"), TRIES.values(), ids=TRIES)
def test_again(step: Step, problem: Problem, asked: bool, expected: Later | GivenUp) -> None:
    assert again(step, RETRY, problem, Moment(NOW, 0.0), asked=asked) == expected


def test_an_answer_of_no_use_is_an_attempt() -> None:
    assert again_for(STEP, RETRY, "outdated", Moment(NOW, 0.0)) == Later(NOW + 1.0, "outdated", True)
    assert again_for(replace(STEP, attempts=2), RETRY, "outdated", Moment(NOW, 0.0)) == GivenUp("outdated")


def test_pauses_are_spread() -> None:
    assert again(STEP, RETRY, FAILED, Moment(NOW, 0.5)) == Later(NOW + 1.5, "upstream_error", True)
