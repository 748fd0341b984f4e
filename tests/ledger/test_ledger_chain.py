import hashlib
import sqlite3
from collections.abc import Iterator

import pytest
from ledger.auditing import audit

from gateway.ledger import migration
from gateway.ledger.chain import GENESIS, Row, append, digest, tip

GRANT = Row("grant", 7, holder="acme", tokens=5, granted=5, details='{"period":1,"given":5}')


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migration.create(db)
    yield db
    db.close()


def test_a_record_is_hashed_with_its_number_and_the_hash_before_it() -> None:
    text = rb'[3,"grant",7,"","acme","","","",null,null,5,0,5,0,0,0,"{}","{\"period\":1,\"given\":5}"]'
    assert digest(b"before", 3, GRANT) == hashlib.sha256(b"before" + text).digest()


def test_an_empty_chain_begins_with_nothing(db: sqlite3.Connection) -> None:
    assert tip(db) == (0, GENESIS)
    append(db, [])
    assert tip(db) == (0, GENESIS)


def test_records_are_numbered_and_hold_the_hash_before_them(db: sqlite3.Connection) -> None:
    append(db, [GRANT, GRANT._replace(minute=8)])
    append(db, [GRANT._replace(operation=9, request="a", count=2)])
    found = db.execute("SELECT number, minute, operation, request, count, before FROM chain").fetchall()
    first = digest(GENESIS, 1, GRANT)
    second = digest(first, 2, GRANT._replace(minute=8))
    assert found == [(1, 7, None, None, 0, GENESIS), (2, 8, None, None, 0, first), (3, 7, 9, "a", 2, second)]
    assert tip(db) == (3, digest(second, 3, GRANT._replace(operation=9, request="a", count=2)))


def test_many_at_once_are_one_chain(db: sqlite3.Connection) -> None:
    append(db, [GRANT._replace(minute=number) for number in range(1, 251)])
    assert [number for (number,) in db.execute("SELECT minute FROM chain ORDER BY number")] == list(range(1, 251))
    db.execute("INSERT INTO balances VALUES ('acme', 1250, 0, 0, 0, 1250, 1, 5)")
    audit(db)
