import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger.samples import CHARGE, FORCED, GRANT, reserve, rows

from gateway.ledger.accounts import Balance
from gateway.ledger.records import Entry, Lapse, LedgerCorrupt, Refund, Release, Settle, Term
from gateway.ledger.tables import Durability, Group, Tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "book.sqlite3"


@pytest.fixture
def tables(path: Path) -> Iterator[Tables]:
    tables = Tables(path, "process")
    yield tables
    tables.close()


def reopened(path: Path) -> Tables:
    return Tables(path, "process")


def test_a_new_book_is_empty(tables: Tables) -> None:
    accounts = tables.load()
    assert (tables.applied, accounts.balances, accounts.open, accounts.last_id) == (0, {}, {}, 0)
    assert tables.sums() == (0, 0, 0, 0, 0)
    assert list(tables.forced()) == []


def test_what_is_applied_is_loaded(tables: Tables, path: Path) -> None:
    tables.apply([(1, [(GRANT, 1), (CHARGE, 3)]), (2, [(reserve(1), 1), (reserve(2, 5), 1)])], wall=0.0)
    tables.apply([(3, [(Lapse("acme", 2), 1), (CHARGE, 1), (FORCED, 2)])], wall=0.0)
    tables.close()
    again = reopened(path)
    accounts = again.load()
    assert again.applied == 3
    assert accounts.balances == {"acme": Balance(2000, 24, 14, 2, 1960, Term(7, 2000))}
    assert accounts.open == {1: reserve(1), 2: reserve(2, 5)}
    assert accounts.last_id == 2
    assert again.sums() == (2000, 24, 14, 2, 1960)
    assert list(again.forced()) == [FORCED, FORCED]
    again.close()


def test_equal_lookups_are_one_row_by_minute(tables: Tables, path: Path) -> None:
    later = CHARGE._replace(minute=CHARGE.minute + 1)
    tables.apply([(1, [(CHARGE, 3), (later, 1)])], wall=0.0)
    tables.apply([(2, [(CHARGE, 2), (CHARGE._replace(tokens=0), 4)])], wall=0.0)
    assert rows(path, "SELECT account, route, tokens, minute, count, sum FROM lookups ORDER BY tokens, minute") == [
        ("ci", "product", 0, CHARGE.minute, 4, 0),
        ("ci", "product", 6, CHARGE.minute, 5, 30),
        ("ci", "product", 6, CHARGE.minute + 1, 1, 6),
    ]


@pytest.mark.parametrize("split", [False, True], ids=["in one transaction", "in two"])
def test_an_operation_is_a_row_once_it_has_ended(tables: Tables, path: Path, split: bool) -> None:
    begin: list[Entry] = [(reserve(1), 1), (reserve(2), 1), (reserve(3), 1), (reserve(4), 1)]
    end: list[Entry] = [
        (Settle(reserve(1), 6, False, "miss", 51.0), 1),
        (Release(reserve(2), False, "failed", 52.0), 1),
        (Settle(reserve(3), 9, False, "pass", 53.0), 1),
        (Refund(reserve(3), 9, False, "broken", 54.0), 1),
    ]
    for batch in [[(1, begin)], [(2, end)]] if split else [[(1, begin), (2, end)]]:
        tables.apply(batch, wall=0.0)
    lines = '[["base",1],["force_refresh",8]]'
    assert rows(path, "SELECT * FROM operations ORDER BY id") == [
        (1, "ci", "acme", "product", 9, 6, lines, "miss", 50.0, 51.0),
        (2, "ci", "acme", "product", 9, 0, lines, "failed", 50.0, 52.0),
        (3, "ci", "acme", "product", 9, 0, lines, "broken", 50.0, 54.0),
    ]
    assert rows(path, "SELECT id FROM reservations") == [(4,)]


def test_forced_are_forgotten_when_they_are_over(tables: Tables, path: Path) -> None:
    tables.apply([(1, [(FORCED, 1), (FORCED._replace(until=500.0), 1)])], wall=220.0)
    assert len(list(tables.forced())) == 2
    tables.apply([(2, [(CHARGE, 1)])], wall=220.1)
    assert [forced.until for forced in tables.forced()] == [500.0]


def test_a_transaction_that_fails_changes_nothing_and_can_be_tried_again(tables: Tables, path: Path) -> None:
    tables.apply([(1, [(GRANT, 1)])], wall=0.0)
    batch: list[Group] = [(2, [(CHARGE, 1), (reserve(1), 1)])]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("INSERT INTO reservations VALUES (1, '', '', '', '', 0, 0, '', 0)")
    with pytest.raises(sqlite3.IntegrityError):
        tables.apply(batch, wall=0.0)
    assert tables.applied == 1
    other.execute("DELETE FROM reservations")
    other.close()
    tables.apply(batch, wall=0.0)
    assert tables.applied == 2
    assert tables.sums() == (2000, 6, 9, 0, 1985)


def test_a_checkpoint_waits_for_readers(tables: Tables, path: Path) -> None:
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM balances").fetchone() == (0,)
    tables.apply([(1, [(GRANT, 1)])], wall=0.0)
    assert not tables.checkpoint()
    reader.close()
    assert tables.checkpoint()


@pytest.mark.parametrize(("durability", "expected"), [("process", 1), ("power", 2)])
def test_synchronous(path: Path, durability: Durability, expected: int) -> None:
    tables = Tables(path, durability)
    assert tables._db.execute("PRAGMA synchronous").fetchone() == (expected,)
    assert tables._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    tables.close()


def test_another_version_is_refused(tables: Tables, path: Path) -> None:
    tables._db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    with pytest.raises(LedgerCorrupt, match="version 99"):
        reopened(path)


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"something else" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        reopened(path)
