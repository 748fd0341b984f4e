"""The jobs as they are listed and looked up, and what is forgotten of them."""

import sqlite3

from gateway.admission.jobs import Job, Recorded, Sending, State
from gateway.jobs.encoding import JOB, job, sending, written

# Rows that one call removes at most: others wait for it.
_AT_ONCE = 1000

_FIND = f"SELECT {JOB} FROM jobs WHERE id = :id AND (:account IS NULL OR account = :account)"  # noqa: S608  # our own
_LATEST = f"SELECT {JOB} FROM jobs {{where}} ORDER BY number DESC LIMIT :most"  # noqa: S608  # our own
_ACCOUNT = "account = :account"
_BEFORE = "number < (SELECT number FROM jobs WHERE id = :after{and_account})"
_UNFINISHED = f"SELECT {JOB}, sending FROM jobs WHERE sending IS NOT NULL ORDER BY number"  # noqa: S608  # our own
_RECORDED = "SELECT attempted, since, state FROM records WHERE account = ? AND name = ? AND subject = ?"
_UNDER_WAY = """
SELECT works.began FROM works JOIN interests ON interests.work = works.id JOIN jobs ON jobs.number = interests.job
WHERE works.name = ? AND works.subject = ? AND jobs.account = ? LIMIT 1
"""
_PRUNE = """
DELETE FROM jobs WHERE number IN (
    SELECT number FROM jobs WHERE ended < ? AND NOT EXISTS (SELECT 1 FROM works WHERE works.job = jobs.number)
    ORDER BY ended, number LIMIT ?
)
"""
_BEGIN = """
INSERT INTO jobs (id, kind, name, account, began, state, url, host, sending) VALUES (?, ?, ?, ?, ?, 'running', ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""
_END = """
UPDATE jobs SET state = ?, ended = ?, reason = ?, status = ?, cache_status = ?, tokens = ?, sending = NULL
WHERE id = ? AND ended IS NULL
"""


def find(db: sqlite3.Connection, id_: str, account: str | None) -> Job | None:
    """`ports.Jobs.find`. Raises sqlite3.Error, as all here do."""
    row = db.execute(_FIND, {"id": id_, "account": account}).fetchone()
    return None if row is None else job(row)


def latest(db: sqlite3.Connection, after: str | None, most: int, account: str | None) -> tuple[Job, ...]:
    """`ports.Jobs.latest`; none behind a job that is not there."""
    conditions = [] if account is None else [_ACCOUNT]
    if after is not None:
        conditions.append(_BEFORE.format(and_account="" if account is None else f" AND {_ACCOUNT}"))
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    values = {"after": after, "most": most, "account": account}
    return tuple(map(job, db.execute(_LATEST.format(where=where), values)))


def recorded(db: sqlite3.Connection, account: str, name: str, subject: str) -> Recorded:
    """`ports.Jobs.recorded`. What is under way tells the state, else what was last."""
    row = db.execute(_RECORDED, (account, name, subject)).fetchone()
    attempted, since, state = (None, None, None) if row is None else row
    under_way = db.execute(_UNDER_WAY, (name, subject, account)).fetchone()
    if under_way is not None:
        state = State.pending if under_way[0] is None else State.running
    return Recorded(attempted, since, None if state is None else State(state))


def begin(db: sqlite3.Connection, single: Job, request: Sending) -> None:
    """`ports.Jobs.begin`."""
    row = (single.id, single.kind, single.name, single.account, single.began, single.url, single.host)
    db.execute(_BEGIN, (*row, written(request)))


def end(db: sqlite3.Connection, single: Job, now: float) -> None:
    """`ports.Jobs.end`."""
    row = (single.state, now, single.reason, single.status, single.cache_status, single.tokens, single.id)
    db.execute(_END, row)


def unfinished(db: sqlite3.Connection) -> tuple[tuple[Job, Sending], ...]:
    """`ports.Jobs.unfinished`, first begun first."""
    return tuple([(job(row[:-1]), sending(row[-1])) for row in db.execute(_UNFINISHED)])


def prune(db: sqlite3.Connection, before: float) -> bool:
    """Forgets some of what ended before; whether more is left. What names the round of work under way stays."""
    return db.execute(_PRUNE, (before, _AT_ONCE)).rowcount == _AT_ONCE
