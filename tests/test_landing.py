"""What a fetch brought, as other nodes read it."""

from typing import Any

import pytest
from stores.samples import sample

from gateway.collapse import Failed, Fetched, Unkept
from gateway.errors import Problem, Reason
from gateway.landing import LONG, arrived, is_passed_on, landing
from gateway.ports import Landed
from gateway.rfc9111.freshness import current_age
from gateway.rfc9111.stored import StoredResponse
from gateway.rfc9111.storing import Unstorable
from gateway.stores.in_flight import Fetching
from gateway.stores.telling import marked

NOW, BEGAN, THERE = 2000.0, 990.0, 1000.0


def fetching(*, outdated: bool = False) -> Fetching:
    return Fetching(("a",), 1.0, {}, overtaken=outdated)


async def passed_on(
    outcome: Fetched | Failed, *, outdated: bool = False, since: float = 0.0, found: StoredResponse | None = None
) -> Any:
    """What a node makes of it whose clock shows `THERE` and whose shared tier holds `found`."""
    value, _ = await landing(outcome, fetching(outdated=outdated), NOW)
    landed = Landed(value, since, outdated=False)
    return await arrived(landed, found if value and not is_passed_on(landed) else None, BEGAN, THERE)


@pytest.mark.parametrize(
    ("kept", "reason"),
    [(True, None), (False, Unstorable.no_lifetime), (False, Unkept.no_room)],
    ids=["kept", "not stored", "no room"],
)
@pytest.mark.parametrize("flag", [False, True])
async def test_an_answer(kept: bool, reason: Unstorable | Unkept | None, flag: bool) -> None:
    stored = sample()
    got = await passed_on(Fetched(stored, kept, reason, validated=flag, found=flag, own=sample()))
    assert (got.kept, got.reason, got.validated, got.found, got.own) == (kept, reason, flag, flag, None)
    same = ("key", "status", "reason", "head", "body", "terms", "selecting", "etag", "groups", "forced")
    assert [getattr(got.stored, name) for name in same] == [getattr(stored, name) for name in same]


async def test_its_age_goes_on_while_it_is_passed_on() -> None:
    stored = sample().replaced(received=NOW - 7.0, initial_age=3.0)
    got = await passed_on(Fetched(stored, kept=True), since=0.5)
    assert current_age(got.stored, THERE) == 10.5
    assert got.stored.began == BEGAN


async def test_what_was_overtaken_is_not_kept() -> None:
    got = await passed_on(Fetched(sample(), kept=True), outdated=True)
    assert (got.kept, got.reason) == (False, Unkept.outdated)


@pytest.mark.parametrize("answered", [False, True])
async def test_a_failure(answered: bool) -> None:
    problem = Problem(Reason.upstream_error, "words", retry_after=7.0, fields=(("Allow", "GET"),), upstream_status=500)
    answer = sample().replaced(status=500) if answered else None
    got = await passed_on(Failed(problem, answer))
    said = ("reason", "detail", "retry_after", "fields", "upstream_status")
    assert [getattr(got.problem, name) for name in said] == [getattr(problem, name) for name in said]
    assert (got.answer.status if answered else got.answer) == (500 if answered else None)


async def test_its_marks_are_those_of_the_responses_groups() -> None:
    stored = sample(groups=("a", "b"))
    _, marks = await landing(Fetched(stored, kept=True), fetching(), NOW)
    assert marks == marked(("a", "b"))
    _, marks = await landing(Failed(Problem(Reason.upstream_dns)), fetching(), NOW)
    assert marks == b""


@pytest.mark.parametrize("damage", ["head", "response"])
@pytest.mark.parametrize("outcome", [Fetched(sample(), kept=True), Failed(Problem(Reason.upstream_dns), sample())])
async def test_another_versions_cannot_be_read(outcome: Fetched | Failed, damage: str) -> None:
    value, _ = await landing(outcome, fetching(), NOW)
    at = 4 if damage == "head" else 4 + int.from_bytes(value[:4], "big")
    landed = Landed(value[:at] + b"\xff" + value[at + 1 :], 0.0, outdated=False)
    assert await arrived(landed, None, BEGAN, THERE) is None


async def test_a_long_one_that_is_stored_is_found_in_the_shared_tier() -> None:
    stored = sample(body=b"x" * LONG)
    got = await passed_on(Fetched(stored, kept=True), found=sample(body=b"x" * LONG))
    assert (got.stored.body, got.kept) == (stored.body, True)


@pytest.mark.parametrize(
    "found", [None, sample(body=b"y" * LONG), sample()], ids=["stored no longer", "another", "a short one"]
)
async def test_nothing_else_is_taken_for_it(found: StoredResponse | None) -> None:
    assert await passed_on(Fetched(sample(body=b"x" * LONG), kept=True), found=found) is None


@pytest.mark.parametrize(
    "outcome",
    [
        Fetched(sample(body=b"x" * LONG), kept=False, reason=Unstorable.no_lifetime),
        Failed(Problem(Reason.upstream_error), sample(body=b"x" * LONG)),
    ],
)
async def test_of_one_that_is_not_stored_nothing_is_said(outcome: Fetched | Failed) -> None:
    assert await landing(outcome, fetching(), NOW) == (b"", b"")
    assert await passed_on(outcome, found=sample()) is None
