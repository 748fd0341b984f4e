"""From former versions of the book to the present one.

Of version 1 the balances stay, and what they came from is carried in one sum each; version 2 knew no fleet.
"""

import sqlite3

from gateway.ledger import chain
from gateway.ledger.pruning import checkpoint
from gateway.ledger.schema import OF_FLEET, SCHEMA, VERSION

FORMER = (1, 2)
"""The versions that can be migrated."""

_SET_ASIDE = """
DROP TABLE lookups;
DROP TABLE operations;
ALTER TABLE meta RENAME TO former_meta;
ALTER TABLE balances RENAME TO former_balances;
ALTER TABLE reservations RENAME TO former_reservations;
ALTER TABLE forced RENAME TO former_forced;
"""
# What an unlimited plan's open reservation has granted is posted when that ends.
_CARRY_OVER = """
INSERT INTO balances SELECT holder, granted, charged, reserved, lapsed, balance, period, given FROM former_balances;
INSERT INTO reservations
    SELECT id, account, holder, organization, route, '', period, tokens, lines, '', at FROM former_reservations;
INSERT INTO forced SELECT organization, at, until, '', 0 FROM former_forced;
INSERT INTO carried SELECT holder, granted - (
    SELECT coalesce(sum(tokens), 0) FROM reservations WHERE holder = balances.holder AND period IS NULL
), charged, lapsed FROM balances;
UPDATE meta SET value = (SELECT value FROM former_meta WHERE name = 'applied') WHERE name = 'applied';
UPDATE meta SET value = (SELECT value FROM former_meta WHERE name = 'last_id') WHERE name = 'last_id';
DROP TABLE former_meta;
DROP TABLE former_balances;
DROP TABLE former_reservations;
DROP TABLE former_forced;
"""


def create(db: sqlite3.Connection) -> None:
    """Makes the tables of an empty book, within the caller's transaction. Raises sqlite3.Error."""
    _run(db, SCHEMA)
    names = ("version", VERSION), ("applied", 0), ("last_id", 0), ("sealed", -1), ("last_number", 0)
    db.executemany("INSERT INTO meta VALUES (?, ?)", [*names, ("head", chain.GENESIS)])
    _run(db, OF_FLEET)


def migrate(db: sqlite3.Connection, wall: float) -> None:
    """Turns a book of a former version into the present one, within the caller's transaction. Raises sqlite3.Error.

    The chain of one of version 1 begins with a checkpoint of `wall` (seconds): all before it stands in `carried`.
    """
    (version,) = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    if version == 1:
        _from_the_first(db, wall)
    else:
        _run(db, OF_FLEET)
        db.execute("UPDATE meta SET value = ? WHERE name = 'version'", (VERSION,))


def _from_the_first(db: sqlite3.Connection, wall: float) -> None:
    _run(db, _SET_ASIDE)
    create(db)
    _run(db, _CARRY_OVER)
    minute = int(wall // 60)
    chain.append(db, [checkpoint(db, 0, chain.GENESIS, minute, minute)])


def _run(db: sqlite3.Connection, script: str) -> None:
    # Not executescript: it would commit the transaction.
    for statement in script.split(";"):
        db.execute(statement)
