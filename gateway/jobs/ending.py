"""How work ends, and with it the jobs that have shared it; and how a job is cancelled."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from gateway.admission.jobs import State

NOT_CHARGED = "not_charged"
"""The reason of a job that was withdrawn."""

_RECORDED = """
INSERT INTO records (account, name, subject, since, state)
SELECT jobs.account, works.name, works.subject, CASE WHEN :state = 'done' THEN works.began END, :state
FROM temp.ending
CROSS JOIN works ON works.id = ending.work
CROSS JOIN interests ON interests.work = works.id
CROSS JOIN jobs ON jobs.number = interests.job
WHERE true
ON CONFLICT DO UPDATE SET state = excluded.state,
    since = CASE WHEN excluded.since > coalesce(since, excluded.since - 1) THEN excluded.since ELSE since END
"""
_COUNTED = """
UPDATE jobs SET subjects_done = subjects_done + ended.count * (:state = 'done'),
    subjects_failed = subjects_failed + ended.count * (:state = 'failed'), failure = coalesce(failure, :reason)
FROM (
    SELECT interests.job AS job, count(*) AS count FROM temp.ending
    CROSS JOIN interests ON interests.work = ending.work GROUP BY interests.job
) AS ended WHERE jobs.number = ended.job
"""
_FINISHED = """
UPDATE jobs SET ended = ?, state = CASE WHEN subjects_failed THEN 'failed' ELSE 'done' END, reason = CASE
    WHEN subjects_failed = 0 THEN NULL WHEN subjects = 1 THEN failure
    ELSE subjects_failed || ' of ' || subjects || ' failed, the first for ' || failure END
WHERE number = ? AND ended IS NULL AND subjects_done + subjects_failed = subjects
"""
_CANCELLED = """
INSERT INTO records (account, name, subject, state)
SELECT leaving.account, works.name, works.subject, 'cancelled' FROM interests
CROSS JOIN works ON works.id = interests.work
CROSS JOIN jobs AS leaving ON leaving.number = interests.job
WHERE interests.job = :job AND NOT EXISTS (
    SELECT 1 FROM interests AS others JOIN jobs ON jobs.number = others.job
    WHERE others.work = works.id AND others.job <> :job AND jobs.account = leaving.account
)
ON CONFLICT DO UPDATE SET state = excluded.state
"""
_UNASKED = """
INSERT INTO records (account, name, subject, attempted)
SELECT leaving.account, works.name, works.subject, interests.attempted FROM interests
CROSS JOIN works ON works.id = interests.work
CROSS JOIN jobs AS leaving ON leaving.number = interests.job
WHERE interests.job = :job
ON CONFLICT DO UPDATE SET attempted = excluded.attempted WHERE attempted = :began
"""
_ALONE = """
INSERT INTO temp.ending SELECT work FROM interests WHERE job = :job AND NOT EXISTS (
    SELECT 1 FROM interests AS others WHERE others.work = interests.work AND others.job <> :job
)
"""


def end_work(db: sqlite3.Connection, work: int, state: State, reason: str | None, now: float) -> None:
    """One work has ended, `state` done or failed. Raises sqlite3.Error, as all here do."""
    db.execute("INSERT INTO temp.ending VALUES (?)", (work,))
    _end(db, state, reason, now)


def end_behind(db: sqlite3.Connection, job: int, reason: str, now: float) -> None:
    """All that waited for this job's trigger has failed."""
    db.execute("INSERT INTO temp.ending SELECT id FROM works WHERE behind = ?", (job,))
    _end(db, State.failed, reason, now)


def finish(db: sqlite3.Connection, jobs: Iterable[int], now: object) -> None:
    """Those of the jobs end whose subjects have all ended."""
    db.executemany(_FINISHED, [(now, job) for job in jobs])


def awaited(db: sqlite3.Connection, works: str, values: Mapping[str, object]) -> list[int]:
    """The jobs whose triggers the works wait for that the query `works` finds."""
    query = f"SELECT DISTINCT behind FROM works WHERE id IN ({works}) AND behind IS NOT NULL"  # noqa: S608  # our own
    return [job for (job,) in db.execute(query, values)]


def disarm(db: sqlite3.Connection, jobs: Iterable[int]) -> None:
    """Triggers of these jobs are not sent where nothing waits for them any more."""
    query = "DELETE FROM triggers WHERE job = ? AND NOT EXISTS (SELECT 1 FROM works WHERE behind = triggers.job)"
    db.executemany(query, [(job,) for job in jobs])


def cancel(db: sqlite3.Connection, id_: str, now: float) -> State | None:
    """`ports.Jobs.cancel`. A trigger lives on while work waits for it that others share."""
    row = db.execute("SELECT number, state FROM jobs WHERE id = ?", (id_,)).fetchone()
    if row is None:
        return None
    number, state = row[0], State(row[1])
    if not state.final:
        db.execute(_CANCELLED, {"job": number})
        _leave(db, number, None, now)
    return state


def withdraw(db: sqlite3.Connection, id_: str, now: float) -> None:
    """`ports.Jobs.withdraw`. A job that other orders of its account have joined stays theirs."""
    row = db.execute("SELECT number, orders, began FROM jobs WHERE id = ? AND ended IS NULL", (id_,)).fetchone()
    if row is None:
        return
    number, orders, began = row
    if orders > 1:
        db.execute("UPDATE jobs SET orders = orders - 1 WHERE number = ?", (number,))
    else:
        db.execute(_UNASKED, {"job": number, "began": began})
        _leave(db, number, NOT_CHARGED, now)


def _leave(db: sqlite3.Connection, number: int, reason: str | None, now: float) -> None:
    """The job is interested in nothing any more: work that it alone was interested in is gone."""
    db.execute(_ALONE, {"job": number})
    db.execute("DELETE FROM interests WHERE job = ?", (number,))
    db.execute(
        "UPDATE jobs SET state = 'cancelled', ended = ?, reason = ?, sending = NULL WHERE number = ?",
        (now, reason, number),
    )
    _drop(db)


def _end(db: sqlite3.Connection, state: State, reason: str | None, now: float) -> None:
    """All works in `ending` have ended in this way."""
    values = {"state": state, "reason": reason}
    db.execute(_RECORDED, values)
    db.execute(_COUNTED, values)
    finish(db, _interested(db), now)
    db.execute("DELETE FROM interests WHERE work IN (SELECT work FROM temp.ending)")
    _drop(db)


def _interested(db: sqlite3.Connection) -> Sequence[int]:
    query = "SELECT DISTINCT job FROM interests WHERE work IN (SELECT work FROM temp.ending)"
    return [job for (job,) in db.execute(query)]


def _drop(db: sqlite3.Connection) -> None:
    """The works in `ending` and their targets, and the triggers that only they waited for."""
    triggers = awaited(db, "SELECT work FROM temp.ending", {})
    db.execute("DELETE FROM targets WHERE work IN (SELECT work FROM temp.ending)")
    db.execute("DELETE FROM works WHERE id IN (SELECT work FROM temp.ending)")
    db.execute("DELETE FROM temp.ending")
    disarm(db, triggers)
