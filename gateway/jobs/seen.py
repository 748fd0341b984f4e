"""The wall clock as the register has seen it: what is due keeps its distance when the clock is set back."""

import sqlite3

# Seconds: smaller steps back only delay what is due by as much, and the latest time is written no more often.
SLACK = 1.0

_SET_BACK = (
    "UPDATE triggers SET began = min(began, :now), reached = min(reached, :now)",
    "UPDATE works SET began = min(began, :now), reached = min(reached, :now)",
    "UPDATE triggers SET due = max(due - :by, :now) WHERE due > :now",
    "UPDATE works SET due = max(due - :by, :now) WHERE due > :now",
    "UPDATE targets SET due = max(due - :by, :now) WHERE due > :now",
)


def latest(db: sqlite3.Connection) -> float | None:
    """What `see` was told last, None before the first time. Raises sqlite3.Error."""
    at: float | None = db.execute("SELECT max(at) FROM seen").fetchone()[0]
    return at


def see(db: sqlite3.Connection, now: float) -> None:
    """Notes that it is `now`. Where it has been later, what is due after now is moved back by the difference.

    What began later than now began now: it is never recorded that a refresh began in the future. Raises sqlite3.Error.
    """
    at = latest(db)
    if at is not None and abs(now - at) < SLACK:
        return
    if at is not None and now < at:
        for statement in _SET_BACK:
            db.execute(statement, {"now": now, "by": at - now})
    db.execute("REPLACE INTO seen (id, at) VALUES (1, ?)", (now,))
