import sqlite3

from gateway.ledger import migration
from gateway.ledger.inserting import insert
from gateway.ledger.kept import kept
from gateway.ledger.records import Kept

KEPT = Kept("ci", "a key", "a fingerprint", 7, 500.0, "content")


def test_an_answer_is_found_by_its_account_and_key() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migration.create(db)
    insert(db, "answers", [KEPT, KEPT._replace(account="other", operation=8)])
    assert kept(db, "ci", "a key") == KEPT
    assert kept(db, "other", "a key") == KEPT._replace(account="other", operation=8)
    assert kept(db, "ci", "another key") is None
    assert kept(db, "nobody", "a key") is None
    db.close()
