"""Asking the upstream until it says that it is done."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from background.yard import ORDERS, background, begins, yard

from gateway.admission.background import Condition, SincePolicy, TriggerPolicy, WaitPolicy
from gateway.admission.jobs import Stage, Step
from gateway.background.calling import ON_LOOP, Calls
from gateway.background.endings import GivenUp, Later, Passed
from gateway.background.turns import Turns
from gateway.background.waiting import Waiting
from gateway.errors import Problem, Reason

UNTIL, FAILED = Condition(("id",), (3,)), Condition(("id",), (4,))
WAIT = WaitPolicy("/status?storeId={subject}", until=(UNTIL,), failed=(FAILED,), every=5.0, within=60.0)
STEP = Step(1, Stage.wait, "stores", "j", "ci", "1", None, ("",), 0.0)


async def waited(tmp_path: Path, wait: WaitPolicy, script: dict[str, Any], for_: float) -> object:
    """The ending, its due time counted from now, of a wait that has lasted `for_` seconds."""
    async with yard(tmp_path, begins(background(trigger=TriggerPolicy(wait=wait))), ORDERS) as running:
        running.upstream.at("/status?storeId=1", **script)
        now = running.clock.wall()
        calls = Calls(running.fetcher, running.settlement, running.watch)
        ending = await Waiting(calls, Turns(), running.clock).end(replace(STEP, stage_began=now - for_), running.work)
        (asked,) = running.upstream.sent
        assert (asked.method, asked.fields["Accept"], asked.background) == ("GET", "application/json", True)
    return replace(ending, due=ending.due - now) if isinstance(ending, Later | Passed) else ending


CASES = {
    "done": ({"document": {"id": 3}}, 0.0, Passed(Stage.select, 0.0)),
    "done in long content": ({"document": {"id": 3, "more": "x" * ON_LOOP}}, 0.0, Passed(Stage.select, 0.0)),
    "done at the last moment": ({"document": {"id": 3}}, 61.0, Passed(Stage.select, 0.0)),
    "given up by the upstream": ({"document": {"id": 4}}, 0.0, GivenUp("upstream_gave_up")),
    "not yet": ({"document": {"id": 2}}, 0.0, Later(5.0, "upstream_not_done", False)),
    "the last pause ends with the time": ({"document": {"id": 2}}, 58.0, Later(2.0, "upstream_not_done", False)),
    "too long": ({"document": {"id": 2}}, 60.0, GivenUp("upstream_took_too_long")),
    "failed": ({"status": 500}, 0.0, Later(5.0, "upstream_error", False)),
    "not found": ({"status": 404}, 0.0, Later(5.0, "upstream_error", False)),
    "failed for too long": ({"status": 500}, 60.0, GivenUp("upstream_error")),
    "asked too often": (
        {"status": 429, "fields": {"Retry-After": "20"}},
        0.0,
        Later(20.0, "upstream_rate_limited", False),
    ),
    "no JSON": ({"document": b"<html>"}, 0.0, Later(5.0, "upstream_invalid", False)),
    "in a coding": (
        {"document": {"id": 3}, "fields": {"Content-Encoding": "br"}},
        0.0,
        Later(5.0, "upstream_invalid", False),
    ),
    "not there": ({"before": (Problem(Reason.upstream_refused),)}, 0.0, Later(5.0, "upstream_refused", False)),
}


@pytest.mark.parametrize(("script", "for_", "expected"), CASES.values(), ids=CASES)
async def test_each_step_asks_once(tmp_path: Path, script: dict[str, Any], for_: float, expected: object) -> None:
    assert await waited(tmp_path, WAIT, script, for_) == expected


async def test_one_of_several_failures_is_enough(tmp_path: Path) -> None:
    either = replace(WAIT, failed=(Condition(("error",), (True,)), FAILED))
    assert await waited(tmp_path, either, {"document": {"id": 4}}, 0.0) == GivenUp("upstream_gave_up")


async def test_without_a_condition_for_failure_there_is_none(tmp_path: Path) -> None:
    ending = await waited(tmp_path, replace(WAIT, failed=()), {"document": {"id": 4}}, 0.0)
    assert ending == Later(5.0, "upstream_not_done", False)


async def test_where_the_config_waits_no_more_it_goes_on(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        calls = Calls(running.fetcher, running.settlement, running.watch)
        ending = await Waiting(calls, Turns(), running.clock).end(STEP, running.work)
        assert ending == Passed(Stage.select, running.clock.wall())


async def test_dates_are_written_in_the_zone_of_the_config(tmp_path: Path) -> None:
    wait = replace(WAIT, target="/status?since={since}")
    policy = background(trigger=TriggerPolicy(wait=wait), since=SincePolicy("refreshDate", "-08:00"))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        running.upstream.then(b'{"id":3}')
        calls = Calls(running.fetcher, running.settlement, running.watch)
        await Waiting(calls, Turns(), running.clock).end(replace(STEP, since=1_590_793_502.0), running.work)
        assert running.upstream.sent[0].target == "/status?since=2020-05-29%2015%3A05%3A02"
