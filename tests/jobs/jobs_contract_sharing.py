"""How jobs share work, what is recorded of it, and how they leave it: part of the contract of `ports.Jobs`."""

from dataclasses import replace

import pytest
from jobs.asked import NAME, REQUEST, due, finished, known, only, order, selected, target

from gateway.admission.jobs import (
    EVERY_SCOPE,
    Accepted,
    How,
    Progress,
    Recorded,
    Stage,
    State,
    Step,
)
from gateway.ports import Jobs


class SharingContract:
    """Joining, widening, records, cancelling and withdrawing."""

    # What it joins

    async def test_an_accounts_own_job_is_the_answer(self, jobs: Jobs) -> None:
        first = await jobs.accept(order("1", "2", whole=True, since=50.0), 100.0)
        assert await jobs.accept(order("2", since=50.0), 101.0) == Accepted(first.job, How.joined)
        assert await jobs.accept(order("1", "2", whole=True), 102.0) == Accepted(first.job, How.joined)
        assert len(await jobs.latest(None, 10)) == 1
        assert len(await due(jobs, 102.0)) == 2
        assert (await jobs.recorded("acme", NAME, "2")).attempted == 102.0

    async def test_a_whole_order_joins_the_work_on_one_and_begins_the_rest(self, jobs: Jobs) -> None:
        one = await jobs.accept(order("2"), 100.0)
        whole = await jobs.accept(order("1", "2", "3", whole=True, sending=REQUEST), 101.0)
        assert whole.how is How.initiated
        assert whole.job != one.job
        steps = await due(jobs, 101.0)
        assert [(step.job, step.subject) for step in steps] == [(whole.job, ""), (one.job, "2")]
        await jobs.passed(steps[1], Stage.select, 101.0, 101.0)
        await finished(jobs, 102.0)
        assert (await known(jobs, one.job)).subjects == Progress(1, 1)
        assert (await known(jobs, whole.job)).subjects == Progress(3, 3)

    async def test_another_accounts_order_shares_the_work_and_sends_no_trigger(self, jobs: Jobs) -> None:
        first = await jobs.accept(order("7"), 100.0)
        fetches = await selected(jobs, 100.0, "/a", "/b")
        await jobs.fetched(fetches[0], (), 101.0)
        second = await jobs.accept(order("7", account="other", sending=REQUEST), 102.0)
        assert second.how is How.joined
        assert second.job != first.job
        assert await due(jobs, 102.0) == fetches[1:]
        joined = await known(jobs, second.job)
        assert (joined.state, joined.responses) == (State.running, Progress(2, 1))
        await jobs.fetched(fetches[1], (), 103.0)
        for id_ in (first.job, second.job):
            job = await known(jobs, id_)
            assert (job.state, job.subjects, job.responses) == (State.done, Progress(1, 1), Progress(2, 2))
        for account, attempted in (("acme", 100.0), ("other", 102.0)):
            assert await jobs.recorded(account, NAME, "7") == Recorded(attempted, 100.0, State.done)

    async def test_what_has_ended_is_joined_no_more(self, jobs: Jobs) -> None:
        first = await jobs.accept(order("1", "2", whole=True), 100.0)
        one, _ = await due(jobs, 100.0)
        await jobs.failed(one, "trigger_refused", 100.0)
        second = await jobs.accept(order(one.subject), 101.0)
        assert second.how is How.initiated
        assert second.job != first.job

    @pytest.mark.parametrize("stage", [Stage.trigger, Stage.wait, Stage.select, Stage.fetch])
    async def test_an_earlier_since_takes_the_work_back_to_its_first_stage(self, jobs: Jobs, stage: Stage) -> None:
        first = await jobs.accept(order("7", since=50.0), 100.0)
        step = await only(jobs, 100.0)
        if stage is not Stage.trigger:
            await jobs.passed(step, Stage.wait if stage is Stage.wait else Stage.select, 100.0, 100.0)
            step = await only(jobs, 100.0)
        if stage is Stage.fetch:
            await jobs.found(step, [target("/a"), target("/b")], last=True, now=100.0)
            step, other = await due(jobs, 100.0)
            await jobs.failed(other, "upstream_error", 100.0)
        second = await jobs.accept(order("7", account="other", since=40.0, sending=REQUEST), 101.0)
        assert second.how is How.widened
        trigger = await only(jobs, 101.0)
        assert (trigger.job, trigger.sending) == (second.job, REQUEST)
        assert (await known(jobs, first.job)).responses == Progress()
        await self._answer(jobs, step)
        assert await due(jobs, 101.0) == (trigger,)
        await jobs.passed(trigger, Stage.select, 102.0, 102.0)
        select = await only(jobs, 102.0)
        assert (select.since, select.began, select.attempts, select.job) == (40.0, 102.0, 0, second.job)
        await finished(jobs, 103.0)
        assert [(await known(jobs, id_)).state for id_ in (first.job, second.job)] == [State.done, State.done]
        assert [(await known(jobs, id_)).responses for id_ in (first.job, second.job)] == [Progress(1, 1)] * 2
        assert (await jobs.recorded("acme", NAME, "7")).since == 102.0

    async def test_an_account_widens_its_own_work_by_a_job_of_its_own(self, jobs: Jobs) -> None:
        first = await jobs.accept(order("7", since=50.0), 100.0)
        second = await jobs.accept(order("7", since=40.0), 101.0)
        assert second.how is How.widened
        assert second.job != first.job
        assert (await only(jobs, 101.0)).since == 40.0

    async def test_a_trigger_that_another_has_taken_the_place_of_is_not_sent(self, jobs: Jobs) -> None:
        await jobs.accept(order("7", since=50.0, sending=REQUEST), 100.0)
        superseded = await only(jobs, 100.0)
        second = await jobs.accept(order("7", account="other", since=40.0, sending=REQUEST), 101.0)
        assert (await only(jobs, 101.0)).job == second.job
        assert not await jobs.sent(superseded, 102.0)
        await jobs.passed(superseded, Stage.select, 102.0, 102.0)
        await jobs.failed(superseded, "trigger_refused", 102.0)
        assert (await only(jobs, 102.0)).job == second.job

    async def test_scopes_that_the_work_lacks_widen_it(self, jobs: Jobs) -> None:
        await jobs.accept(order("7", scopes=("k:acme",)), 100.0)
        other = order("7", account="other", scopes=("k:other",), sending=REQUEST)
        assert (await jobs.accept(other, 101.0)).how is How.widened
        step = await only(jobs, 101.0)
        assert (step.stage, step.scopes, step.sending) == (Stage.trigger, ("k:acme", "k:other"), None)
        await selected(jobs, 102.0, "/a")
        third = await jobs.accept(replace(other, account="third", scopes=("k:third",)), 103.0)
        assert third.how is How.widened
        trigger = await only(jobs, 103.0)
        assert (trigger.job, trigger.sending) == (third.job, REQUEST)
        await jobs.passed(trigger, Stage.select, 104.0, 104.0)
        assert (await only(jobs, 104.0)).scopes == ("k:acme", "k:other", "k:third")

    async def test_every_scope_lacks_none(self, jobs: Jobs) -> None:
        await jobs.accept(order("7", account="ops", scopes=(EVERY_SCOPE,)), 100.0)
        assert (await jobs.accept(order("7", scopes=("", "k:acme")), 101.0)).how is How.joined

    # Since

    async def test_the_last_recorded_since_is_meant_where_none_is_given(self, jobs: Jobs) -> None:
        await jobs.accept(order("7"), 100.0)
        assert (await only(jobs, 100.0)).since is None
        await finished(jobs, 101.0)
        await jobs.accept(order("7"), 200.0)
        assert (await only(jobs, 200.0)).since == 101.0
        assert (await jobs.accept(order("7"), 201.0)).how is How.joined

    async def test_a_recorded_since_never_goes_back(self, jobs: Jobs) -> None:
        await jobs.accept(order("7"), 300.0)
        await finished(jobs, 301.0)
        await jobs.accept(order("7"), 200.0)
        await finished(jobs, 201.0)
        assert await jobs.recorded("acme", NAME, "7") == Recorded(200.0, 301.0, State.done)

    # What is recorded

    async def test_a_records_state_is_that_of_the_subjects_work(self, jobs: Jobs) -> None:
        assert await jobs.recorded("acme", NAME, "7") == Recorded()
        await jobs.accept(order("7", "8", whole=True), 100.0)
        assert (await jobs.recorded("acme", NAME, "7")).state is State.pending
        seven, _ = await due(jobs, 100.0)
        await jobs.sent(seven, 101.0)
        assert (await jobs.recorded("acme", NAME, seven.subject)).state is State.running
        assert (await jobs.recorded("acme", NAME, "8")).state is State.pending
        assert await jobs.recorded("other", NAME, "7") == Recorded()
        await jobs.failed(seven, "trigger_refused", 102.0)
        assert (await jobs.recorded("acme", NAME, "7")).state is State.failed

    # Cancelling

    async def test_a_cancelled_job_takes_its_work_with_it(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("1", "2", whole=True), 100.0)
        steps = await due(jobs, 100.0)
        assert await jobs.cancel(accepted.job, 101.0) is State.pending
        job = await known(jobs, accepted.job)
        assert (job.state, job.ended, job.reason) == (State.cancelled, 101.0, None)
        assert await due(jobs, 101.0) == ()
        assert not await jobs.sent(steps[0], 102.0)
        assert await jobs.recorded("acme", NAME, "1") == Recorded(100.0, None, State.cancelled)
        assert await jobs.cancel(accepted.job, 103.0) is State.cancelled
        assert (await known(jobs, accepted.job)).ended == 101.0
        assert await jobs.cancel("unknown", 104.0) is None

    async def test_work_that_another_job_is_interested_in_goes_on(self, jobs: Jobs) -> None:
        first = await jobs.accept(order("1", "2", whole=True), 100.0)
        second = await jobs.accept(order("2", account="other"), 100.0)
        await jobs.cancel(first.job, 101.0)
        step = await only(jobs, 101.0)
        assert step.subject == "2"
        await finished(jobs, 102.0)
        assert (await known(jobs, second.job)).state is State.done
        assert (await known(jobs, first.job)).subjects == Progress(2)
        assert await jobs.recorded("acme", NAME, "2") == Recorded(100.0, None, State.cancelled)
        assert await jobs.recorded("other", NAME, "2") == Recorded(100.0, 102.0, State.done)

    async def test_a_cancelled_jobs_trigger_is_sent_while_others_wait_for_it(self, jobs: Jobs) -> None:
        first = await jobs.accept(order("7", sending=REQUEST), 100.0)
        second = await jobs.accept(order("7", account="other", sending=REQUEST), 100.0)
        await jobs.cancel(first.job, 101.0)
        trigger = await only(jobs, 101.0)
        assert trigger.sending == REQUEST
        await jobs.prune(1000.0)
        assert await jobs.sent(trigger, 102.0)
        await finished(jobs, 103.0)
        assert (await known(jobs, second.job)).state is State.done

    async def test_of_two_jobs_of_an_account_one_is_cancelled(self, jobs: Jobs) -> None:
        await jobs.accept(order("7"), 100.0)
        whole = await jobs.accept(order("7", "8", whole=True), 100.0)
        await jobs.cancel(whole.job, 101.0)
        assert (await jobs.recorded("acme", NAME, "7")).state is State.pending
        assert (await jobs.recorded("acme", NAME, "8")).state is State.cancelled

    async def test_a_job_that_has_ended_stays_as_it_is(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7"), 100.0)
        await finished(jobs, 101.0)
        assert await jobs.cancel(accepted.job, 102.0) is State.done
        await jobs.withdraw(accepted.job, 102.0)
        assert (await known(jobs, accepted.job)).state is State.done

    # Withdrawing

    async def test_a_withdrawn_order_leaves_the_record_as_it_was(self, jobs: Jobs) -> None:
        await jobs.accept(order("7"), 100.0)
        await finished(jobs, 101.0)
        accepted = await jobs.accept(order("7", "8", whole=True), 200.0)
        await jobs.withdraw(accepted.job, 201.0)
        job = await known(jobs, accepted.job)
        assert (job.state, job.ended, job.reason) == (State.cancelled, 201.0, "not_charged")
        assert await due(jobs, 201.0) == ()
        assert await jobs.recorded("acme", NAME, "7") == Recorded(100.0, 101.0, State.done)
        assert await jobs.recorded("acme", NAME, "8") == Recorded()
        await jobs.withdraw("unknown", 202.0)

    async def test_a_withdrawn_order_does_not_end_the_job_that_it_has_joined(self, jobs: Jobs) -> None:
        first = await jobs.accept(order("7"), 100.0)
        assert (await jobs.accept(order("7"), 101.0)).job == first.job
        await jobs.withdraw(first.job, 102.0)
        assert (await known(jobs, first.job)).state is State.pending
        await jobs.withdraw(first.job, 103.0)
        assert (await known(jobs, first.job)).state is State.cancelled

    async def _answer(self, jobs: Jobs, step: Step) -> None:
        """Whatever may be reported of a step, late."""
        await jobs.sent(step, 101.0)
        await jobs.later(step, 101.0, "late", 101.0, failed=True)
        await jobs.passed(step, Stage.wait, 101.0, 101.0)
        await jobs.found(step, [target("/late")], last=True, now=101.0)
        await jobs.fetched(step, [target("/late")], 101.0)
        await jobs.failed(step, "late", 101.0)
