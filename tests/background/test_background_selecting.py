"""Which stored responses a selection finds, and that one walk serves all that wait."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from admission.snapshots import make_route
from background.yard import ORDERS, Yard, background, begins, yard
from structlog.testing import capture_logs
from support.registers import out_of_reach

from gateway.admission.background import SubjectPolicy
from gateway.admission.jobs import EVERY_SCOPE, Stage, Step, Target
from gateway.admission.snapshot import CachePolicy, Share
from gateway.admission.tagging import Tag
from gateway.admission.target import canonical
from gateway.background.endings import Nothing
from gateway.background.selecting import Selecting
from gateway.background.turns import Ended, Turns
from gateway.errors import Problem
from gateway.rfc9111.stored import Policy, StoredResponse
from gateway.stores import TierUnavailable

STEP = Step(1, Stage.select, "stores", "j", "ci", "1", None, ("",), 0.0)


class Found:
    """As much of a register as a selection asks."""

    def __init__(self) -> None:
        self.slices: list[tuple[str, int, bool]] = []
        self.targets: dict[str, set[str]] = {}

    async def found(self, step: Step, targets: Iterable[Target], *, last: bool, now: float) -> None:
        found = [target.sending.target for target in targets]
        self.slices.append((step.subject, len(found), last))
        self.targets.setdefault(step.subject, set()).update(found)


def selecting(running: Yard, jobs: Any, turns: Turns | None = None) -> Selecting:
    return Selecting(jobs, running.parts, turns or Turns())


def subject(name: str, *scopes: str) -> Step:
    return replace(STEP, subject=name, scopes=scopes or ("",))


async def test_what_is_behind_memory_alone_is_outdated_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, ...]] = []
    async with yard(tmp_path) as running:
        monkeypatch.setattr(running.parts.cache, "outdate_behind", told.append)
        await selecting(running, Found()).end(STEP, running.work)
    [groups] = told
    assert groups
    assert all(group.endswith("1") for group in groups)


async def test_what_a_fleet_has_stored_is_written_down_before_it_is_outdated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, written = Found(), list[dict[str, set[str]]]()
    async with yard(tmp_path) as running:
        stored = await running.store("/orders?storeId=1", {})

        async def elsewhere(wanted: Mapping[str, Any]) -> AsyncIterator[tuple[Any, StoredResponse]]:
            yield next(iter(wanted.values())), stored

        monkeypatch.setattr(running.parts.cache, "members_behind", elsewhere)
        monkeypatch.setattr(running.parts.cache, "outdate_behind", lambda _: written.append(dict(jobs.targets)))
        await selecting(running, jobs).end(STEP, running.work)
    assert written == [{"1": {"/orders?storeId=1"}}]
    assert jobs.slices == [("1", 1, False), ("1", 1, True)]


async def test_what_a_fleet_has_stored_and_nobody_can_read_now_is_selected_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, ...]] = []

    async def unread(wanted: Mapping[str, Any]) -> AsyncIterator[object]:
        if wanted:
            raise TierUnavailable("TimeoutError")
        yield wanted

    async with yard(tmp_path) as running:
        monkeypatch.setattr(running.parts.cache, "members_behind", unread)
        monkeypatch.setattr(running.parts.cache, "outdate_behind", told.append)
        with pytest.raises(Problem, match="jobs_unavailable"):
            await selecting(running, Found()).end(STEP, running.work)
    assert told == []


async def test_what_has_the_subject_s_tags(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        for target in ("/orders?storeId=1", "/orders?storeId=1&page=2", "/orders?storeId=2", "/orders"):
            await running.store(target, {})
        jobs = Found()
        assert await selecting(running, jobs).end(STEP, running.work) == Nothing()
        assert jobs.targets == {"1": {"/orders?storeId=1", "/orders?storeId=1&page=2"}}
        assert jobs.slices == [("1", 2, True)]


@pytest.mark.parametrize("template", ["shop:{shop}", "shop:{query.of}"])
@pytest.mark.parametrize("name", ["alpha", "café 4", "a+b,c", "100%", "A-1_~."])
async def test_a_subject_of_text_has_its_tags_however_a_target_spells_it(
    tmp_path: Path, template: str, name: str
) -> None:
    tagged = CachePolicy(Policy(ttl=900.0), tags=(Tag.parse(template),))
    stock = make_route("/shops/{shop}/stock", name="stock", cache=tagged)
    shops = background(subject=SubjectPolicy("shop", "text"), tags=("shop:{subject}",))
    async with yard(tmp_path, begins(shops), stock) as running:
        target = canonical(f"/shops/{quote(name, safe='')}/stock?of={quote(name)}").render()
        await running.store(target, {})
        jobs = Found()
        await selecting(running, jobs).end(subject(name), running.work)
        assert jobs.targets == {name: {target}}


SCOPES = {
    "everybody's": (Share.everyone, ("",), True),
    "one account's": (Share.key, ("", "k:ci"), True),
    "an organization's": (Share.organization, ("", "o:acme"), True),
    "another's": (Share.key, ("", "k:other"), False),
    "whichever it is": (Share.key, (EVERY_SCOPE,), True),
}


@pytest.mark.parametrize(("share", "scopes", "found"), SCOPES.values(), ids=SCOPES)
async def test_in_the_scopes_of_those_interested(
    tmp_path: Path, share: Share, scopes: tuple[str, ...], found: bool
) -> None:
    assert ORDERS.cache is not None
    shared = replace(ORDERS, cache=replace(ORDERS.cache, share=share))
    async with yard(tmp_path, begins(background()), shared) as running:
        await running.store("/orders?storeId=1", {})
        jobs = Found()
        await selecting(running, jobs).end(subject("1", *scopes), running.work)
        assert jobs.slices == [("1", int(found), True)]


async def test_one_walk_for_all_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with yard(tmp_path) as running:
        for store in range(3):
            await running.store(f"/orders?storeId={store}", {})
        walks, members = [], running.cache.members

        def counted(wanted: Mapping[str, Any]) -> AsyncIterator[Any]:
            walks.append(len(wanted))
            return members(wanted)

        monkeypatch.setattr(running.cache, "members", counted)
        jobs = Found()
        one = selecting(running, jobs)
        async with asyncio.TaskGroup() as group:
            for store in range(3):
                group.create_task(one.end(subject(str(store)), running.work))
        assert walks == [3]
        assert sorted(jobs.slices) == [("0", 1, True), ("1", 1, True), ("2", 1, True)]


async def test_many_are_written_down_in_slices(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        for page in range(250):
            await running.store(f"/orders?storeId=1&page={page}", {})
        jobs = Found()
        await selecting(running, jobs).end(STEP, running.work)
        assert jobs.slices == [("1", 100, False), ("1", 100, False), ("1", 50, True)]
        assert len(jobs.targets["1"]) == 250


@pytest.mark.slow
async def test_few_each_of_many_subjects_are_not_all_held(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        for store in range(30):
            for page in range(40):
                await running.store(f"/orders?storeId={store}&page={page}", {})
        jobs = Found()
        one = selecting(running, jobs)
        async with asyncio.TaskGroup() as group:
            for store in range(30):
                group.create_task(one.end(subject(str(store)), running.work))
        early = sum([count for _, count, last in jobs.slices if not last])
        assert early >= 1000
        assert sum([len(targets) for targets in jobs.targets.values()]) == 1200


async def test_what_nobody_can_ask_for_again_is_told_of(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        stored = await running.store("/orders?storeId=1", {})
        stored.become(selecting=(("cookie", "a=b"),))
        jobs = Found()
        with capture_logs() as logs:
            await selecting(running, jobs).end(STEP, running.work)
        assert jobs.slices == [("1", 0, True)]
        assert [entry["count"] for entry in logs] == [1]


async def test_a_register_out_of_reach_fails_all_that_wait_and_nobody_after(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        one = selecting(running, running.register)
        with out_of_reach(running.register):
            failures = await asyncio.gather(
                one.end(STEP, running.work), one.end(subject("2"), running.work), return_exceptions=True
            )
        assert [type(failure) for failure in failures] == [Problem, Problem]
        assert await one.end(STEP, running.work) == Nothing()


async def test_a_subject_that_is_none_any_more_fails_alone(tmp_path: Path) -> None:
    """One that was text before the config said number failed every other one that its walk was for."""
    async with yard(tmp_path) as running:
        await running.store("/orders?storeId=1", {})
        jobs = Found()
        one = selecting(running, jobs)
        steps = [one.end(subject(name), running.work) for name in ("one", "1")]
        failed, done = await asyncio.gather(*steps, return_exceptions=True)
        assert isinstance(failed, ValueError)
        assert done == Nothing()
        assert jobs.targets == {"1": {"/orders?storeId=1"}}


async def test_the_end_does_not_wait_for_a_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(wanted: Mapping[str, Any]) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield wanted

    async with yard(tmp_path) as running:
        monkeypatch.setattr(running.cache, "members", endless)
        turns = Turns()
        selection = asyncio.create_task(selecting(running, Found(), turns).end(STEP, running.work))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        turns.end()
        with pytest.raises(Ended):
            await selection
