"""What a register must do with an order and its steps: part of the contract of `ports.Jobs`."""

from dataclasses import replace

from jobs.asked import NAME, REQUEST, due, finished, known, only, order, selected, target

from gateway.admission.jobs import (
    How,
    Kind,
    Progress,
    Recorded,
    Stage,
    State,
    Target,
)
from gateway.jobs.ranking import PATIENCE
from gateway.ports import Jobs


class StepsContract:
    """An order, its steps, and what comes of each."""

    # What an order becomes

    async def test_an_order_is_a_pending_job_with_a_step(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7", since=50.0, scopes=("", "k:acme")), 100.0)
        job = await known(jobs, accepted.job)
        assert accepted.how is How.initiated
        assert (job.kind, job.name, job.account, job.subject, job.since) == (Kind.background, NAME, "acme", "7", 50.0)
        assert (job.state, job.began, job.ended, job.reason) == (State.pending, 100.0, None, None)
        assert (job.subjects, job.responses) == (Progress(1), Progress())
        step = await only(jobs, 100.0)
        assert (step.stage, step.name, step.job, step.account) == (Stage.trigger, NAME, job.id, "acme")
        assert (step.subject, step.since, step.scopes, step.due) == ("7", 50.0, ("", "k:acme"), 100.0)
        assert (step.attempts, step.began, step.stage_began, step.sent) == (0, None, 100.0, False)
        assert (step.sending, step.target) == (None, None)

    async def test_a_whole_order_names_no_subject_and_has_a_step_for_each(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("1", "2", "1", whole=True, first=Stage.select), 100.0)
        job = await known(jobs, accepted.job)
        assert (job.subject, job.subjects) == (None, Progress(2))
        assert [(step.subject, step.stage) for step in await due(jobs, 100.0)] == [
            ("1", Stage.select),
            ("2", Stage.select),
        ]

    async def test_an_order_of_nothing_is_done(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order(whole=True, sending=REQUEST), 100.0)
        job = await known(jobs, accepted.job)
        assert (job.state, job.ended) == (State.done, 100.0)
        assert await due(jobs, 100.0) == ()

    async def test_a_clients_request_is_the_jobs_own_step_and_comes_back_whole(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("1", "2", whole=True, since=5.0, sending=REQUEST), 100.0)
        step = await only(jobs, 100.0)
        assert (step.stage, step.job, step.subject, step.sending) == (Stage.trigger, accepted.job, "", REQUEST)
        assert (step.since, step.account) == (5.0, "acme")
        await jobs.passed(step, Stage.wait, 103.0, 101.0)
        assert await due(jobs, 102.0) == ()
        waits = await due(jobs, 103.0)
        assert [(wait.stage, wait.subject, wait.began, wait.stage_began) for wait in waits] == [
            (Stage.wait, "1", 101.0, 101.0),
            (Stage.wait, "2", 101.0, 101.0),
        ]

    async def test_ids_tell_neither_each_other_nor_a_number(self, jobs: Jobs) -> None:
        ids = [(await jobs.accept(order(str(n)), 100.0)).job for n in range(20)]
        assert len(set(ids)) == 20
        assert ids != sorted(ids)
        assert all(len(id_) >= 24 for id_ in ids)

    async def test_names_are_kept_apart(self, jobs: Jobs) -> None:
        await jobs.accept(order("1"), 100.0)
        other = await jobs.accept(replace(order("1"), name="other"), 100.0)
        assert other.how is How.initiated
        assert [step.job for step in await jobs.steps("other", 100.0, 10, ())] == [other.job]
        assert (await jobs.recorded("acme", "third", "1")) == Recorded()

    # From the first step to the end

    async def test_a_job_goes_through_its_stages_and_is_done(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7"), 100.0)
        step = await only(jobs, 101.0)
        assert await jobs.sent(step, 102.0)
        assert (await known(jobs, accepted.job)).state is State.running
        sent = await only(jobs, 102.0)
        assert (sent.sent, sent.began) == (True, 102.0)
        await jobs.passed(sent, Stage.wait, 105.0, 103.0)
        wait = await only(jobs, 105.0)
        assert (wait.stage, wait.sent, wait.began, wait.stage_began, wait.due) == (
            Stage.wait,
            False,
            102.0,
            103.0,
            105.0,
        )
        await jobs.passed(wait, Stage.select, 106.0, 106.0)
        select = await only(jobs, 106.0)
        await jobs.found(select, [target("/a"), target("/b")], last=False, now=107.0)
        assert await due(jobs, 107.0) == (select,)
        await jobs.found(select, [target("/b"), target("/c")], last=True, now=108.0)
        assert (await known(jobs, accepted.job)).responses == Progress(3)
        fetches = await due(jobs, 108.0)
        assert [fetch.target for fetch in fetches] == [target("/a"), target("/b"), target("/c")]
        assert {(fetch.stage, fetch.subject, fetch.job, fetch.began) for fetch in fetches} == {
            (Stage.fetch, "7", accepted.job, 102.0)
        }
        for fetch in fetches:
            await jobs.fetched(fetch, (), 109.0)
        job = await known(jobs, accepted.job)
        assert (job.state, job.ended, job.reason) == (State.done, 109.0, None)
        assert (job.subjects, job.responses) == (Progress(1, 1), Progress(3, 3))
        assert await jobs.recorded("acme", NAME, "7") == Recorded(100.0, 102.0, State.done)
        assert await jobs.next_due(NAME) is None

    async def test_where_nothing_is_found_it_is_done(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7", first=Stage.select), 100.0)
        await jobs.found(await only(jobs, 100.0), (), last=True, now=101.0)
        assert (await known(jobs, accepted.job)).state is State.done
        assert (await jobs.recorded("acme", NAME, "7")).since == 101.0

    async def test_a_selection_that_is_made_again_adds_each_target_once(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7", first=Stage.select), 100.0)
        select = await only(jobs, 100.0)
        await jobs.found(select, [target("/a"), target("/b")], last=False, now=101.0)
        await jobs.found(
            select, [target("/b"), target("/a"), Target("k:x", target("/a").sending)], last=True, now=102.0
        )
        await jobs.found(select, [target("/late")], last=True, now=103.0)
        assert (await known(jobs, accepted.job)).responses == Progress(3)
        assert len(await due(jobs, 103.0)) == 3

    async def test_a_lists_further_pages_are_fetched_once_each(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7"), 100.0)
        [first] = await selected(jobs, 100.0, "/orders?page=1")
        pages = [target(f"/orders?page={n}") for n in range(1, 4)]
        await jobs.fetched(first, pages, 101.0)
        second, third = await due(jobs, 101.0)
        await jobs.fetched(second, pages, 102.0)
        await jobs.fetched(second, (), 102.0)
        assert (await known(jobs, accepted.job)).responses == Progress(3, 2)
        await jobs.fetched(third, pages, 103.0)
        assert (await known(jobs, accepted.job)).state is State.done

    async def test_what_is_due_longest_comes_first_and_what_is_busy_is_left_out(self, jobs: Jobs) -> None:
        await jobs.accept(order("a", "b", "c"), 100.0)
        for step, moment in zip(await due(jobs, 100.0), (103.0, 101.0, 102.0), strict=True):
            await jobs.later(step, moment, "upstream_refused", 100.0, failed=True)
        steps = await due(jobs, 103.0)
        assert [step.subject for step in steps] == ["b", "c", "a"]
        busy = [(steps[0].stage, steps[0].id), (Stage.fetch, steps[1].id)]
        assert [step.subject for step in await jobs.steps(NAME, 103.0, 1, busy)] == ["c"]
        assert [step.subject for step in await jobs.steps(NAME, 103.0, 1, ())] == ["b"]
        assert await jobs.next_due(NAME) == 101.0

    async def test_steps_of_one_stage_have_ids_of_their_own(self, jobs: Jobs) -> None:
        await jobs.accept(order("1", "2"), 100.0)
        await jobs.accept(order("3", "4", sending=REQUEST), 100.0)
        await jobs.accept(order("5", "6", sending=REQUEST), 100.0)
        assert len({step.id for step in await due(jobs, 100.0)}) == 4

    # Who goes first

    async def test_what_is_about_few_goes_before_what_is_about_many(self, jobs: Jobs) -> None:
        many = [f"many {number}" for number in range(101)]
        await jobs.accept(order(*many, whole=True, first=Stage.select), 100.0)
        await jobs.accept(order("a", "b", account="some", whole=True, first=Stage.select), 101.0)
        await jobs.accept(order("one", account="third", first=Stage.select), 102.0)
        assert [step.subject for step in await due(jobs, 102.0)] == ["one", "a", "b", *many]

    async def test_a_jobs_own_trigger_goes_before_all_else(self, jobs: Jobs) -> None:
        await jobs.accept(order("one", first=Stage.select), 100.0)
        many = await jobs.accept(order("a", "b", whole=True, sending=REQUEST), 101.0)
        assert [step.job for step in await jobs.steps(NAME, 101.0, 1, ())] == [many.job]

    async def test_what_many_have_found_waits_for_what_one_has(self, jobs: Jobs) -> None:
        await jobs.accept(order("a", "b", whole=True, first=Stage.select), 100.0)
        for step in await due(jobs, 100.0):
            await jobs.found(step, [target(f"/{step.subject}")], last=True, now=100.0)
        await jobs.accept(order("one", account="other", first=Stage.select), 101.0)
        await jobs.found((await due(jobs, 101.0))[0], [target("/one")], last=True, now=101.0)
        assert [step.subject for step in await due(jobs, 101.0)] == ["one", "a", "b"]

    async def test_one_that_has_found_much_lets_others_go_between(self, jobs: Jobs) -> None:
        await jobs.accept(order("large", first=Stage.select), 100.0)
        await jobs.found(await only(jobs, 100.0), [target(f"/large/{n}") for n in range(1, 13)], last=True, now=100.0)
        await jobs.accept(order("small", first=Stage.select), 101.0)
        for step in await due(jobs, 101.0):
            if step.stage is Stage.select:
                await jobs.found(step, [target("/small/1"), target("/small/2")], last=True, now=101.0)
        subjects = [step.subject for step in await due(jobs, 101.0)]
        assert subjects == ["large", "small", *["large"] * 9, "small", "large", "large"]

    async def test_what_a_small_job_joins_goes_as_its_own_would(self, jobs: Jobs) -> None:
        many = [str(number) for number in range(1, 12)]
        await jobs.accept(order(*many, whole=True, first=Stage.select), 100.0)
        for step in (await due(jobs, 100.0))[:5]:
            pages = [target(f"/{step.subject}"), target(f"/{step.subject}/2")]
            await jobs.found(step, pages, last=True, now=100.0)
        await jobs.accept(order("3", "9", account="other", whole=True, first=Stage.select), 101.0)
        await jobs.accept(order("3", account="third", first=Stage.select), 102.0)
        assert [step.subject for step in await due(jobs, 102.0)][:3] == ["3", "9", "3"]

    async def test_what_its_own_job_is_asked_of_one_goes_before_the_others(self, jobs: Jobs) -> None:
        await jobs.accept(order("1", "2", "3", whole=True, first=Stage.select), 100.0)
        await jobs.accept(order("2", first=Stage.select), 101.0)
        assert [step.subject for step in await due(jobs, 101.0)] == ["2", "1", "3"]

    async def test_nobody_is_passed_over_for_ever(self, jobs: Jobs) -> None:
        await jobs.accept(order("a", "b", whole=True, first=Stage.select), 100.0)
        await jobs.accept(order("soon", account="other", first=Stage.select), 100.0 + PATIENCE - 1.0)
        late = 100.0 + PATIENCE + 1.0
        await jobs.accept(order("late", account="third", first=Stage.select), late)
        assert [step.subject for step in await due(jobs, late)] == ["soon", "a", "b", "late"]

    async def test_whoever_goes_first_the_next_is_due_when_the_first_of_all_is(self, jobs: Jobs) -> None:
        await jobs.accept(order("a", "b", whole=True), 100.0)
        await jobs.accept(order("one", account="other"), 100.0)
        for step, moment in zip(await due(jobs, 100.0), (130.0, 120.0, 110.0), strict=True):
            await jobs.passed(step, Stage.select, moment, 100.0)
        assert await jobs.next_due(NAME) == 110.0
        [first] = await due(jobs, 110.0)
        await jobs.found(first, map(target, ("/1", "/2")), last=True, now=110.0)
        one, two = await due(jobs, 110.0)
        await jobs.later(one, 150.0, "upstream_error", 110.0, failed=True)
        await jobs.later(two, 115.0, "upstream_error", 110.0, failed=True)
        assert await jobs.next_due(NAME) == 115.0

    # What fails

    async def test_a_step_is_tried_again_and_counts_what_failed(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7"), 100.0)
        step = await only(jobs, 100.0)
        await jobs.sent(step, 101.0)
        await jobs.later(step, 110.0, "upstream_refused", 102.0, failed=True)
        assert await jobs.next_due(NAME) == 110.0
        assert await due(jobs, 109.0) == ()
        again = await only(jobs, 110.0)
        assert (again.attempts, again.began, again.sent) == (1, 101.0, False)
        assert (await known(jobs, accepted.job)).reason == "upstream_refused"
        await jobs.later(again, 120.0, "upstream_rate_limited", 111.0, failed=False)
        assert (await only(jobs, 120.0)).attempts == 1
        await finished(jobs, 120.0)
        assert (await known(jobs, accepted.job)).reason is None

    async def test_attempts_count_for_one_stage(self, jobs: Jobs) -> None:
        await jobs.accept(order("7"), 100.0)
        await jobs.later(await only(jobs, 100.0), 100.0, "upstream_refused", 100.0, failed=True)
        await jobs.passed(await only(jobs, 100.0), Stage.wait, 100.0, 100.0)
        assert (await only(jobs, 100.0)).attempts == 0

    async def test_a_fetch_and_a_jobs_own_trigger_are_tried_again(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7", sending=REQUEST), 100.0)
        trigger = await only(jobs, 100.0)
        await jobs.sent(trigger, 100.0)
        await jobs.later(trigger, 101.0, "upstream_refused", 100.0, failed=True)
        again = await only(jobs, 101.0)
        assert (again.attempts, again.sent, again.began) == (1, False, 100.0)
        [fetch] = await selected(jobs, 101.0, "/a")
        await jobs.later(fetch, 105.0, "upstream_error", 102.0, failed=True)
        fetch = await only(jobs, 105.0)
        assert (fetch.attempts, fetch.due) == (1, 105.0)
        await jobs.fetched(fetch, (), 105.0)
        assert (await known(jobs, accepted.job)).state is State.done

    async def test_a_target_that_failed_fails_its_subject_once_the_others_are_fetched(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7"), 100.0)
        fetches = await selected(jobs, 100.0, "/a", "/b", "/c")
        await jobs.failed(fetches[0], "upstream_error", 101.0)
        await jobs.failed(fetches[1], "upstream_read_timeout", 101.0)
        assert (await known(jobs, accepted.job)).state is State.running
        await jobs.fetched(fetches[2], (), 102.0)
        job = await known(jobs, accepted.job)
        assert (job.state, job.ended, job.reason) == (State.failed, 102.0, "upstream_error")
        assert (job.subjects, job.responses) == (Progress(1, 0, 1), Progress(3, 1, 2))
        assert await jobs.recorded("acme", NAME, "7") == Recorded(100.0, None, State.failed)

    async def test_a_step_given_up_fails_its_subject_and_the_job_when_the_others_have_ended(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("1", "2", "3", whole=True), 100.0)
        first, second, _ = await due(jobs, 100.0)
        await jobs.failed(first, "trigger_refused", 101.0)
        await jobs.failed(second, "upstream_error", 101.0)
        assert (await known(jobs, accepted.job)).subjects == Progress(3, 0, 2)
        await finished(jobs, 102.0)
        job = await known(jobs, accepted.job)
        assert (job.state, job.subjects) == (State.failed, Progress(3, 1, 2))
        assert job.reason == "2 of 3 failed, the first for trigger_refused"
        assert (await jobs.recorded("acme", NAME, "1")).since is None
        assert (await jobs.recorded("acme", NAME, "3")).since == 102.0

    async def test_a_jobs_trigger_that_failed_fails_all_that_waits_for_it(self, jobs: Jobs) -> None:
        await jobs.accept(order("1", account="other"), 100.0)
        accepted = await jobs.accept(order("1", "2", "3", whole=True, sending=REQUEST), 100.0)
        trigger, own = sorted(await due(jobs, 100.0), key=lambda step: step.subject)
        await jobs.failed(trigger, "trigger_refused", 101.0)
        assert (await known(jobs, accepted.job)).subjects == Progress(3, 0, 2)
        await jobs.passed(own, Stage.select, 102.0, 102.0)
        await finished(jobs, 102.0)
        job = await known(jobs, accepted.job)
        assert (job.state, job.subjects) == (State.failed, Progress(3, 1, 2))
        await jobs.failed(trigger, "trigger_refused", 103.0)
        assert await known(jobs, accepted.job) == job

    async def test_a_step_that_is_gone_changes_nothing(self, jobs: Jobs) -> None:
        accepted = await jobs.accept(order("7"), 100.0)
        trigger = await only(jobs, 100.0)
        [fetch] = await selected(jobs, 100.0, "/a")
        before = await known(jobs, accepted.job)
        assert not await jobs.sent(trigger, 101.0)
        await jobs.passed(trigger, Stage.wait, 101.0, 101.0)
        await jobs.later(trigger, 101.0, "late", 101.0, failed=True)
        await jobs.failed(trigger, "late", 101.0)
        await jobs.found(trigger, [target("/late")], last=True, now=101.0)
        assert await known(jobs, accepted.job) == before
        await jobs.fetched(fetch, (), 102.0)
        ended = await known(jobs, accepted.job)
        await jobs.fetched(fetch, [target("/late")], 103.0)
        await jobs.later(fetch, 103.0, "late", 103.0, failed=True)
        await jobs.failed(fetch, "late", 103.0)
        assert await known(jobs, accepted.job) == ended
        assert await due(jobs, 200.0) == ()
