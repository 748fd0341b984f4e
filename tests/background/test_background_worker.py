"""The worker over a real register: from an order that was accepted to stored responses that are fetched again."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest
from background.yard import ORDERS, SENDING, Yard, background, begins, yard
from structlog.testing import capture_logs
from support.registers import out_of_reach

from gateway.admission.background import (
    Call,
    Condition,
    PacePolicy,
    PagesPolicy,
    RetryPolicy,
    SubjectPolicy,
    TriggerPolicy,
    WaitPolicy,
)
from gateway.admission.jobs import Progress, Stage, State, Step
from gateway.admission.rate import Rate
from gateway.background import line
from gateway.background.fetching import Fetching
from gateway.background.selecting import MOST_WAITING
from gateway.errors import Problem, Reason

ONE, TWO = "/orders?storeId=1", "/orders?storeId=1&page=2"
STATUS = "/stores/getrefreshstatus?storeId=1"
WAIT = WaitPolicy(
    "/stores/getrefreshstatus?storeId={subject}",
    until=(Condition(("refreshStatusId",), (3,)),),
    failed=(Condition(("refreshStatusId",), (4,)),),
)


def content(running: Yard, target: str) -> object:
    return orjson.loads(running.stored(target).body)


async def test_a_job_from_its_trigger_to_fresh_responses(tmp_path: Path) -> None:
    policy = background(trigger=TriggerPolicy(wait=WAIT))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        await running.store(ONE, {"orders": ["old"]})
        await running.store("/orders?storeId=2", {"orders": ["another's"]})
        running.upstream.at(STATUS, {"refreshStatusId": 2})
        running.upstream.at(STATUS, {"refreshStatusId": 3})
        running.upstream.at(ONE, {"orders": ["new"]})
        id_ = await running.accept()
        began = running.clock.wall()
        running.worker.configure()
        job = await running.ended(id_)
        assert (job.state, job.reason) == (State.done, None)
        assert (job.subjects, job.responses) == (Progress(1, 1, 0), Progress(1, 1, 0))
        assert content(running, ONE) == {"orders": ["new"]}
        assert [sent.target for sent in running.upstream.sent] == [SENDING.target, STATUS, STATUS, ONE]
        trigger, *_, fetch = running.upstream.sent
        assert (trigger.method, trigger.body, trigger.fields["Authorization"]) == (
            "POST",
            SENDING.content,
            "Bearer upstream",
        )
        assert (fetch.background, fetch.fields["Cache-Control"]) == (True, "no-cache")
        assert (running.house.charged, running.house.reserved) == (4, 0)
        recorded = await running.register.recorded("ci", "stores", "1")
        assert recorded.state is State.done
        assert recorded.since is not None
        assert began <= recorded.since <= began + 1.0
        assert 'gateway_refreshes_total{kind="background",outcome="delivered",route="orders"} 1.0' in exposed(running)


def exposed(running: Yard) -> str:
    return running.metrics.exposition(None)[1].decode()


async def test_lists_are_followed_to_their_end(tmp_path: Path) -> None:
    policy = background(pages=PagesPolicy())
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        await running.store(ONE, {"page": 1, "pages": 1})
        running.upstream.at(ONE, {"page": 1, "pages": 3})
        running.upstream.at(TWO, {"page": 2, "pages": 3})
        running.upstream.at("/orders?storeId=1&page=3", {"page": 3, "pages": 3})
        id_ = await running.accept()
        running.worker.configure()
        job = await running.ended(id_)
        assert (job.state, job.responses) == (State.done, Progress(3, 3, 0))
        assert content(running, TWO) == {"page": 2, "pages": 3}


async def test_each_subject_has_its_own_call_where_the_config_says_so(tmp_path: Path) -> None:
    call = Call("POST", "/import", (("store", "{subject}"),), {"id": "{subject}"})
    policy = background(trigger=TriggerPolicy(call))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        id_ = await running.accept("1", "2", sending=None)
        running.worker.configure()
        assert (await running.ended(id_)).state is State.done
        assert sorted((sent.target, sent.body) for sent in running.upstream.sent) == [
            ("/import?store=1", b'{"id":1}'),
            ("/import?store=2", b'{"id":2}'),
        ]


async def test_what_fails_is_tried_again_and_given_up_and_what_is_stored_stays(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        await running.store(ONE, {"orders": ["old"]})
        running.upstream.always_at(ONE, b"", status=500)
        id_ = await running.accept()
        running.worker.configure()
        with capture_logs() as logs:
            job = await running.ended(id_)
            await running.worker.finish()
        assert (job.state, job.reason, job.responses) == (State.failed, "upstream_error", Progress(1, 0, 1))
        assert len(running.upstream.sent_to(ONE)) == running.work.policy.retry.attempts
        assert content(running, ONE) == {"orders": ["old"]}
        assert not running.stored(ONE).outdated
        told = [(entry["event"], entry.get("reason")) for entry in logs]
        assert told == [
            ("background refresh under way", None),
            ("step given up", "upstream_error"),
            ("background refresh ended", "upstream_error"),
        ]


async def test_a_thousand_steps_that_fail_alike_are_a_line_of_the_log(tmp_path: Path) -> None:
    policy = background(retry=RetryPolicy(attempts=1))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        for page in range(5):
            await running.store(f"{ONE}&page={page}", {})
        running.upstream.always = replace(running.upstream.always, status=500)
        id_ = await running.accept(sending=None, first=Stage.select)
        running.worker.configure()
        with capture_logs() as logs:
            assert (await running.ended(id_)).responses == Progress(5, 0, 5)
        assert [entry["event"] for entry in logs].count("step given up") == 1


async def test_no_more_calls_at_once_than_the_pace_allows(tmp_path: Path) -> None:
    policy = background(pace=PacePolicy(concurrency=2))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        gate = asyncio.Event()
        for page in range(5):
            target = f"{ONE}&page={page}"
            await running.store(target, {})
            running.upstream.at(target, {}, before=(gate,))
        id_ = await running.accept(sending=None, first=Stage.select)
        running.worker.configure()
        await running.upstream.arrived(2)
        # However often it looks for more.
        for _ in range(20):
            running.worker.wake("stores")
            await asyncio.sleep(0)
        assert (running.fetcher.in_flight, len(running.upstream.sent)) == (2, 2)
        gate.set()
        assert (await running.ended(id_)).responses == Progress(5, 5, 0)


async def test_no_faster_than_the_pace_allows(tmp_path: Path) -> None:
    policy = background(pace=PacePolicy(concurrency=9, rate=Rate(1, 60.0)))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        for page in range(3):
            await running.store(f"{ONE}&page={page}", {})
        id_ = await running.accept(sending=None, first=Stage.select)
        running.worker.configure()
        for calls in (1, 2, 3):
            await running.upstream.arrived(calls)
            await running.comes_true(partial(done, running, id_, calls), seconds=0.0)
            assert len(running.upstream.sent) == calls
            running.clock.advance(60.0)
            running.worker.wake("stores")
        assert (await running.job(id_)).state is State.done


async def done(running: Yard, id_: str, count: int) -> bool:
    return (await running.job(id_)).responses.done == count


async def test_a_cancelled_job_calls_no_more(tmp_path: Path) -> None:
    policy = background(pace=PacePolicy(concurrency=1))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        gate = asyncio.Event()
        for page in range(3):
            await running.store(f"{ONE}&page={page}", {})
            running.upstream.at(f"{ONE}&page={page}", {}, before=(gate,))
        id_ = await running.accept(sending=None, first=Stage.select)
        running.worker.configure()
        await running.upstream.arrived(1)
        await running.register.cancel(id_, running.clock.wall())
        # The page of steps that it holds is believed for a second.
        running.clock.advance(2.0)
        gate.set()
        await running.fetcher.finish()
        await running.worker.finish()
        assert len(running.upstream.sent) == 1


async def test_what_the_config_no_longer_has_waits_until_it_comes_back(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        running.worker.configure()
        running.configure(ORDERS)
        running.worker.configure()
        with capture_logs() as logs:
            id_ = await running.accept()
            await running.comes_true(
                lambda: told(logs, "refreshes wait: the config no longer has their background refresh")
            )
        assert (await running.job(id_)).state is State.pending
        assert not running.upstream.sent
        running.configure(begins(background()), ORDERS)
        running.worker.configure()
        assert (await running.ended(id_)).state is State.done


async def told(logs: Sequence[Mapping[str, object]], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


async def called(refused: Sequence[str], method: str) -> bool:
    return method in refused


async def test_a_register_out_of_reach_is_asked_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_AGAIN", 0.001)
    async with yard(tmp_path) as running:
        id_ = await running.accept()
        with out_of_reach(running.register) as refused:
            running.worker.configure()
            await running.comes_true(lambda: called(refused, "steps"))
        assert (await running.ended(id_)).state is State.done
        assert len(running.upstream.sent_to(SENDING.target)) == 1


async def test_what_fails_while_it_rests_is_no_reason_to_rest_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "_AGAIN", 0.001)
    async with yard(tmp_path) as running:
        running.worker.configure()
        [resting] = running.worker._lines.values()
        rest = asyncio.create_task(resting._rest())
        await asyncio.sleep(0)
        step = Step(1, Stage.fetch, "stores", "none", "alpha", "1", None, (), 0.0)
        await resting._give_up(step, Problem(Reason.jobs_unavailable))
        assert resting._resting
        await rest
        assert not resting._resting


async def test_a_bug_fails_its_step_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with yard(tmp_path) as running:
        await running.store(ONE, {})
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(Fetching, "end", broken)
            id_ = await running.accept()
            running.worker.configure()
            job = await running.ended(id_)
        assert (job.state, job.reason) == (State.failed, "internal_error")
        assert [entry["event"] for entry in logs if "exc_info" in entry] == ["step failed"]
        again = await running.accept()
        assert (await running.ended(again)).state is State.done


async def test_the_end_does_not_wait_for_room_and_what_waits_is_done_after_the_next_start(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        running.upstream.has_room.clear()
        id_ = await running.accept()
        running.worker.configure()
        await running.comes_true(lambda: waiting(running))
        async with asyncio.timeout(5):
            await running.worker.finish()
        assert not running.upstream.sent
        assert (await running.job(id_)).state is State.pending
        running.upstream.has_room.set()
        running.worker = type(running.worker)(running.register, running.parts)
        running.worker.configure()
        assert (await running.ended(id_)).state is State.done
        assert len(running.upstream.sent_to(SENDING.target)) == 1


async def waiting(running: Yard) -> bool:
    return running.upstream.waiting > 0


async def test_the_end_waits_for_calls_under_way(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        gate = asyncio.Event()
        running.upstream.at(SENDING.target, {}, before=(gate,))
        id_ = await running.accept()
        running.worker.configure()
        await running.upstream.arrived(1)
        finishing = asyncio.create_task(running.worker.finish())
        gate.set()
        await finishing
        (step,) = await running.register.steps("stores", running.clock.wall(), 9, ())
        assert (step.stage, (await running.job(id_)).state) == (Stage.select, State.running)


async def test_an_upstream_that_left_the_config_is_no_attempt(tmp_path: Path) -> None:
    policy = background()
    policy = replace(policy, retry=replace(policy.retry, attempts=1))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        await running.store(ONE, {})
        running.upstream.gone = Problem(Reason.upstream_unavailable)
        id_ = await running.accept()
        running.worker.configure()
        await running.comes_true(partial(asked_in_vain, running, 3))
        running.upstream.gone = None
        assert (await running.ended(id_)).state is State.done


@pytest.mark.slow
async def test_of_however_many_subjects_few_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with yard(tmp_path) as running:
        steps, held = running.register.steps, []

        async def counted(name: str, now: float, most: int, busy: tuple[tuple[str, int], ...]) -> tuple[Step, ...]:
            found = await steps(name, now, most, busy)
            held.append(len(found) + len(busy))
            return found

        monkeypatch.setattr(running.register, "steps", counted)
        id_ = await running.accept(*[str(number) for number in range(1, 1501)])
        running.worker.configure()
        assert (await running.ended(id_)).subjects == Progress(1500, 1500, 0)
        assert max(held) <= MOST_WAITING + line._PAGE + running.work.policy.pace.concurrency


async def test_a_subject_that_no_target_can_hold_is_given_up(tmp_path: Path) -> None:
    policy = background(subject=SubjectPolicy("name", "text"), trigger=TriggerPolicy(Call("POST", "/import/{subject}")))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        id_ = await running.accept("..", sending=None)
        running.worker.configure()
        job = await running.ended(id_)
        assert (job.state, job.reason) == (State.failed, "ambiguous_target")
        assert not running.upstream.sent


async def test_a_trigger_whose_end_could_not_be_written_down_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "_AGAIN", 0.001)
    async with yard(tmp_path) as running:
        gate = asyncio.Event()
        running.upstream.at(SENDING.target, {}, before=(gate,))
        id_ = await running.accept()
        running.worker.configure()
        await running.upstream.arrived(1)
        with out_of_reach(running.register) as refused:
            gate.set()
            await running.comes_true(lambda: called(refused, "passed"))
        assert (await running.ended(id_)).state is State.done
        assert len(running.upstream.sent_to(SENDING.target)) == 1


async def test_a_bug_between_steps_is_no_end_of_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_AGAIN", 0.001)
    async with yard(tmp_path) as running:
        id_ = await running.accept()

        async def broken(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(running.register, "steps", broken)
            running.worker.configure()
            await running.comes_true(lambda: told(logs, "background refreshes not looked at for a moment"))
        assert (await running.ended(id_)).state is State.done


async def test_a_fetch_whose_upstream_left_the_config_is_no_attempt(tmp_path: Path) -> None:
    policy = background()
    policy = replace(policy, retry=replace(policy.retry, attempts=1))
    async with yard(tmp_path, begins(policy), ORDERS) as running:
        await running.store(ONE, {})
        gate = asyncio.Event()
        running.upstream.at(SENDING.target, {}, before=(gate,))
        id_ = await running.accept()
        running.worker.configure()
        await running.upstream.arrived(1)
        running.upstream.gone = Problem(Reason.upstream_unavailable)
        gate.set()
        await running.comes_true(partial(asked_in_vain, running, 3))
        running.upstream.gone = None
        assert (await running.ended(id_)).responses == Progress(1, 1, 0)


async def asked_in_vain(running: Yard, times: int) -> bool:
    return running.upstream.turned_away >= times


async def test_a_job_s_end_is_told_once(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        with capture_logs() as logs:
            id_ = await running.accept("1", "2", "3")
            running.worker.configure()
            await running.ended(id_)
            await running.worker.finish()
        ended = [entry for entry in logs if entry["event"] == "background refresh ended"]
        (entry,) = ended
        assert (entry["refresh"], entry["background"], entry["account"]) == (id_, "stores", "ci")
        assert (entry["state"], entry["subjects_done"], entry["reason"]) == ("done", 3, None)


async def test_nothing_of_a_job_is_begun_that_may_be_taken_back(tmp_path: Path) -> None:
    """Its trigger could go out before its charge was in the journal, which might not take it."""
    async with yard(tmp_path) as running:
        running.worker.configure()
        id_ = await running.accept("1")
        with running.worker.withholding(id_):
            running.worker.wake("stores")
            other = await running.accept("2")
            running.worker.wake("stores")
            assert (await running.ended(other)).state is State.done
            assert (await running.job(id_)).state is State.pending
        running.worker.wake("stores")
        assert (await running.ended(id_)).state is State.done
