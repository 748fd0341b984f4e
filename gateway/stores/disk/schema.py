"""The tables of the responses' file."""

import sqlite3
from typing import Any

VERSION = 1
"""Of the tables; a file of another version is made anew."""

PAGE = 8192
"""Bytes in a page."""

SCHEMA = """
CREATE TABLE told (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE listed (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, variant BLOB NOT NULL, began REAL NOT NULL, received REAL NOT NULL,
    used INTEGER NOT NULL, name BLOB NOT NULL
);
CREATE UNIQUE INDEX listed_key ON listed (key, variant);
CREATE INDEX listed_used ON listed (used);
CREATE TABLE contents (id INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE marks (name BLOB PRIMARY KEY, before REAL NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX marks_before ON marks (before);
"""
"""`told` is what one process tells the next; `listed` says of each response how it is found, `contents` what it is.

`used` is the turn of its latest use, `name` its cache key, of which `key` is a digest, as a mark's `name` is of its
group's.
"""


def remember(db: sqlite3.Connection, name: str, value: object) -> None:
    """Keep something under a name."""
    db.execute("INSERT OR REPLACE INTO told VALUES (?, ?)", (name, value))


def told(db: sqlite3.Connection, name: str) -> Any:
    """What is kept under a name, None where nothing is."""
    row = db.execute("SELECT value FROM told WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]
