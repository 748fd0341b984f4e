"""A node's own register: rounds are performed once each and in their order, and what fails fails alike everywhere."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from jobs.asked import order
from structlog.testing import capture_logs

from gateway.admission.jobs import Accepted, How
from gateway.errors import Problem
from gateway.jobs import commands, replica
from gateway.jobs.replica import Failed, Halt, Replica, Round, Standing, condensed, expanded


@pytest.fixture
async def register() -> AsyncIterator[Replica]:
    register = Replica()
    yield register
    await register.close()


def accept(subject: str) -> str:
    return commands.accept(order(subject), f"job {subject}", 100.0)


def round_(number: int, *free: str, led: str = "", previous: str | None = None) -> Round:
    """Of rounds that are called by their numbers."""
    before = previous if previous is not None else str(number - 1) if number > 1 else ""
    return Round(number, str(number), before, commands.packed(free), commands.packed([led] if led else []))


async def jobs(register: Replica) -> list[str]:
    return await register.read(lambda db: [id_ for (id_,) in db.execute("SELECT id FROM jobs ORDER BY number")])


async def test_rounds_are_performed_once_each_and_in_their_order(register: Replica) -> None:
    first, second = round_(1, accept("1"), accept("1")), round_(2, accept("2"), led=commands.see_time(5.0))
    advance = await register.apply([first])
    assert advance.performed[0].free == (Accepted("job 1", How.initiated), Accepted("job 1", How.joined))
    advance = await register.apply([first, second])
    assert [(done.id, done.led) for done in advance.performed] == [("2", (None,))]
    assert (advance.halt, register.standing) == (None, Standing(2, "2"))
    assert await jobs(register) == ["job 1", "job 2"]


async def test_a_round_that_another_belongs_before_is_not_performed(register: Replica) -> None:
    await register.apply([round_(1, accept("1"))])
    for apart in (round_(3, accept("3")), round_(2, accept("2"), previous="another")):
        advance = await register.apply([apart])
        assert (advance.halt, advance.performed, advance.standing) == (Halt.apart, (), Standing(1, "1"))
    assert await jobs(register) == ["job 1"]


async def test_what_cannot_be_read_is_not_passed_over(register: Replica) -> None:
    damaged = Round(2, "2", "1", b"?", b"")
    advance = await register.apply([round_(1, accept("1")), damaged, round_(3, accept("3"))])
    assert (advance.halt, register.standing) == (Halt.unknown, Standing(1, "1"))


async def test_a_command_that_fails_changes_nothing_and_leaves_the_others(register: Replica) -> None:
    with capture_logs() as lines:
        advance = await register.apply([round_(1, accept("\ud800"), accept("1"), '["prune"]')])
    first, second, third = advance.performed[0].free
    assert isinstance(first, Failed)
    assert second == Accepted("job 1", How.initiated)
    assert isinstance(third, Failed)
    assert await jobs(register) == ["job 1"]
    # The first is a value that no register takes, the last a bug.
    assert [line["command"] for line in lines] == ["prune"]


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), MemoryError()], ids=["disk", "memory"])
async def test_a_register_that_is_ill_does_not_go_past_what_it_could_not_do(
    register: Replica, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    with monkeypatch.context() as ill:
        ill.setattr("gateway.jobs.reading.begin", fails)
        begin = '["begin",["a","product",null,1.0,"",""],"[\\"GET\\",\\"/\\",[],\\"\\",\\"http\\"]",1]'
        with pytest.raises((Problem, MemoryError)):
            await register.apply([round_(1, accept("1"), begin)])
    assert register.standing == Standing()
    assert await jobs(register) == []
    await register.apply([round_(1, accept("1"), begin)])
    assert await jobs(register) == ["job 1", "a"]


async def test_a_copy_goes_on_where_the_register_stood(register: Replica) -> None:
    await register.apply([round_(1, accept("1"))])
    content, standing = await register.copy()
    assert standing == Standing(1, "1")
    copied = Replica(expanded(condensed(content)))
    assert copied.standing == standing
    for one in (register, copied):
        await one.apply([round_(2, accept("2"))])
    assert await jobs(copied) == await jobs(register) == ["job 1", "job 2"]
    await copied.close()


async def test_what_is_no_register_is_refused() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("PRAGMA user_version = 99")
        newer = db.serialize()
    with pytest.raises(ValueError, match="version 99"):
        Replica(newer)
    with pytest.raises(ValueError, match="no register"):
        Replica(b"no database")


def test_what_is_no_copy_is_refused() -> None:
    with pytest.raises(ValueError, match="no copy"):
        expanded(b"no")


async def test_it_knows_its_latest_rounds(register: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "REMEMBERED", 3)
    await register.apply([round_(number, accept(str(number))) for number in range(1, 6)])
    assert await register.holds(Standing(5, "5"))
    assert await register.holds(Standing())
    assert not await register.holds(Standing(5, "another"))
    assert not await register.holds(Standing(2, "2"))
    assert await register.among({"2", "3", "5", "6"}) == {"3", "5"}
    assert await register.among(()) == frozenset()
