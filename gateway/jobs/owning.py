"""Which node of a fleet does a single refresh. A dead node's are inherited, by one of those that are alive."""

import json
import sqlite3
from collections.abc import Iterable

from gateway.admission.jobs import Job, Sending
from gateway.jobs import reading

TABLE = "CREATE TABLE owners (job TEXT PRIMARY KEY, node INTEGER NOT NULL) STRICT, WITHOUT ROWID"
"""Beside the register's own tables (`schema`): a row for each single refresh under way."""

NOBODY = 0
"""In place of a node's incarnation."""


def own(db: sqlite3.Connection, id_: str, node: int) -> None:
    """The single refresh is done by `node`. Raises sqlite3.Error, as all here do."""
    db.execute("INSERT OR IGNORE INTO owners VALUES (?, ?)", (id_, node))


def forget(db: sqlite3.Connection, id_: str) -> None:
    """It has ended."""
    db.execute("DELETE FROM owners WHERE job = ?", (id_,))


def inherit(db: sqlite3.Connection, dead: Iterable[int], node: int) -> tuple[tuple[Job, Sending], ...]:
    """What the `dead` left and what nobody does, which `node` does from now on."""
    left = {"dead": json.dumps([*dead, NOBODY]), "node": node}
    orphans = "SELECT job FROM owners WHERE node IN (SELECT value FROM json_each(:dead))"
    found = {id_ for (id_,) in db.execute(orphans, left)}
    if not found:
        return ()
    db.execute("UPDATE owners SET node = :node WHERE node IN (SELECT value FROM json_each(:dead))", left)
    return tuple([(job, request) for job, request in reading.unfinished(db) if job.id in found])


def disown(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Whoever was to do these does not."""
    db.executemany("UPDATE owners SET node = ? WHERE job = ?", [(NOBODY, id_) for id_ in ids])


def owners(db: sqlite3.Connection) -> frozenset[int]:
    """Whoever is to do what is under way, dead or alive, NOBODY included."""
    return frozenset([node for (node,) in db.execute("SELECT DISTINCT node FROM owners")])
