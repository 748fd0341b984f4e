"""What is sent to make the upstream begin, and that it is never sent twice by mistake."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from background.yard import ORDERS, SENDING, Yard, background, begins, yard

from gateway.admission.background import Call, Condition, TriggerPolicy, WaitPolicy
from gateway.admission.jobs import Stage, Step
from gateway.background.calling import Calls
from gateway.background.endings import Ending, GivenUp, Later, Nothing, Passed
from gateway.background.triggering import Triggering
from gateway.background.turns import Turns
from gateway.errors import Problem, Reason

STEP = Step(1, Stage.trigger, "stores", "j", "ci", "", None, ("",), 0.0, stage_began=1e12, sending=SENDING)
CALL = Call("POST", "/import/{subject}", (("since", "{since}"),), {"id": "{subject}"})


class Sent:
    """As much of a register as a trigger asks; `wanted` is what it says."""

    def __init__(self, wanted: bool = True) -> None:
        self.wanted = wanted
        self.times = 0

    async def sent(self, step: Step, now: float) -> bool:
        self.times += 1
        return self.wanted


async def triggered(running: Yard, step: Step = STEP, jobs: Sent | None = None) -> Ending:
    calls = Calls(running.fetcher, running.settlement, running.watch)
    triggering = Triggering(jobs or Sent(), calls, Turns(), running.clock, lambda: 0.0)  # type: ignore[arg-type]
    return await triggering.end(step, running.work)


PASSED, LATER, GONE = "passed", "later", "given up"
CASES: dict[str, tuple[dict[str, Any], str, str, str | None, bool]] = {
    # what the upstream does; what becomes of it, and where it may be sent again; why; whether that is an attempt
    "accepted": ({}, PASSED, PASSED, None, False),
    "accepted with a status of its own": ({"status": 202}, PASSED, PASSED, None, False),
    "elsewhere": ({"status": 302}, GONE, GONE, "trigger_refused 302", False),
    "refused": ({"status": 404}, GONE, GONE, "trigger_refused 404", False),
    "the gateway's credentials refused": ({"status": 401}, GONE, GONE, "trigger_refused 401", False),
    "timed out while it was sent": ({"status": 408}, LATER, LATER, "upstream_error", True),
    "rate limited": ({"status": 429}, LATER, LATER, "upstream_rate_limited", False),
    "failed itself": ({"status": 500}, GONE, LATER, "upstream_error", True),
    "not there behind its proxy": ({"status": 502}, LATER, LATER, "upstream_error", True),
    "not available": ({"status": 503}, LATER, LATER, "upstream_unavailable", True),
    "not connected": ({"before": (Problem(Reason.upstream_refused),)}, LATER, LATER, "upstream_refused", True),
    "left alone": (
        {"before": (Problem(Reason.upstream_circuit_open),)},
        LATER,
        LATER,
        "upstream_circuit_open",
        False,
    ),
    "its answer lost": (
        {"before": (Problem(Reason.upstream_read_timeout),)},
        PASSED,
        LATER,
        "upstream_read_timeout",
        True,
    ),
    "its answer cut": (
        {"content": Problem(Reason.upstream_truncated)},
        PASSED,
        LATER,
        "upstream_truncated",
        True,
    ),
}


@pytest.mark.parametrize("repeatable", [False, True], ids=["once", "repeatable"])
@pytest.mark.parametrize(("script", "once", "often", "reason", "failed"), CASES.values(), ids=CASES)
async def test_what_becomes_of_it(
    tmp_path: Path, script: dict[str, Any], once: str, often: str, reason: str | None, failed: bool, repeatable: bool
) -> None:
    policy = background(trigger=TriggerPolicy(repeatable=repeatable))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        step = replace(STEP, stage_began=running.clock.wall())
        script = dict(script)
        broken = script.pop("content", None)
        running.upstream.then(*((b"{", broken) if broken is not None else (b"{}",)), **script)
        now = running.clock.wall()
        jobs = Sent()
        ending = await triggered(running, step, jobs)
        expected = often if repeatable else once
        if expected == PASSED:
            assert ending == Passed(Stage.select, now)
        elif expected == LATER:
            assert ending == Later(now + 0.5, reason or "", failed)
        else:
            # With the status, which says more than the reason of a 500 alone.
            assert ending == GivenUp(f"{reason} 500" if reason == "upstream_error" else reason or "")
        assert (jobs.times, len(running.upstream.sent)) == (1, 1)


@pytest.mark.parametrize("repeatable", [False, True], ids=["once", "repeatable"])
async def test_one_that_a_dead_process_may_have_sent(tmp_path: Path, repeatable: bool) -> None:
    policy = background(trigger=TriggerPolicy(repeatable=repeatable))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        ending = await triggered(running, replace(STEP, sent=True))
        assert ending == Passed(Stage.select, running.clock.wall())
        assert len(running.upstream.sent) == repeatable


async def test_one_that_is_wanted_no_more_is_not_sent(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        assert await triggered(running, jobs=Sent(wanted=False)) == Nothing()
        assert not running.upstream.sent


async def test_a_wait_begins_one_pause_later(tmp_path: Path) -> None:
    wait = WaitPolicy("/status", until=(Condition(("done",), (True,)),), every=7.0)
    policy = background(trigger=TriggerPolicy(wait=wait))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        assert await triggered(running) == Passed(Stage.wait, running.clock.wall() + 7.0)


async def test_a_call_of_the_config_s(tmp_path: Path) -> None:
    policy = background(trigger=TriggerPolicy(CALL))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        await triggered(running, replace(STEP, subject="12", sending=None))
        (sent,) = running.upstream.sent
        assert (sent.method, sent.target, sent.body) == ("POST", "/import/12", b'{"id":12}')
        assert dict(sent.fields) == {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": "Bearer upstream",
            "X-Request-Id": sent.fields["X-Request-Id"],
            "Via": "1.1 gateway",
        }


async def test_where_the_config_has_no_call_any_more_it_goes_on(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        ending = await triggered(running, replace(STEP, subject="12", sending=None))
        assert ending == Passed(Stage.select, running.clock.wall())
        assert not running.upstream.sent


async def test_without_the_ledger_nothing_is_sent(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        journal = running.ledger._journal
        append = journal.append

        def full(payload: bytes) -> None:
            raise OSError(28, "No space left on device")

        journal.append = full  # type: ignore[assignment, method-assign]
        ending = await triggered(running, replace(STEP, stage_began=running.clock.wall()))
        journal.append = append  # type: ignore[method-assign]
        assert ending == Later(running.clock.wall() + 1.0, "ledger_unavailable", False)
        assert not running.upstream.sent
