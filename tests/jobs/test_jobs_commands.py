"""Commands: what is asked for comes back as it was, and nothing is performed that this gateway does not know."""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs.asked import NAME, REQUEST, order, single, target

from gateway.admission.jobs import Accepted, How, Order, Stage, State
from gateway.jobs import commands, owning, reading, stepping
from gateway.jobs.schema import SCHEMA, WORKSPACE


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A register's, as a node of a fleet has it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(SCHEMA)
        db.execute(owning.TABLE)
        db.execute(WORKSPACE)
        yield db


def perform(db: sqlite3.Connection, *asked: str) -> list[object]:
    return [commands.perform(db, command) for command in commands.unpacked(commands.packed(asked))]


TEXTS = st.text(st.characters(codec=None), max_size=600)


@given(st.lists(TEXTS, max_size=8), st.floats(allow_nan=False, allow_infinity=False))
def test_a_batch_comes_back_whole(subjects: list[str], now: float) -> None:
    """Stray bytes included, however long it is."""
    asked = commands.accept(order(*subjects, since=now, sending=REQUEST), "id", now)
    [[name, told, id_, when]] = commands.unpacked(commands.packed([asked]))
    assert (name, told[2], told[4], id_, when) == ("accept", subjects, now, "id", now)


def test_a_long_batch_is_packed() -> None:
    asked = commands.accept(order(*map(str, range(10_000))), "id", 100.0)
    assert len(commands.packed([asked])) < len(asked) / 2


def test_no_commands_are_no_bytes() -> None:
    assert commands.packed([]) == b""
    assert commands.unpacked(b"") == []


UNREADABLE = {
    "no JSON": b"[[",
    "not packed": b"\x00",
    "packed, and no JSON": zlib.compress(b"no"),
    "a newer gateway's": b'[["prune",1.0],["newer",1]]',
}


@pytest.mark.parametrize("batch", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_refused(batch: bytes) -> None:
    with pytest.raises(ValueError, match=r"not packed|unknown|Expecting"):
        commands.unpacked(batch)


def test_an_order_is_performed_as_it_was_asked_for(db: sqlite3.Connection) -> None:
    wanted = Order(NAME, "acme", ("1", "2"), True, 5.0, ("", "k:a"), Stage.trigger, REQUEST)
    assert perform(db, commands.accept(wanted, "the id", 100.0)) == [Accepted("the id", How.initiated)]
    [step] = stepping.steps(db, NAME, 100.0, 5, frozenset())
    assert (step.job, step.since, step.sending) == ("the id", 5.0, REQUEST)
    assert perform(db, commands.sent(step, 101.0), commands.passed(step, Stage.select, 102.0, 101.0)) == [True, None]
    one, _ = stepping.steps(db, NAME, 102.0, 5, frozenset())
    assert (one.scopes, one.stage, one.began) == (("", "k:a"), Stage.select, 101.0)
    perform(db, commands.found(one, [target("/a")], 103.0, last=True))
    fetch = next(step for step in stepping.steps(db, NAME, 103.0, 5, frozenset()) if step.target == target("/a"))
    perform(db, commands.later(fetch, 110.0, "upstream_error", 104.0, failed=True))
    job = reading.find(db, "the id", None)
    assert job is not None
    assert (job.reason, job.state) == ("upstream_error", State.running)
    again = next(step for step in stepping.steps(db, NAME, 110.0, 5, frozenset()) if step.stage is Stage.fetch)
    assert again.attempts == 1
    perform(db, commands.fetched(again, [target("/b")], 111.0))
    more = next(step for step in stepping.steps(db, NAME, 111.0, 5, frozenset()) if step.stage is Stage.fetch)
    perform(db, commands.failed(more, "gone", 112.0))
    assert reading.recorded(db, "acme", NAME, "1").state is State.failed


def test_what_was_not_sent_is_due_at_once(db: sqlite3.Connection) -> None:
    perform(db, commands.accept(order("1", sending=REQUEST), "id", 100.0))
    [step] = stepping.steps(db, NAME, 100.0, 5, frozenset())
    perform(db, commands.sent(step, 101.0), commands.unsent(step, 101.0))
    [again] = stepping.steps(db, NAME, 101.0, 5, frozenset())
    assert (again.sent, again.attempts) == (False, 0)


def test_single_refreshes_have_owners_while_they_are_under_way(db: sqlite3.Connection) -> None:
    perform(db, *[commands.begin(single(id_), REQUEST, node) for id_, node in (("a", 1), ("b", 2), ("c", 2))])
    assert owning.owners(db) == {1, 2}
    assert perform(db, commands.inherit([2], 3)) == [((single("b"), REQUEST), (single("c"), REQUEST))]
    assert perform(db, commands.inherit([2], 4)) == [()]
    perform(db, commands.disown(["c"]), commands.cancel("b", 101.0))
    assert owning.owners(db) == {1, owning.NOBODY}
    assert perform(db, commands.inherit([], 4)) == [((single("c"), REQUEST),)]
    ended = single("c")
    perform(db, commands.end(ended, 102.0), commands.cancel("a", 103.0))
    assert owning.owners(db) == frozenset()
    assert perform(db, commands.prune(1000.0)) == [False]
    assert reading.latest(db, None, 5, None) == ()


def test_the_leaders_clock_is_the_registers(db: sqlite3.Connection) -> None:
    """Any other node's is not."""
    perform(db, commands.see_time(100_000.0), commands.accept(order("1"), "id", 10.0))
    [step] = stepping.steps(db, NAME, 100_000.0, 5, frozenset())
    perform(db, commands.later(step, 100_030.0, "x", 100_000.0, failed=True), commands.cancel("other", 5.0))
    assert stepping.next_due(db, NAME) == 100_030.0
    perform(db, commands.see_time(50.0))
    assert stepping.next_due(db, NAME) == 80.0
