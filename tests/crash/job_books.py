"""The register of refreshes as an outsider reads it: by the tables of `gateway.jobs.schema`, not by its code."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from gateway.jobs.schema import VERSION

_FILE = "jobs.sqlite3"

_FAULTS = {
    "a work that nobody is interested in": (
        "SELECT name, subject FROM works WHERE id NOT IN (SELECT work FROM interests)"
    ),
    "a work that nothing ends": (
        "SELECT name, subject FROM works WHERE due IS NULL AND behind IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM targets WHERE work = works.id AND targets.due IS NOT NULL)"
    ),
    "a work behind no trigger": (
        "SELECT name, subject FROM works WHERE behind IS NOT NULL AND behind NOT IN (SELECT job FROM triggers)"
    ),
    "a trigger that nothing waits for": (
        "SELECT job FROM triggers WHERE job NOT IN (SELECT behind FROM works WHERE behind IS NOT NULL)"
    ),
    "a target of no work": "SELECT work FROM targets WHERE work NOT IN (SELECT id FROM works)",
    "an interest in no work": "SELECT work, job FROM interests WHERE work NOT IN (SELECT id FROM works)",
    "an interest of an ended job": (
        "SELECT work, job FROM interests WHERE job IN (SELECT number FROM jobs WHERE ended IS NOT NULL)"
    ),
    "a work that counts other targets than it has": (
        "SELECT name, subject, responses, done, failed FROM works "
        "WHERE responses <> (SELECT count(*) FROM targets WHERE work = works.id) "
        "OR done + failed <> (SELECT count(*) FROM targets WHERE work = works.id AND sending = '')"
    ),
    "a job that counts other subjects than it has": (
        "SELECT id FROM jobs WHERE kind = 'background' AND state <> 'cancelled' AND subjects <> "
        "subjects_done + subjects_failed + (SELECT count(*) FROM interests WHERE job = number)"
    ),
    "a job whose responses do not add up": (
        "SELECT id FROM jobs WHERE state IN ('done', 'failed') AND responses <> responses_done + responses_failed"
    ),
    "a job that counts fewer responses than its works": (
        "SELECT id FROM jobs WHERE responses < (SELECT coalesce(sum(works.responses), 0) "
        "FROM interests JOIN works ON works.id = interests.work WHERE interests.job = number)"
    ),
    "a job whose state and end differ": (
        "SELECT id, state, ended FROM jobs WHERE (ended IS NULL) <> (state IN ('pending', 'running'))"
    ),
    "a job that failed for no reason": "SELECT id FROM jobs WHERE state = 'failed' AND reason IS NULL",
    "a job that is done in spite of failures": (
        "SELECT id FROM jobs WHERE kind = 'background' AND state = 'done' AND subjects_done <> subjects"
    ),
    "a single refresh that nothing ends": (
        "SELECT id FROM jobs WHERE kind = 'single' AND (ended IS NULL) <> (sending IS NOT NULL)"
    ),
    "a refreshDate that no refresh advanced": (
        "SELECT account, subject, since FROM records WHERE since IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM jobs WHERE jobs.account = records.account AND jobs.name = records.name AND subjects_done > 0 "
        "AND coalesce(jobs.subject, records.subject) = records.subject)"
    ),
    "a refresh that is done and advanced no refreshDate": (
        "SELECT id FROM jobs WHERE state = 'done' AND subject IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM records WHERE records.account = jobs.account AND records.name = jobs.name "
        "AND records.subject = jobs.subject AND records.since IS NOT NULL)"
    ),
}
"""What must be found nowhere, whenever the process died: the fault, and the rows that have it."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job. `orders` are the requests that it has answered, `tokens` what a single one cost."""

    id: str
    kind: str
    account: str
    state: str
    reason: str | None
    subject: str | None
    orders: int
    responses: int
    tokens: int | None


@dataclass(slots=True)
class Register:
    """All that was written down: `under_way` are the rows that something is still to be done for.

    `since` is each account's recorded refreshDate, by subject.
    """

    jobs: dict[str, JobRow] = field(default_factory=dict)
    under_way: int = 0
    since: dict[tuple[str, str], float] = field(default_factory=dict)
    unsound: list[str] = field(default_factory=list)


def read(store: Path) -> Register:
    """The register of a gateway that does not run, left as it is. Raises sqlite3.Error."""
    with tempfile.TemporaryDirectory() as scratch:
        for path in store.glob(f"{_FILE}*"):
            shutil.copy(path, scratch)
        with closing(sqlite3.connect(Path(scratch) / _FILE)) as db:
            return _read(db)


def _read(db: sqlite3.Connection) -> Register:
    assert db.execute("PRAGMA user_version").fetchone()[0] == VERSION
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    register = Register()
    columns = "id, kind, account, state, reason, subject, orders, responses, tokens"
    for row in db.execute(f"SELECT {columns} FROM jobs"):
        register.jobs[row[0]] = JobRow(*row)
    tables = ("works", "triggers", "targets", "interests")
    register.under_way = sum(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    for account, subject, since in db.execute("SELECT account, subject, since FROM records WHERE since IS NOT NULL"):
        register.since[account, subject] = since
    for fault, query in _FAULTS.items():
        register.unsound.extend(f"{fault}: {row}" for row in db.execute(query))
    return register
