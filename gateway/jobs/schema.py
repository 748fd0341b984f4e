"""The register's tables. A row of `works` is the one work under way on a subject; what has ended is in `jobs` alone.

A work has an interest of every job that shares it. Its round is named by the `job` that began or last widened it: what
is reported of an earlier round finds another job there, and does nothing. `due` is NULL where nothing is to be done for
the row itself: a work `behind` a job's trigger, one whose `targets` are fetched, a target that has ended. Targets that
have ended stay until their work ends, so that a list that names them again does not bring them back. `rank` says who
goes first of what is due (`ranking`).

`jobs` counts what its listing tells: its subjects, and the sums of `responses`, `done` and `failed` over the works that
it shares. `records` outlive everything. All times are wall-clock seconds; `seen` has the latest that was given.
"""

VERSION = 1

SCHEMA = f"""
BEGIN;
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
    account TEXT, began REAL NOT NULL, state TEXT NOT NULL, subject TEXT, since REAL, url TEXT NOT NULL,
    host TEXT NOT NULL, ended REAL, reason TEXT, subjects INTEGER NOT NULL DEFAULT 0,
    subjects_done INTEGER NOT NULL DEFAULT 0, subjects_failed INTEGER NOT NULL DEFAULT 0,
    responses INTEGER NOT NULL DEFAULT 0, responses_done INTEGER NOT NULL DEFAULT 0,
    responses_failed INTEGER NOT NULL DEFAULT 0, status INTEGER, cache_status TEXT, tokens INTEGER,
    orders INTEGER NOT NULL DEFAULT 1, failure TEXT, sending TEXT
) STRICT;
CREATE INDEX jobs_account ON jobs (account, number);
CREATE INDEX jobs_unfinished ON jobs (account, number) WHERE ended IS NULL;
CREATE INDEX jobs_ended ON jobs (ended) WHERE ended IS NOT NULL;
CREATE INDEX jobs_single ON jobs (number) WHERE sending IS NOT NULL;
CREATE TABLE triggers (
    job INTEGER PRIMARY KEY, name TEXT NOT NULL, sending TEXT NOT NULL, due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, began REAL, reached REAL NOT NULL, sent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX triggers_due ON triggers (name, due);
CREATE TABLE works (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, subject TEXT NOT NULL, job INTEGER NOT NULL,
    behind INTEGER, stage TEXT NOT NULL, since REAL, scopes TEXT NOT NULL, due REAL, rank INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, began REAL, reached REAL NOT NULL, sent INTEGER NOT NULL DEFAULT 0,
    responses INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    reason TEXT, UNIQUE (name, subject)
) STRICT;
CREATE INDEX works_due ON works (name, rank, due) WHERE due IS NOT NULL;
CREATE INDEX works_behind ON works (behind) WHERE behind IS NOT NULL;
CREATE INDEX works_job ON works (job);
CREATE TABLE interests (
    work INTEGER NOT NULL, job INTEGER NOT NULL, attempted REAL, PRIMARY KEY (work, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX interests_job ON interests (job);
CREATE TABLE targets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, work INTEGER NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL,
    scope TEXT NOT NULL, sending TEXT NOT NULL, due REAL, rank INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    UNIQUE (work, digest)
) STRICT;
CREATE INDEX targets_due ON targets (name, rank, due) WHERE due IS NOT NULL;
CREATE TABLE records (
    account TEXT NOT NULL, name TEXT NOT NULL, subject TEXT NOT NULL, attempted REAL, since REAL, state TEXT,
    PRIMARY KEY (account, name, subject)
) STRICT, WITHOUT ROWID;
CREATE TABLE seen (id INTEGER PRIMARY KEY, at REAL NOT NULL) STRICT;
PRAGMA user_version = {VERSION};
COMMIT;
"""
"""`attempted` of an interest is what its account's record said before the job was accepted."""

WORKSPACE = "CREATE TEMP TABLE ending (work INTEGER PRIMARY KEY)"
"""The works that end in one call; empty between calls."""
