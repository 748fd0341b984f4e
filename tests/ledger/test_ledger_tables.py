import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger.auditing import audit
from ledger.samples import CHARGE, FORCED, GRANT, reserve, rows

from gateway.ledger import applying
from gateway.ledger.accounts import Balance
from gateway.ledger.applying import Group
from gateway.ledger.backlog import Batch
from gateway.ledger.kept import kept
from gateway.ledger.records import (
    BEFORE_ANY,
    Correction,
    Entry,
    Kept,
    Lapse,
    LedgerCorrupt,
    Refund,
    Release,
    Renamed,
    Settle,
    Term,
)
from gateway.ledger.sums import booked
from gateway.ledger.tables import Durability, Tables

KEPT = Kept("ci", "key", "fingerprint", 1, 500.0, "content")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "book.sqlite3"


@pytest.fixture
def tables(path: Path) -> Iterator[Tables]:
    with closing(Tables(path, "process")) as tables:
        yield tables


def reopened(path: Path) -> Tables:
    return Tables(path, "process")


def test_a_new_book_is_empty(tables: Tables) -> None:
    accounts = tables.load()
    assert (tables.applied, accounts.balances, accounts.open, accounts.last_id) == (0, {}, {}, 0)
    assert (booked(tables._db), tables.sealed, tables.outdated) == ((0, (0, 0, 0, 0, 0)), -1, False)
    assert list(tables.forced()) == []
    audit(tables._db)


def test_what_is_applied_is_loaded(tables: Tables, path: Path) -> None:
    tables.apply([(1, [(GRANT, 1), (CHARGE, 3)]), (2, [(reserve(1), 1), (reserve(2, 5), 1)])])
    tables.apply([(3, [(Lapse("acme", 2, 90.0), 1), (CHARGE, 1), (FORCED, 2), (KEPT, 1)])])
    tables.close()
    with closing(reopened(path)) as again:
        accounts = again.load()
        assert accounts.balances == {"acme": Balance(2000, 24, 14, 2, 1960, Term(7, 2000))}
        assert accounts.open == {1: reserve(1), 2: reserve(2, 5)}
        assert accounts.last_id == 2
        assert (again.applied, booked(again._db)) == (3, (3, (2000, 24, 14, 2, 1960)))
        assert list(again.forced()) == [FORCED, FORCED]
        assert kept(again._db, "ci", "key") == KEPT
        audit(again._db)


def test_equal_lookups_are_one_row_by_minute(tables: Tables, path: Path) -> None:
    later = CHARGE._replace(minute=CHARGE.minute + 1)
    tables.apply([(1, [(CHARGE, 3), (later, 1)])])
    tables.apply([(2, [(CHARGE, 2), (CHARGE._replace(tokens=0, outcome="test"), 4), (CHARGE, 1)])])
    columns = "account, route, tokens, minute, count, charged, outcomes"
    assert rows(path, f"SELECT {columns} FROM open ORDER BY tokens, minute") == [
        ("ci", "product", 0, CHARGE.minute, 4, 0, '{"test":4}'),
        ("ci", "product", 6, CHARGE.minute, 6, 36, '{"hit":6}'),
        ("ci", "product", 6, CHARGE.minute + 1, 1, 6, '{"hit":1}'),
    ]


def test_outcomes_add_up_under_sorted_names(tables: Tables, path: Path) -> None:
    for number, outcomes in enumerate([["stale"], ["hit", "miss"], ["stale", "collapsed"], ["hit"]], 1):
        tables.apply([(number, [(CHARGE._replace(outcome=outcome), number) for outcome in outcomes])])
    assert rows(path, "SELECT outcomes FROM open") == [('{"collapsed":3,"hit":6,"miss":2,"stale":4}',)]


@pytest.mark.parametrize("split", [False, True], ids=["in one transaction", "in two"])
def test_an_operation_is_a_record_once_it_has_ended(tables: Tables, path: Path, split: bool) -> None:
    begin: list[Entry] = [(GRANT, 1), *((reserve(number), 1) for number in range(1, 5)), (reserve(5, 1), 1)]
    end: list[Entry] = [
        (Settle(reserve(1), 6, False, "miss", 51.0), 1),
        (Release(reserve(2), False, "failed", 52.0), 1),
        (Settle(reserve(3), 9, False, "passed", 53.0), 1),
        (Refund(reserve(3), 9, False, "truncated", 54.0), 1),
        (Settle(reserve(5, 1), 1, False, "miss", 55.0), 1),
    ]
    for batch in [[(1, begin)], [(2, end)]] if split else [[(1, begin), (2, end)]]:
        tables.apply(batch)
    assert rows(path, "SELECT kind, operation, tokens, count, outcomes FROM chain WHERE number > 1") == [
        ("charge", 1, 6, 1, '{"miss":1}'),
        ("release", 2, 0, 1, '{"failed":1}'),
        ("charge", 3, 9, 1, '{"passed":1}'),
        ("refund", 3, -9, 0, '{"truncated":1}'),
    ]
    assert rows(path, "SELECT tokens, count, outcomes FROM open") == [(1, 1, '{"miss":1}')]
    assert rows(path, "SELECT id FROM reservations") == [(4,)]
    audit(tables._db)


def test_a_batch_is_whole_in_the_book_or_not_at_all(tables: Tables) -> None:
    batch = Batch(1)
    for _ in range(3):
        batch.add([(CHARGE, 1), (CHARGE._replace(account="other"), 2)])
    pauses = list[int]()
    for _ in range(2):
        tables.add(batch, lambda: pauses.append(tables.applied))
        assert booked(tables._db) == (3, (0, 9 * 6, 0, 0, -9 * 6))
    assert pauses == [0]


@pytest.mark.parametrize("first", [2, 4], ids=["the book has a part of it", "a group is missing"])
def test_a_batch_that_does_not_follow_is_refused(tables: Tables, first: int) -> None:
    tables.apply([(1, [(CHARGE, 1)]), (2, [(CHARGE, 1)])])
    batch = Batch(first)
    for _ in range(3):
        batch.add([(CHARGE, 1)])
    with pytest.raises(LedgerCorrupt, match=f"group {first} does not follow 2"):
        tables.add(batch, lambda: None)
    assert (tables.applied, booked(tables._db)[1][1]) == (2, 12)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_how_it_is_sliced_does_not_matter(tables: Tables, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(applying, "SLICE", size)
    ends: list[Entry] = [
        (Settle(reserve(1), 6, False, "miss", 51.0), 1),
        (Release(reserve(2, 5), False, "failed", 52.0), 1),
    ]
    tables.apply([(1, [(GRANT, 1), (CHARGE, 3), (reserve(1), 1), (reserve(2, 5), 1), (reserve(3), 1)])])
    tables.apply([(2, [(CHARGE._replace(outcome="stale"), 2), *ends, (CHARGE, 1), (FORCED, 2), (KEPT, 1)])])
    accounts = tables.load()
    assert accounts.balances == {"acme": Balance(2000, 42, 9, 0, 1949, Term(7, 2000))}
    assert (list(accounts.open.values()), accounts.last_id, tables.applied) == ([reserve(3)], 3, 2)
    assert tables._db.execute("SELECT count, outcomes FROM open").fetchall() == [(6, '{"hit":4,"stale":2}')]
    audit(tables._db)


def test_a_kept_answer_takes_the_place_of_the_one_before(tables: Tables) -> None:
    tables.apply([(1, [(KEPT, 1)]), (2, [(KEPT._replace(operation=2), 1)])])
    tables.apply([(3, [(KEPT._replace(operation=3), 1)])])
    assert kept(tables._db, "ci", "key") == KEPT._replace(operation=3)


def test_whoever_is_renamed_begins_anew(tables: Tables) -> None:
    taken = Renamed("acme", "new", 2000, 12, 0, 1988, Term(7, 2000), Term(7, 2000), BEFORE_ANY, 60.0)
    tables.apply([(1, [(GRANT, 1), (CHARGE, 2)])])
    tables.apply([(2, [(taken, 1)])])
    balances = tables.load().balances
    assert balances == {"acme": Balance(), "new": Balance(2000, 12, 0, 0, 1988, Term(7, 2000))}
    audit(tables._db)


def test_a_transaction_that_fails_changes_nothing_and_can_be_tried_again(tables: Tables, path: Path) -> None:
    tables.apply([(1, [(GRANT, 1)])])
    batch: list[Group] = [(2, [(CHARGE, 1), (Lapse("acme", 1, 60.0), 1), (reserve(1), 1)])]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("INSERT INTO reservations VALUES (1, '', '', '', '', '', 0, 0, '', '', 0)")
    with pytest.raises(sqlite3.IntegrityError):
        tables.apply(batch)
    other.execute("DELETE FROM reservations")
    other.close()
    assert tables.applied == 1
    audit(tables._db)
    tables.apply(batch)
    assert tables.applied == 2
    assert booked(tables._db)[1] == (2000, 6, 9, 1, 1984)
    audit(tables._db)


def test_a_group_is_applied_once_and_none_is_left_out(tables: Tables) -> None:
    first: Group = (1, [(GRANT, 1), (CHARGE, 1)])
    tables.apply([first])
    tables.apply([first])
    tables.apply([first, (2, [(CHARGE, 1)])])
    with pytest.raises(LedgerCorrupt, match="group 4 does not follow 2"):
        tables.apply([(4, [(CHARGE, 1)])])
    assert tables.applied == 2
    assert booked(tables._db)[1] == (2000, 12, 0, 0, 1988)
    audit(tables._db)


def test_a_sum_beyond_64_bits_is_refused_whole(tables: Tables) -> None:
    tables.apply([(1, [(GRANT, 1)])])
    with pytest.raises(OverflowError):
        tables.apply([(2, [(CHARGE, 1), (Correction("acme", 2**63 - 1, "gift", 60.0), 1)])])
    assert tables.applied == 1
    audit(tables._db)


@pytest.mark.parametrize("count", [99, 100, 101, 1234])
def test_many_holders_at_once(tables: Tables, count: int) -> None:
    for sequence in (1, 2):
        entries = [(CHARGE._replace(account=f"a{n}", holder=f"a{n}", unlimited=True), 1) for n in range(count)]
        tables.apply([(sequence, entries)])
    assert booked(tables._db)[1] == (12 * count, 12 * count, 0, 0, 0)
    audit(tables._db)


# The file


def test_a_checkpoint_waits_for_readers(tables: Tables, path: Path) -> None:
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM balances").fetchone() == (0,)
    tables.apply([(1, [(GRANT, 1)])])
    assert not tables.checkpoint()
    reader.close()
    assert tables.checkpoint()


@pytest.mark.parametrize(("durability", "expected"), [("process", 1), ("power", 2)])
def test_synchronous(path: Path, durability: Durability, expected: int) -> None:
    with closing(Tables(path, durability)) as tables:
        assert tables._db.execute("PRAGMA synchronous").fetchone() == (expected,)
        assert tables._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_version_is_refused(tables: Tables, path: Path) -> None:
    tables._db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    with pytest.raises(LedgerCorrupt, match="version 99"):
        reopened(path)


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"something else" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        reopened(path)
