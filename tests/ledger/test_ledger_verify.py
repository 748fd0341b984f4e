import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copy

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ledger.folders import NOVEMBER, Store, filled, grant, lookup, reserve

from gateway.errors import BadStart
from gateway.ledger import chain
from gateway.ledger.records import BEFORE_ANY, Renamed, Term
from gateway.ledger.recovery import BOOK, JOURNAL
from gateway.ledger.sums import booked
from gateway.ledger.verify import verify
from gateway.ledger.walk import Damage

DAY = 86400

# Nothing in the book tells that these were otherwise, as long as their minute is not sealed: who it was for, and what
# the vendor took, counts for no balance.
UNPROVEN = {
    "open": {"account", "route", "organization", "upstream", "minute", "cost"},
    "reservations": {"id", "account", "organization", "route", "upstream", "lines", "request", "at", "period"},
}
TABLES = ["chain", "open", "carried", "balances", "reservations"]


def long(folder: Path) -> Store:
    """A store whose chain was pruned, with records of every kind."""
    store = filled(folder)
    store.post(lookup("ci", at=NOVEMBER + DAY))
    store.seal(NOVEMBER + DAY + 60)
    store.tables.prune(NOVEMBER + DAY, NOVEMBER + DAY + 120)
    store.post(grant("new", 50, NOVEMBER + DAY), lookup("new", 2, NOVEMBER + 2 * DAY), reserve(9, "new", 5))
    store.seal(NOVEMBER + 2 * DAY + 60)
    store.post(lookup("ci", 3, NOVEMBER + 3 * DAY), lookup("new", 2, NOVEMBER + 3 * DAY))
    return store


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book") / "var"
    long(folder).close()
    return folder / BOOK


@pytest.fixture
def damaged(book: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the book, to be damaged."""
    with closing(sqlite3.connect(copy(book, tmp_path / BOOK), isolation_level=None)) as db:
        yield db


def test_a_sound_ledger(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "var")) as store:
        store.post(lookup("ci"), booked=False)
        proof = verify(store.folder / BOOK, store.folder)
        assert (proof.first, proof.holders, proof.waiting) == (1, 2, 1)
        assert proof.sealed == store.tables.sealed
        assert proof.sums == booked(store.tables._db)[1]


def test_a_pruned_one(book: Path) -> None:
    proof = verify(book)
    assert proof.first > 1
    assert proof.last > proof.first
    assert proof.waiting == 0


def test_an_empty_one(tmp_path: Path) -> None:
    Store(tmp_path / "var").close()
    proof = verify(tmp_path / "var" / BOOK, tmp_path / "var")
    assert proof == (1, 0, bytes(32), -1, 0, (0, 0, 0, 0, 0), 0)


def test_a_renamed_holder_goes_on(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "var")) as store:
        store.post(grant("old"), lookup("old", 10))
        term = Term(7, 1000)
        store.post(Renamed("old", "new", 1000, 10, 0, 990, term, term, BEFORE_ANY, NOVEMBER))
        assert verify(store.folder / BOOK).sums == (1000, 10, 0, 0, 990)


def cells(book: Path) -> list[tuple[str, str, int]]:
    """Every column of every row of the tables that are proven, by (table, column, row)."""
    with closing(sqlite3.connect(book)) as db:
        return [
            (table, column, row)
            for table in TABLES
            for _, column, *_ in db.execute(f"PRAGMA table_info({table})")
            if column not in UNPROVEN.get(table, ())
            for row in range(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        ]


def key(db: sqlite3.Connection, table: str, row: int) -> tuple[str, tuple[object, ...]]:
    """A condition that finds the row, and its values."""
    names = [name for _, name, _, _, _, part in db.execute(f"PRAGMA table_info({table})") if part]
    found = db.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY {', '.join(names)}").fetchall()[row]
    return " AND ".join(f"{name} = ?" for name in names), found


def other(value: object, data: st.DataObject) -> object:
    match value:
        case int():
            return data.draw(st.integers(-(2**40), 2**40).filter(lambda drawn: drawn != value))
        case str():
            return data.draw(st.sampled_from(["", value + "x", value[:-1], value.replace("1", "2")])) or "y"
        case bytes():
            return value[:-1] + bytes([value[-1] ^ 1])
        case _:
            return 7


@given(st.data())
def test_any_changed_value_is_found(book: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    table, column, row = data.draw(st.sampled_from(cells(book)))
    changed = Path(copy(book, tmp_path_factory.mktemp("changed") / BOOK))
    with closing(sqlite3.connect(changed)) as db, db:
        condition, values = key(db, table, row)
        before = db.execute(f"SELECT {column} FROM {table} WHERE {condition}", values).fetchone()[0]
        after = other(before, data)
        assume(before != after)
        # The grants of the others are pruned.
        assume(table != "balances" or column not in ("period", "given") or values == ("new",))
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {condition}", (after, *values))
    with pytest.raises(Damage):
        verify(changed)


@pytest.mark.parametrize("table", TABLES)
def test_any_row_that_is_missing_is_found(book: Path, tmp_path: Path, table: str) -> None:
    with closing(sqlite3.connect(book)) as db:
        count = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    assert count
    for row in range(count):
        changed = Path(copy(book, tmp_path / BOOK))
        with closing(sqlite3.connect(changed)) as db, db:
            condition, values = key(db, table, row)
            db.execute(f"DELETE FROM {table} WHERE {condition}", values)
        with pytest.raises(Damage):
            verify(changed)


APPENDED = {
    "a record": "INSERT INTO chain SELECT number + 1, kind, minute, account, holder, organization, route, upstream, "
    "operation, request, tokens, count, 0, 0, 0, cost, outcomes, details, "
    "(SELECT value FROM meta WHERE name = 'head') FROM chain ORDER BY number DESC LIMIT 1",
    "a record before the first": "INSERT INTO chain SELECT number - 1, kind, minute, account, holder, organization, "
    "route, upstream, operation, request, tokens, count, 0, 0, 0, cost, outcomes, details, zeroblob(32) "
    "FROM chain ORDER BY number LIMIT 1",
    "a holder that is carried": "INSERT INTO carried VALUES ('x', 0, 0, 0)",
    "a balance": "INSERT INTO balances VALUES ('x', 0, 0, 0, 0, 0, -1, 0)",
    "an open row": "INSERT INTO open SELECT minute, kind, 'x', route, tokens, holder, organization, upstream, count, "
    "granted, charged, lapsed, cost, outcomes FROM open LIMIT 1",
    "an open row of another kind": "INSERT INTO open SELECT minute, 'x', account, route, 0, '', organization, "
    "upstream, 0, 0, 0, 0, 0, '{}' FROM open LIMIT 1",
    "a reservation": "INSERT INTO reservations SELECT 8, account, holder, organization, route, upstream, period, "
    "tokens, lines, request, at FROM reservations LIMIT 1",
    "two records the other way round": "UPDATE chain SET number = CASE number WHEN (SELECT max(number) FROM chain) "
    "THEN -number + 1 ELSE -number - 1 END WHERE number >= (SELECT max(number) - 1 FROM chain)",
    "the head": "UPDATE meta SET value = zeroblob(32) WHERE name = 'head'",
    "no head": "DELETE FROM meta WHERE name = 'head'",
    "the last number": "UPDATE meta SET value = value + 1 WHERE name = 'last_number'",
    "no last number": "DELETE FROM meta WHERE name = 'last_number'",
    "a sealed open row": "UPDATE meta SET value = value + 10000 WHERE name = 'sealed'",
    "a used id": "UPDATE meta SET value = 1 WHERE name = 'last_id'",
}


@pytest.mark.parametrize("statement", APPENDED.values(), ids=APPENDED)
def test_what_does_not_belong_is_found(book: Path, damaged: sqlite3.Connection, tmp_path: Path, statement: str) -> None:
    assert verify(tmp_path / BOOK) == verify(book)
    damaged.execute(statement)
    damaged.execute("UPDATE chain SET number = -number WHERE number < 0")
    with pytest.raises(Damage):
        verify(tmp_path / BOOK)


FIRST_BAD: dict[str, tuple[str, str]] = {
    "a record": ("UPDATE chain SET tokens = tokens + 1 WHERE number = {first} + 1", "record {second} is not what"),
    "a gap": ("DELETE FROM chain WHERE number = {first} + 1", "record {second} is missing"),
    "a balance": ("UPDATE balances SET charged = charged + 1 WHERE holder = 'new'", "the balance of 'new' is"),
}


@pytest.mark.parametrize(("statement", "words"), FIRST_BAD.values(), ids=FIRST_BAD)
def test_the_first_bad_one_is_named(damaged: sqlite3.Connection, tmp_path: Path, statement: str, words: str) -> None:
    first = verify(tmp_path / BOOK).first
    damaged.execute(statement.format(first=first))
    with pytest.raises(Damage, match=words.format(second=first + 1)):
        verify(tmp_path / BOOK)


def test_a_head_noted_earlier_is_in_the_chain(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "var")) as store:
        book = store.folder / BOOK
        store.post(grant("ci"))
        noted = verify(book).head
        store.post(lookup("ci"))
        store.seal(NOVEMBER + 60)
        assert verify(book, noted=noted).head != noted
        assert verify(book, noted=verify(book).head)
        with pytest.raises(Damage, match="noted"):
            verify(book, noted=bytes(31) + b"x")
        store.post(lookup("ci", at=NOVEMBER + DAY))
        store.seal(NOVEMBER + DAY + 60)
        store.tables.prune(NOVEMBER + DAY, NOVEMBER + DAY + 60)
        with pytest.raises(Damage, match="noted"):
            verify(book, noted=noted)


def test_a_chain_longer_than_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.walk._PAGE", 2)
    with closing(long(tmp_path / "var")) as store:
        assert verify(store.folder / BOOK, store.folder).first > 1


@pytest.mark.parametrize("when", [0, 1, 2])
def test_what_goes_on_meanwhile_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int) -> None:
    """The gateway posts, seals and prunes between one page and the next."""
    with closing(long(tmp_path / "var")) as store:
        calls = iter(range(100))

        def digest(before: bytes, number: int, row: tuple[object, ...]) -> bytes:
            if next(calls) == when:
                store.post(lookup("ci", 2, NOVEMBER + 5 * DAY), grant("late", at=NOVEMBER + 5 * DAY))
                store.seal(NOVEMBER + 5 * DAY + 60)
                store.tables.prune(NOVEMBER + 4 * DAY, NOVEMBER + 5 * DAY + 60)
            return chain.digest(before, number, row)

        monkeypatch.setattr("gateway.ledger.walk._PAGE", 1)
        monkeypatch.setattr("gateway.ledger.walk.digest", digest)
        proof = verify(store.folder / BOOK, store.folder)
        assert proof.sums == booked(store.tables._db)[1]
        assert next(calls) > when


def test_a_damaged_journal_is_damage(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "var")) as store:
        store.post(lookup("ci"))
        store.post(lookup("ci"), booked=False)
        (segment,) = (store.folder / JOURNAL).glob("*.journal")
        segment.rename(segment.with_name(f"{9:020}.journal"))
        with pytest.raises(Damage, match="journal"):
            verify(store.folder / BOOK, store.folder)


def test_a_book_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadStart):
        verify(tmp_path / "none")
