import sqlite3
from collections.abc import Iterator

import pytest

from gateway.ledger.inserting import insert


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("CREATE TABLE sums (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT")
    yield db
    db.close()


@pytest.mark.parametrize("count", [0, 1, 9, 10, 99, 100, 101, 327])
def test_every_row_is_inserted_once(db: sqlite3.Connection, count: int) -> None:
    rows = [(f"{number:04}", number) for number in range(count)]
    insert(db, "sums", rows)
    assert db.execute("SELECT * FROM sums ORDER BY name").fetchall() == rows


@pytest.mark.parametrize("count", [1, 111])
def test_what_is_there_is_refused_replaced_or_added_to(db: sqlite3.Connection, count: int) -> None:
    rows = [(f"{number:04}", 1) for number in range(count)]
    insert(db, "sums", rows)
    with pytest.raises(sqlite3.IntegrityError):
        insert(db, "sums", rows)
    insert(db, "sums", [(name, 5) for name, _ in rows], or_="REPLACE")
    insert(db, "sums", rows, conflict="ON CONFLICT DO UPDATE SET value = value + excluded.value")
    assert db.execute("SELECT count(*), min(value), max(value) FROM sums").fetchone() == (count, 6, 6)
