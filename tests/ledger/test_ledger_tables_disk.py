"""Whatever fails on the disk, a step is done or not done."""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import chain, repeat
from pathlib import Path

import pytest
from ledger.auditing import audit
from ledger.samples import CHARGE, FORCED, GRANT, reserve, rows

from gateway.ledger import sealing
from gateway.ledger.records import (
    Kept,
)
from gateway.ledger.tables import Tables

pytestmark = pytest.mark.slow

KEPT = Kept("ci", "key", "fingerprint", 1, 500.0, "content")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "book.sqlite3"


@pytest.fixture
def tables(path: Path) -> Iterator[Tables]:
    with closing(Tables(path, "process")) as tables:
        yield tables


def fill(tables: Tables) -> None:
    """One group of each kind of record, old enough to be sealed, pruned and forgotten."""
    tables.apply([(1, [(GRANT, 1), (CHARGE._replace(minute=1), 5), (reserve(1), 1), (KEPT, 1), (FORCED, 1)])])
    tables.seal(1e6)


STEPS_ON_DISK = [
    pytest.param(
        lambda tables: tables.apply([(tables.applied + 1, [(GRANT, 1), (CHARGE, 9), (reserve(2), 1)])]), id="apply"
    ),
    pytest.param(lambda tables: tables.seal(60.0 * (CHARGE.minute + 2)), id="seal"),
    pytest.param(lambda tables: tables.prune(1e9, 1e9), id="prune"),
    pytest.param(lambda tables: tables.forget(1e9, "boot", 1e9), id="forget"),
]


def state(path: Path) -> list[list[tuple[object, ...]]]:
    names = ("meta", "balances", "reservations", "open", "chain", "carried", "answers", "forced")
    return [rows(path, f"SELECT * FROM {name}") for name in names]


def interrupted(tables: Tables, after: int, step: Callable[[Tables], object]) -> bool:
    """Whether `step` could be broken off after so many times twenty of SQLite's instructions."""
    signals = chain(repeat(False, after), [True], repeat(False))
    tables._db.set_progress_handler(lambda: next(signals), 20)
    try:
        step(tables)
    except sqlite3.OperationalError:
        return True
    finally:
        tables._db.set_progress_handler(None, 0)
    return False


@pytest.mark.parametrize("step", STEPS_ON_DISK)
def test_a_step_that_is_broken_off_anywhere_changes_nothing(
    tables: Tables, path: Path, step: Callable[[Tables], object]
) -> None:
    fill(tables)
    tables.apply([(2, [(CHARGE, 3)])])
    before, broken = state(path), 0
    while interrupted(tables, broken, step):
        assert state(path) == before
        broken += 1
    assert broken > 2
    assert state(path) != before
    audit(tables._db)


@pytest.mark.parametrize("step", STEPS_ON_DISK)
def test_a_step_that_finds_the_book_locked_can_be_taken_later(
    tables: Tables, path: Path, step: Callable[[Tables], object]
) -> None:
    fill(tables)
    before = state(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        step(tables)
    other.execute("ROLLBACK")
    other.close()
    assert state(path) == before
    step(tables)
    audit(tables._db)


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 100, 5000])
@pytest.mark.parametrize("step", STEPS_ON_DISK)
def test_a_commit_that_the_disk_does_not_take_changes_nothing(
    tables: Tables, path: Path, step: Callable[[Tables], object], room: int
) -> None:
    fill(tables)
    tables.apply([(2, [(CHARGE, 3)])])
    before, log = state(path), path.with_name(f"{path.name}-wal")
    with no_file_longer_than(log.stat().st_size + room), pytest.raises(sqlite3.OperationalError, match="disk"):
        step(tables)
    assert state(path) == before
    step(tables)
    assert state(path) != before
    audit(tables._db)


def test_a_checkpoint_that_the_disk_does_not_take_is_made_later(tables: Tables, path: Path) -> None:
    fill(tables)
    with no_file_longer_than(0), pytest.raises(sqlite3.OperationalError, match="disk"):
        tables.checkpoint()
    assert tables.checkpoint()
    audit(tables._db)


def test_a_full_disk_fails_what_grows_and_leaves_it_whole(tables: Tables, path: Path) -> None:
    fill(tables)
    pages = tables._db.execute("PRAGMA page_count").fetchone()[0]
    tables._db.execute(f"PRAGMA max_page_count = {pages}")
    many = [(CHARGE._replace(account=f"{number:0>100}", minute=number), 1) for number in range(1000)]
    before = state(path)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        tables.apply([(2, many)])
    assert state(path) == before
    tables._db.execute("PRAGMA max_page_count = 1073741823")
    tables.apply([(2, many)])
    pages = tables._db.execute("PRAGMA page_count").fetchone()[0]
    tables._db.execute(f"PRAGMA max_page_count = {pages}")
    before = state(path)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        tables.seal(1e9)
    assert state(path) == before
    tables._db.execute("PRAGMA max_page_count = 1073741823")
    while tables.seal(1e9):
        pass
    assert tables.sealed == sealing.over(1e9)
    audit(tables._db)
