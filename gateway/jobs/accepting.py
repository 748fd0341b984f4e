"""An order becomes a job, together with all that it collapses: one call, whatever the number of its subjects."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator

from gateway.admission.jobs import Accepted, How, Kind, Order, Sending, Stage, State
from gateway.jobs import ending
from gateway.jobs.encoding import allowed, scopes, texts, written
from gateway.jobs.joining import Joining, UnderWay, Widened, joining
from gateway.jobs.ranking import rank

MOST_JOBS = 10_000
"""Of one account that have not ended: each has a part in every step of the work that it shares."""

MOST_SUBJECTS = 1_000_000
"""Of these jobs together, before one more begins."""

# 128 random bits: who does not know an id does not guess it, and ids tell nothing of how many there are.
_ID_BYTES = 16

_UNDER_WAY = """
SELECT works.id, works.subject, works.stage, works.since, works.scopes, records.since
FROM json_each(:subjects) AS asked
CROSS JOIN works ON works.name = :name AND works.subject = asked.value
LEFT JOIN records ON records.account = :account AND records.name = :name AND records.subject = asked.value
"""
# By the account's few jobs, not by those of all who share the works.
_OWN = """
SELECT number, id FROM jobs WHERE account = :account AND ended IS NULL AND subjects >= :count AND (
    SELECT count(*) FROM interests WHERE job = jobs.number AND work IN (SELECT value FROM json_each(:works))
) = :count ORDER BY number LIMIT 1
"""
_UNFINISHED = """
SELECT count(*), coalesce(sum(subjects), 0) FROM jobs WHERE account = ? AND ended IS NULL AND kind = 'background'
"""
_BEGIN = """
INSERT INTO works (name, subject, job, behind, stage, since, scopes, due, reached, rank)
SELECT :name, asked.value, :job, :behind, :stage,
    CASE WHEN :own_words THEN :since ELSE coalesce(:since, records.since) END, :scopes, :due, :now, :rank
FROM json_each(:subjects) AS asked
LEFT JOIN records ON records.account = :account AND records.name = :name AND records.subject = asked.value
"""
_ATTEMPTED = """
INSERT INTO records (account, name, subject, attempted)
SELECT :account, :name, value, :now FROM json_each(:subjects) WHERE true
ON CONFLICT DO UPDATE SET attempted = excluded.attempted
"""
# Before the works', which say by how much.
_HURRIED_TARGETS = """
UPDATE targets SET rank = rank + :rank - (SELECT works.rank FROM works WHERE works.id = targets.work)
WHERE work IN (
    SELECT works.id FROM json_each(:subjects) AS asked
    CROSS JOIN works ON works.name = :name AND works.subject = asked.value WHERE works.rank > :rank
)
"""
_HURRIED = """
UPDATE works SET rank = :rank
WHERE name = :name AND rank > :rank AND subject IN (SELECT value FROM json_each(:subjects))
"""
_INTERESTED = """
INSERT INTO interests (work, job, attempted)
SELECT works.id, :job, records.attempted FROM json_each(:subjects) AS asked
CROSS JOIN works ON works.name = :name AND works.subject = asked.value
LEFT JOIN records ON records.account = :account AND records.name = :name AND records.subject = asked.value
"""
_BACK = """
UPDATE works SET job = ?, behind = ?, stage = ?, due = ?, since = ?, scopes = ?, reached = ?, attempts = 0,
    began = NULL, sent = 0, responses = 0, done = 0, failed = 0, reason = NULL
WHERE id = ?
"""
# Their interested jobs no longer count what is fetched anew.
_UNCOUNTED = """
UPDATE jobs SET responses = jobs.responses - lost.responses, responses_done = jobs.responses_done - lost.done,
    responses_failed = jobs.responses_failed - lost.failed
FROM (
    SELECT interests.job AS job, sum(works.responses) AS responses, sum(works.done) AS done, sum(works.failed) AS failed
    FROM json_each(:works) AS widened
    CROSS JOIN works ON works.id = widened.value
    CROSS JOIN interests ON interests.work = works.id
    GROUP BY interests.job
) AS lost WHERE jobs.number = lost.job
"""
_COUNTED = """
UPDATE jobs SET responses = shared.responses, responses_done = shared.done, responses_failed = shared.failed,
    state = CASE WHEN shared.running THEN 'running' ELSE jobs.state END
FROM (
    SELECT coalesce(sum(works.responses), 0) AS responses, coalesce(sum(works.done), 0) AS done,
        coalesce(sum(works.failed), 0) AS failed, count(works.began) > 0 AS running
    FROM interests CROSS JOIN works ON works.id = interests.work WHERE interests.job = :job
) AS shared WHERE jobs.number = :job
"""


def new_id() -> str:
    """For a job, by chance."""
    return secrets.token_hex(_ID_BYTES)


def accept(db: sqlite3.Connection, order: Order, id_: str, now: float) -> Accepted | None:
    """`ports.Jobs.accept`, within the caller's transaction; None where the account has too much under way.

    A new job has the id `id_`. Raises sqlite3.Error.
    """
    subjects = tuple(dict.fromkeys(order.subjects))
    asked = {"name": order.name, "account": order.account, "subjects": texts(subjects), "now": now}
    asked |= {"rank": rank(len(subjects)), "id": id_}
    plan = joining(order, subjects, _under_way(db, asked))
    accepted = _own(db, order, plan)
    if accepted is None:
        if _has_too_much(db, order.account):
            return None
        accepted = _begun(db, order, plan, asked)
    if len(plan.new) < len(subjects):
        db.execute(_HURRIED_TARGETS, asked)
        db.execute(_HURRIED, asked)
    db.execute(_ATTEMPTED, asked)
    return accepted


def _under_way(db: sqlite3.Connection, asked: dict[str, object]) -> Iterator[UnderWay]:
    for work, subject, stage, since, shared, recorded in db.execute(_UNDER_WAY, asked):
        yield UnderWay(work, subject, Stage(stage), since, frozenset(scopes(shared)), recorded)


def _own(db: sqlite3.Connection, order: Order, plan: Joining) -> Accepted | None:
    """The account's own job that is about all of it already."""
    if not plan.joined or plan.how is not How.joined:
        return None
    asked = {"works": json.dumps(plan.joined), "account": order.account, "count": len(plan.joined)}
    row = db.execute(_OWN, asked).fetchone()
    if row is None:
        return None
    db.execute("UPDATE jobs SET orders = orders + 1 WHERE number = ?", row[:1])
    return Accepted(row[1], How.joined)


def _has_too_much(db: sqlite3.Connection, account: str) -> bool:
    jobs, subjects = db.execute(_UNFINISHED, (account,)).fetchone()
    return bool(jobs >= MOST_JOBS or subjects >= MOST_SUBJECTS)


def _begun(db: sqlite3.Connection, order: Order, plan: Joining, asked: dict[str, object]) -> Accepted:
    now = asked["now"]
    number = _insert(db, order, asked["id"], now)
    sending = order.sending if order.first is Stage.trigger and plan.begins else None
    if sending is not None:
        _arm(db, number, order.name, sending, now)
    behind, due = (None, now) if sending is None else (number, None)
    placed = {"job": number, "behind": behind, "stage": order.first, "due": due}
    _widen(db, plan, placed, now)
    wanted = {"since": order.since, "own_words": order.sending is not None, "scopes": allowed(frozenset(order.scopes))}
    db.execute(_BEGIN, asked | placed | wanted | {"subjects": texts(plan.new)})
    db.execute(_INTERESTED, asked | placed)
    db.execute(_COUNTED, placed)
    ending.finish(db, [number], asked["now"])
    return Accepted(str(asked["id"]), plan.how)


def _insert(db: sqlite3.Connection, order: Order, id_: object, now: object) -> int:
    subjects = len(set(order.subjects))
    subject = order.subjects[0] if subjects == 1 and not order.whole else None
    row = (id_, Kind.background, order.name, order.account, now, State.pending, subject, order.since, subjects)
    cursor = db.execute(
        "INSERT INTO jobs (id, kind, name, account, began, state, subject, since, subjects, url, host) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', '')",
        row,
    )
    return cursor.lastrowid or 0


def _arm(db: sqlite3.Connection, number: int, name: str, sending: Sending, now: object) -> None:
    row = (number, name, written(sending), now, now)
    db.execute("INSERT INTO triggers (job, name, sending, due, reached) VALUES (?, ?, ?, ?, ?)", row)


def _widen(db: sqlite3.Connection, plan: Joining, placed: dict[str, object], now: object) -> None:
    if plan.added:
        rows = [(allowed(widened.scopes), widened.work) for widened in plan.added]
        db.executemany("UPDATE works SET scopes = ? WHERE id = ?", rows)
    if plan.back:
        works = {"works": json.dumps([widened.work for widened in plan.back])}
        db.execute(_UNCOUNTED, works)
        db.execute("DELETE FROM targets WHERE work IN (SELECT value FROM json_each(:works))", works)
        awaited = ending.awaited(db, "SELECT value FROM json_each(:works)", works)
        db.executemany(_BACK, _back_rows(plan.back, placed, now))
        ending.disarm(db, awaited)


def _back_rows(back: Iterable[Widened], placed: dict[str, object], now: object) -> Iterator[tuple[object, ...]]:
    for widened in back:
        yield (*placed.values(), widened.since, allowed(widened.scopes), now, widened.work)
