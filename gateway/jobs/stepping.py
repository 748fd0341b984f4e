"""What is due, and what came of each step: a trigger, a wait, a selection, a fetch.

A step that is no longer there (its job cancelled, its work widened or ended) changes nothing.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from gateway.admission.jobs import Stage, State, Step, Target
from gateway.jobs import ending
from gateway.jobs.encoding import digest, target_step, trigger_step, work_step, written
from gateway.jobs.ranking import PATIENCE, RANKS, rank

_TRIGGERS = """
SELECT triggers.job, triggers.name, jobs.id, jobs.account, jobs.since, triggers.due, triggers.attempts, triggers.began,
    triggers.reached, triggers.sent, triggers.sending
FROM triggers CROSS JOIN jobs ON jobs.number = triggers.job
WHERE triggers.name = :name AND triggers.due <= :now ORDER BY triggers.due, triggers.job LIMIT :most
"""
_WORKS = """
SELECT works.id, works.stage, works.name, jobs.id, jobs.account, works.subject, works.since, works.scopes, works.due,
    works.attempts, works.began, works.reached, works.sent
FROM works CROSS JOIN jobs ON jobs.number = works.job
WHERE works.name = :name AND works.rank = :rank AND works.due <= :now ORDER BY works.due, works.id LIMIT :most
"""
_TARGETS = """
SELECT targets.id, 'fetch', targets.name, jobs.id, jobs.account, works.subject, works.since, works.scopes, targets.due,
    targets.attempts, works.began, works.reached, 0, targets.scope, targets.sending
FROM targets CROSS JOIN works ON works.id = targets.work CROSS JOIN jobs ON jobs.number = works.job
WHERE targets.name = :name AND targets.rank = :rank AND targets.due <= :now ORDER BY targets.due, targets.id LIMIT :most
"""
_NEXT_DUE = """
SELECT min(due) FROM (
    SELECT min(due) AS due FROM triggers WHERE name = :name
    UNION ALL SELECT (SELECT min(due) FROM works WHERE name = :name AND rank = value AND due IS NOT NULL)
    FROM json_each(:ranks)
    UNION ALL SELECT (SELECT min(due) FROM targets WHERE name = :name AND rank = value AND due IS NOT NULL)
    FROM json_each(:ranks)
)
"""
_WORK = """
SELECT works.id FROM works JOIN jobs ON jobs.number = works.job
WHERE works.id = ? AND works.stage = ? AND works.due IS NOT NULL AND jobs.id = ?
"""
_TARGET = "SELECT work FROM targets WHERE id = ? AND due IS NOT NULL"
_PASSED = "UPDATE works SET stage = ?, due = ?, reached = ?, attempts = 0, sent = 0 WHERE id = ?"
_PASSED_BEHIND = "UPDATE works SET behind = NULL, stage = ?, due = ?, reached = ? WHERE behind = ?"
_FOUND = "INSERT OR IGNORE INTO targets (work, name, digest, scope, sending, due, rank) VALUES (?, ?, ?, ?, ?, ?, ?)"
_TRIGGER_LATER = """
UPDATE triggers SET due = :due, attempts = attempts + :failed, began = coalesce(began, :now), sent = 0 WHERE job = :id
"""
_WORK_LATER = "UPDATE works SET due = :due, attempts = attempts + :failed, sent = 0 WHERE id = :id"
_TARGET_LATER = "UPDATE targets SET due = :due, attempts = attempts + :failed WHERE id = :id"
_INTERESTED = "SELECT job FROM interests WHERE work = ?"
_INTERESTED_BEHIND = """
SELECT DISTINCT interests.job FROM works JOIN interests ON interests.work = works.id WHERE works.behind = ?
"""


def steps(
    db: sqlite3.Connection, name: str, now: float, most: int, busy: frozenset[tuple[str, int]]
) -> tuple[Step, ...]:
    """`ports.Jobs.steps`. Raises sqlite3.Error, as all here do."""
    due = {"name": name, "now": now, "most": most + len(busy)}
    ranked = [_ranked(db, due, busy, rank_) for rank_ in RANKS]
    # One that is about all that waits for it goes before all else.
    triggers = map(trigger_step, db.execute(_TRIGGERS, due))
    found = chain(triggers, map(itemgetter(1), merge(*chain(*ranked), key=itemgetter(0))))
    return tuple(islice((step for step in found if (step.stage, step.id) not in busy), most))


def next_due(db: sqlite3.Connection, name: str) -> float | None:
    """`ports.Jobs.next_due`."""
    due: float | None = db.execute(_NEXT_DUE, {"name": name, "ranks": json.dumps([*RANKS])}).fetchone()[0]
    return due


def sent(db: sqlite3.Connection, step: Step, now: float) -> bool:
    """`ports.Jobs.sent`."""
    if step.id < 0:
        query = "UPDATE triggers SET sent = 1, began = coalesce(began, ?) WHERE job = ?"
        waits = db.execute(query, (now, -step.id)).rowcount > 0
        if waits:
            _begin_behind(db, -step.id, now)
        return waits
    work = _work(db, step)
    if work is None:
        return False
    _begin(db, work, now)
    db.execute("UPDATE works SET sent = 1 WHERE id = ?", (work,))
    return True


def passed(db: sqlite3.Connection, step: Step, following: Stage, due: float, now: float) -> None:
    """`ports.Jobs.passed`."""
    if step.id < 0:
        _begin_behind(db, -step.id, now)
        db.execute(_PASSED_BEHIND, (following, due, now, -step.id))
        ending.disarm(db, [-step.id])
    elif (work := _work(db, step)) is not None:
        _begin(db, work, now)
        db.execute(_PASSED, (following, due, now, work))


def found(db: sqlite3.Connection, step: Step, targets: Sequence[Target], now: float, *, last: bool) -> None:
    """`ports.Jobs.found`. What is found is due once all is."""
    work = _work(db, step)
    if work is None:
        return
    _begin(db, work, now)
    _add(db, work, step.name, targets, None)
    if last:
        db.execute("UPDATE targets SET due = ? WHERE work = ?", (now, work))
        query = "UPDATE works SET stage = 'fetch', due = NULL, reached = ?, attempts = 0 WHERE id = ?"
        db.execute(query, (now, work))
        _end_if_fetched(db, work, now)


def fetched(db: sqlite3.Connection, step: Step, further: Sequence[Target], now: float) -> None:
    """`ports.Jobs.fetched`."""
    work = _target_ended(db, step)
    if work is not None:
        db.execute("UPDATE works SET done = done + 1 WHERE id = ?", (work,))
        jobs = db.execute(_INTERESTED, (work,)).fetchall()
        db.executemany("UPDATE jobs SET responses_done = responses_done + 1 WHERE number = ?", jobs)
        _add(db, work, step.name, further, now)
        _end_if_fetched(db, work, now)


def later(db: sqlite3.Connection, step: Step, due: float, reason: str, now: float, *, failed: bool) -> None:
    """`ports.Jobs.later`. A job under way tells the reason of the last attempt that has failed."""
    again = {"id": abs(step.id), "due": due, "failed": failed, "now": now}
    if step.id < 0:
        _begin_behind(db, -step.id, now)
        db.execute(_TRIGGER_LATER, again)
        jobs = db.execute(_INTERESTED_BEHIND, (-step.id,)).fetchall()
    else:
        work = _target(db, step) if step.stage is Stage.fetch else _work(db, step)
        if work is None:
            return
        _begin(db, work, now)
        db.execute(_TARGET_LATER if step.stage is Stage.fetch else _WORK_LATER, again)
        jobs = db.execute(_INTERESTED, (work,)).fetchall()
    if failed:
        db.executemany("UPDATE jobs SET reason = ? WHERE number = ?", [(reason, job) for (job,) in jobs])


def failed(db: sqlite3.Connection, step: Step, reason: str, now: float) -> None:
    """`ports.Jobs.failed`."""
    if step.id < 0:
        ending.end_behind(db, -step.id, reason, now)
    elif step.stage is not Stage.fetch:
        if (work := _work(db, step)) is not None:
            ending.end_work(db, work, State.failed, reason, now)
    elif (work := _target_ended(db, step)) is not None:
        query = "UPDATE works SET failed = failed + 1, reason = coalesce(reason, ?) WHERE id = ?"
        db.execute(query, (reason, work))
        jobs = db.execute(_INTERESTED, (work,)).fetchall()
        db.executemany("UPDATE jobs SET responses_failed = responses_failed + 1 WHERE number = ?", jobs)
        _end_if_fetched(db, work, now)


def _ranked(
    db: sqlite3.Connection, due: dict[str, object], busy: frozenset[tuple[str, int]], rank_: int
) -> tuple[Iterator[tuple[float, Step]], ...]:
    """Works and targets of one rank, each with the time by which it goes before others."""
    asked, patience = due | {"rank": rank_}, rank_ * PATIENCE
    works = map(work_step, _free(db.execute(_WORKS, asked), busy))
    targets = map(target_step, _free(db.execute(_TARGETS, asked), busy))
    return ((step.due + patience, step) for step in works), ((step.due + patience, step) for step in targets)


def _free(rows: Iterable[Sequence[Any]], busy: frozenset[tuple[str, int]]) -> Iterator[Sequence[Any]]:
    """Before anything is made of them: hundreds may be busy."""
    return (row for row in rows if (row[1], row[0]) not in busy)


def _work(db: sqlite3.Connection, step: Step) -> int | None:
    """The work that this step is of, if it still is."""
    row: tuple[int] | None = db.execute(_WORK, (step.id, step.stage, step.job)).fetchone()
    return None if row is None else row[0]


def _target(db: sqlite3.Connection, step: Step) -> int | None:
    """The work of the target that is to be fetched, if it still is."""
    row: tuple[int] | None = db.execute(_TARGET, (step.id,)).fetchone()
    return None if row is None else row[0]


def _target_ended(db: sqlite3.Connection, step: Step) -> int | None:
    """The work of the target, which is due no more; None where it was not."""
    work = _target(db, step)
    db.execute("UPDATE targets SET due = NULL, sending = '' WHERE id = ?", (step.id,))
    return work


def _begin(db: sqlite3.Connection, work: int, now: float) -> None:
    """Its first call was made now, unless there was one."""
    if db.execute("UPDATE works SET began = ? WHERE id = ? AND began IS NULL", (now, work)).rowcount:
        _run(db, db.execute(_INTERESTED, (work,)).fetchall())


def _begin_behind(db: sqlite3.Connection, job: int, now: float) -> None:
    """The first call for all that waits for this job's trigger."""
    db.execute("UPDATE works SET began = ? WHERE behind = ? AND began IS NULL", (now, job))
    _run(db, db.execute(_INTERESTED_BEHIND, (job,)).fetchall())


def _run(db: sqlite3.Connection, jobs: Sequence[tuple[int]]) -> None:
    db.executemany("UPDATE jobs SET state = 'running' WHERE number = ? AND state = 'pending'", jobs)


def _add(db: sqlite3.Connection, work: int, name: str, targets: Iterable[Target], due: float | None) -> None:
    """Each of the targets that the work does not have yet."""
    before = db.total_changes
    base, many = db.execute("SELECT rank, responses FROM works WHERE id = ?", (work,)).fetchone()
    rows = _rows(work, name, targets, due)
    db.executemany(_FOUND, [(*row, base + rank(many + at)) for at, row in enumerate(rows, start=1)])
    if added := db.total_changes - before:
        db.execute("UPDATE works SET responses = responses + ? WHERE id = ?", (added, work))
        jobs = [(added, job) for (job,) in db.execute(_INTERESTED, (work,))]
        db.executemany("UPDATE jobs SET responses = responses + ? WHERE number = ?", jobs)


def _rows(work: int, name: str, targets: Iterable[Target], due: float | None) -> Iterator[tuple[Any, ...]]:
    for target in targets:
        yield work, name, digest(target), target.scope, written(target.sending), due


def _end_if_fetched(db: sqlite3.Connection, work: int, now: float) -> None:
    query = "SELECT failed, reason FROM works WHERE id = ? AND done + failed = responses"
    row = db.execute(query, (work,)).fetchone()
    if row is not None:
        ending.end_work(db, work, State.failed if row[0] else State.done, row[1], now)
