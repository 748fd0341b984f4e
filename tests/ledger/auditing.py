"""The book's promises as `schema` states them, checked by other means than `verify`'s."""

import hashlib
import sqlite3

import orjson

_SUMS = """
SELECT holder, sum(granted), sum(charged), sum(lapsed) FROM (
    SELECT holder, granted, charged, lapsed FROM carried
    UNION ALL SELECT holder, granted, charged, lapsed FROM chain
    UNION ALL SELECT holder, granted, charged, lapsed FROM open
    UNION ALL SELECT holder, tokens, 0, 0 FROM reservations WHERE period IS NULL
) GROUP BY holder
"""


def audit(db: sqlite3.Connection) -> None:
    """Fails unless the chain is whole from its newest checkpoint on, and every balance is what its postings say."""
    meta = dict(db.execute("SELECT name, value FROM meta"))
    number, before, carried = _start(db)
    for record, *columns, said in db.execute("SELECT * FROM chain WHERE number > ? ORDER BY number", (number,)):
        assert (record, said) == (number + 1, before)
        number, before = record, hashlib.sha256(before + orjson.dumps([record, *columns])).digest()
    assert (number, before) == (meta["last_number"], meta["head"])
    assert carried in (None, hashlib.sha256(orjson.dumps(sorted(db.execute("SELECT * FROM carried")))).hexdigest())
    assert not db.execute("SELECT * FROM open WHERE minute <= ?", (meta["sealed"],)).fetchall()
    _audit_balances(db)


def _start(db: sqlite3.Connection) -> tuple[int, bytes, str | None]:
    newest = db.execute("SELECT details FROM chain WHERE kind = 'checkpoint' ORDER BY number DESC").fetchone()
    if newest is None:
        return 0, bytes(32), None
    details = orjson.loads(newest[0])
    return details["through"], bytes.fromhex(details["hash"]), details["carried"]


def _audit_balances(db: sqlite3.Connection) -> None:
    reserved = dict(db.execute("SELECT holder, sum(tokens) FROM reservations GROUP BY holder"))
    sums = {holder: columns for holder, *columns in db.execute(_SUMS) if holder}
    balances = {row[0]: row[1:6] for row in db.execute("SELECT * FROM balances")}
    assert set(sums) | set(reserved) <= set(balances)
    for holder, (granted, charged, held, lapsed, balance) in balances.items():
        assert [granted, charged, lapsed] == sums.get(holder, [0, 0, 0])
        assert held == reserved.get(holder, 0)
        assert balance == granted - charged - held - lapsed
