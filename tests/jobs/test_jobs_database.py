"""The register's file on a real disk: for its own user alone, one process at a time, and told where it is damaged."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs.asked import due, known, order

from gateway.admission.jobs import State
from gateway.errors import BadStart, Problem, Reason
from gateway.jobs.database import FILE, connect
from gateway.jobs.register import JobRegister
from gateway.jobs.schema import VERSION


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jobs.database._PATIENCE", 0.0)


def test_the_file_is_for_its_own_user_alone(tmp_path: Path) -> None:
    db = connect(tmp_path, "process")
    db.execute("UPDATE seen SET at = 1")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    db.close()


@pytest.mark.parametrize(("durability", "synchronous"), [("process", 1), ("power", 2)])
def test_how_durable_a_commit_is(tmp_path: Path, durability: str, synchronous: int) -> None:
    db = connect(tmp_path, "power" if durability == "power" else "process")
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    db.close()


def spoiled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : 4096 + 64] = b"\xff" * 64
    path.write_bytes(content)


def of_another_version(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()


def of_something_else(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (a)")
    db.close()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no database": (lambda path: path.write_text("something else, long enough to be read"), "not a database"),
    "cut off": (lambda path: os.truncate(path, 5000), "malformed|damaged"),
    "a damaged page": (spoiled, "malformed|damaged"),
    "another version": (of_another_version, f"has version 7, and this gateway reads {VERSION}"),
    "another application's": (of_something_else, "has version 0"),
    "a folder": (a_folder, "Is a directory$"),
}


@pytest.mark.parametrize(("spoil", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_one_clear_line(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    connect(tmp_path, "process").close()
    spoil(tmp_path / FILE)
    with pytest.raises(BadStart, match=words) as caught:
        JobRegister.open(tmp_path, "process")
    assert str(tmp_path / FILE) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadStart, match=r"No such file or directory$"):
        JobRegister.open(tmp_path / "none", "process")


async def test_it_is_opened_once(tmp_path: Path) -> None:
    register = JobRegister.open(tmp_path, "process")
    with pytest.raises(BadStart, match="locked"):
        JobRegister.open(tmp_path, "process")
    await register.accept(order("7"), 100.0)
    await register.close()
    register = JobRegister.open(tmp_path, "process")
    assert len(await due(register, 100.0)) == 1
    await register.close()


def test_a_file_that_another_program_holds_is_told_at_the_start(tmp_path: Path) -> None:
    connect(tmp_path, "process").close()
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BadStart, match="locked"):
        JobRegister.open(tmp_path, "process")
    other.close()


async def refused(register: JobRegister) -> None:
    """Nothing of a large order is accepted."""
    with pytest.raises(Problem) as caught:
        await register.accept(order(*(f"subject {n}" for n in range(2000))), 100.0)
    assert caught.value.reason is Reason.jobs_unavailable


async def test_a_full_disk_changes_nothing_and_is_got_over(tmp_path: Path) -> None:
    register = JobRegister.open(tmp_path, "process")
    first = await register.accept(order("7"), 100.0)
    db = register._transactions._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    await refused(register)
    assert [job.id for job in await register.latest(None, 10)] == [first.job]
    assert len(await due(register, 100.0)) == 1
    db.execute("PRAGMA max_page_count = 100000")
    again = await register.accept(order("8"), 101.0)
    assert (await known(register, again.job)).state is State.pending
    await register.close()


async def test_a_disk_that_takes_no_more_is_still_read(tmp_path: Path) -> None:
    register = JobRegister.open(tmp_path, "process")
    first = await register.accept(order("7"), 100.0)
    db = register._transactions._db
    db.execute("PRAGMA query_only = ON")
    await refused(register)
    with pytest.raises(Problem):
        await register.cancel(first.job, 100.0)
    assert (await known(register, first.job)).state is State.pending
    assert len(await due(register, 100.0)) == 1
    db.execute("PRAGMA query_only = OFF")
    assert await register.cancel(first.job, 100.0) is State.pending
    await register.close()
