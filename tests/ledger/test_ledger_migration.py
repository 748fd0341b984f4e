import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, repeat
from pathlib import Path

import orjson
import pytest
from ledger.auditing import audit
from ledger.samples import CHARGE, rows
from support.clock import FakeClock

from gateway.errors import BadStart
from gateway.ledger import recovery
from gateway.ledger.accounts import Balance
from gateway.ledger.encoding import encode
from gateway.ledger.journal import Journal
from gateway.ledger.ledger import Ledger
from gateway.ledger.reader import reading
from gateway.ledger.records import BEFORE_ANY, Forced, LedgerCorrupt, Term
from gateway.ledger.tables import Tables
from gateway.ledger.usage import By, Month, usage

FORMER = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE balances (
    holder TEXT PRIMARY KEY, granted INTEGER NOT NULL, charged INTEGER NOT NULL, reserved INTEGER NOT NULL,
    lapsed INTEGER NOT NULL, balance INTEGER NOT NULL, period INTEGER NOT NULL, given INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE lookups (
    account TEXT NOT NULL, route TEXT NOT NULL, tokens INTEGER NOT NULL, minute INTEGER NOT NULL,
    count INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (account, route, tokens, minute)
) STRICT, WITHOUT ROWID;
CREATE TABLE operations (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, organization TEXT NOT NULL, route TEXT NOT NULL,
    reserved INTEGER NOT NULL, charged INTEGER NOT NULL, lines TEXT NOT NULL, outcome TEXT NOT NULL,
    began REAL NOT NULL, ended REAL NOT NULL
) STRICT;
CREATE TABLE reservations (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, holder TEXT NOT NULL, organization TEXT NOT NULL,
    route TEXT NOT NULL, period INTEGER, tokens INTEGER NOT NULL, lines TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE forced (organization TEXT NOT NULL, at REAL NOT NULL, until REAL NOT NULL) STRICT;
INSERT INTO meta VALUES ('version', 1), ('applied', 5), ('last_id', 9);
INSERT INTO balances VALUES ('acme', 2000, 40, 9, 60, 1891, 7, 2000), ('free', 16, 12, 4, 0, 0, -1, 0);
INSERT INTO lookups VALUES ('ci', 'product', 1, 29000000, 40, 40);
INSERT INTO operations VALUES (7, 'ci', 'acme', 'product', 9, 6, '[["base",1]]', 'miss', 50.0, 51.0);
INSERT INTO reservations VALUES
    (8, 'ci', 'acme', 'acme', 'product', 7, 9, '[["base",1],["force_refresh",8]]', 50.0),
    (9, 'ci', 'free', 'acme', 'product', NULL, 4, '[["base",1],["force_refresh",3]]', 50.0);
INSERT INTO forced VALUES ('acme', 100.0, 220.0);
"""
FORMER_CHARGE = ["charge", 1, ["ci", "acme", "product", 6, 1, 29_000_000, False]]
WALL = 60.0 * CHARGE.minute


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "journal").mkdir()
    db = sqlite3.connect(tmp_path / "book.sqlite3")
    db.executescript(FORMER)
    db.close()
    return tmp_path


@pytest.fixture
def tables(folder: Path) -> Iterator[Tables]:
    with closing(Tables(folder / "book.sqlite3", "process")) as tables:
        yield tables


def test_balances_stay_and_are_carried_behind_a_checkpoint(tables: Tables, folder: Path) -> None:
    tables.migrate(WALL)
    accounts = tables.load()
    assert accounts.balances == {
        "acme": Balance(2000, 40, 9, 60, 1891, Term(7, 2000)),
        "free": Balance(16, 12, 4, 0, 0, BEFORE_ANY),
    }
    assert (tables.applied, accounts.last_id, set(accounts.open)) == (5, 9, {8, 9})
    assert list(tables.forced()) == [Forced("acme", 100.0, 220.0, "", 0.0)]
    path = folder / "book.sqlite3"
    assert rows(path, "SELECT * FROM carried") == [("acme", 2000, 40, 60), ("free", 12, 12, 0)]
    [(kind, minute, text)] = rows(path, "SELECT kind, minute, details FROM chain")
    assert (kind, minute) == ("checkpoint", CHARGE.minute)
    assert {name: orjson.loads(str(text))[name] for name in ("through", "hash")} == {"through": 0, "hash": 64 * "0"}
    names = {name for (name,) in rows(path, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    of_fleet = {"positions", "homes"}
    assert names == of_fleet | {"meta", "balances", "reservations", "forced", "open", "chain", "carried", "answers"}
    audit(tables._db)


def test_months_of_the_former_version_are_not_told_as_if_nothing_was_charged(tables: Tables, folder: Path) -> None:
    (folder / "journal" / "00000000000000000006.journal").touch()
    tables.migrate(WALL)
    tables.seal(WALL + 62 * 86400)
    began, following = Month.at(WALL, "UTC"), Month.at(WALL + 31 * 86400, "UTC")
    with reading(folder) as db:
        for month in (Month("2020-01", "UTC"), began):
            with pytest.raises(BadStart, match="the former version"):
                usage(db, month, By.key)
        assert usage(db, following, By.key).closed


def test_a_migrated_book_goes_on(tables: Tables) -> None:
    tables.migrate(WALL)
    tables.apply([(6, [(CHARGE, 2)])])
    tables.seal(WALL + 600.0)
    tables.prune(1e12, WALL)
    audit(tables._db)


def interrupted(tables: Tables, after: int) -> bool:
    """Whether a migration could be broken off after so many of its statements."""
    signals = chain(repeat(False, after), [True], repeat(False))
    tables._db.set_trace_callback(lambda statement: tables._db.interrupt() if next(signals) else None)
    try:
        tables.migrate(WALL)
    except sqlite3.OperationalError:
        return True
    finally:
        tables._db.set_trace_callback(None)
    return False


def test_a_migration_that_is_broken_off_anywhere_has_not_begun(tables: Tables) -> None:
    before, broken = tables._db.execute("SELECT sql FROM sqlite_schema").fetchall(), 0
    while interrupted(tables, broken):
        assert tables._db.execute("SELECT sql FROM sqlite_schema").fetchall() == before
        assert tables.outdated
        broken += 1
    assert broken > 20
    audit(tables._db)


async def test_reservations_of_the_former_version_are_released_at_the_start(folder: Path) -> None:
    ledger = Ledger.open(folder, "process", FakeClock())
    assert ledger.accounts.balance("acme") == Balance(2000, 40, 0, 60, 1900, Term(7, 2000))
    assert ledger.accounts.balance("free") == Balance(12, 12, 0, 0, 0)
    assert ledger.next_id() == 10
    ledger.post(CHARGE)
    await ledger.close()
    db = sqlite3.connect(folder / "book.sqlite3")
    assert db.execute("SELECT kind, operation, upstream FROM chain WHERE number > 1").fetchall() == [
        ("release", 8, ""),
        ("release", 9, ""),
    ]
    audit(db)
    db.close()


@pytest.mark.parametrize("pending", [1, 2])
def test_groups_only_the_former_version_can_read_are_a_bad_start_that_changes_nothing(
    folder: Path, pending: int
) -> None:
    journal = Journal(folder / "journal", 5)
    for number in range(pending):
        journal.append(orjson.dumps([FORMER_CHARGE]) if number == pending - 1 else encode([]))
    journal.close()
    for _ in range(2):
        with pytest.raises(BadStart, match="start the former version once and stop it"):
            Ledger.open(folder, "process", FakeClock())
    assert rows(folder / "book.sqlite3", "SELECT value FROM meta WHERE name = 'version'") == [(1,)]


def test_a_migrated_book_is_not_migrated_again(tables: Tables, folder: Path) -> None:
    for _ in range(2):
        recovery.migrate(tables, folder / "journal", WALL)
    assert not tables.outdated
    assert rows(folder / "book.sqlite3", "SELECT count(*) FROM chain") == [(1,)]


async def test_groups_the_former_version_has_applied_do_not_matter(folder: Path) -> None:
    journal = Journal(folder / "journal", 0)
    for _ in range(5):
        journal.append(orjson.dumps([FORMER_CHARGE]))
    journal.close()
    ledger = Ledger.open(folder, "process", FakeClock())
    assert ledger.accounts.balance("acme").charged == 40
    await ledger.close()


def test_a_version_before_that_is_refused(tables: Tables, folder: Path) -> None:
    tables._db.execute("UPDATE meta SET value = 0 WHERE name = 'version'")
    with pytest.raises(LedgerCorrupt, match="version 0"):
        Tables(folder / "book.sqlite3", "process")


async def test_a_book_of_the_second_version_goes_on_as_it_is(tmp_path: Path) -> None:
    for charged in (6, 12):
        ledger = Ledger.open(tmp_path, "process", FakeClock())
        ledger.post(CHARGE)
        assert ledger.accounts.balance("acme").charged == charged
        await ledger.close()
        db = sqlite3.connect(tmp_path / "book.sqlite3")
        assert db.execute("SELECT value FROM meta WHERE name = 'version'").fetchall() == [(3,)]
        for statement in ("DROP TABLE positions", "DROP TABLE homes", "DELETE FROM meta WHERE name = 'fleet'"):
            db.execute(statement)
        db.execute("UPDATE meta SET value = 2 WHERE name = 'version'")
        db.commit()
        db.close()
