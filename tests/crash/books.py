"""The ledger's book as an outsider reads it: by the tables of `gateway.ledger.schema`, with nothing of its code."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.ledger.schema import VERSION

_HOLDERS = """
WITH posted AS (
    SELECT holder, granted, charged, lapsed FROM chain UNION ALL SELECT holder, granted, charged, lapsed FROM open
    UNION ALL SELECT holder, granted, charged, lapsed FROM carried
    UNION ALL SELECT holder, iif(period IS NULL, tokens, 0), 0, 0 FROM reservations
), summed AS (
    SELECT holder, sum(granted) AS granted, sum(charged) AS charged, sum(lapsed) AS lapsed FROM posted GROUP BY holder
)
SELECT b.holder, b.granted, b.charged, b.reserved, b.lapsed, b.balance,
    coalesce(s.granted, 0), coalesce(s.charged, 0), coalesce(s.lapsed, 0)
FROM balances b LEFT JOIN summed s USING (holder)
"""


@dataclass(slots=True)
class Posted:
    """What the chain says of one request: `operations` by how often they were charged, `tokens` net of refunds."""

    operations: Counter[int] = field(default_factory=Counter)
    outcomes: list[str] = field(default_factory=list)
    charged: int = 0
    refunded: int = 0

    @property
    def tokens(self) -> int:
        return self.charged - self.refunded


@dataclass(slots=True)
class Plain:
    """An account's plain lookups: how many tokens in all, and how many of them needed more than what was stored."""

    tokens: int = 0
    fetched: int = 0

    def __sub__(self, other: "Plain") -> "Plain":
        return Plain(self.tokens - other.tokens, self.fetched - other.fetched)


@dataclass(slots=True)
class Reading:
    """The book at one moment. `requests` are the chain's since the reading before, by X-Request-Id; the rest is all of
    it: `plain` by account, `charged` by holder, `reserved` the open reservations, `unsound` what does not add up.
    """

    number: int = 0
    requests: dict[str, Posted] = field(default_factory=dict)
    plain: dict[str, Plain] = field(default_factory=dict)
    charged: dict[str, int] = field(default_factory=dict)
    reserved: int = 0
    unsound: list[str] = field(default_factory=list)


def read(store: Path, since: int = 0) -> Reading:
    """The book of a store, from one snapshot; `requests` from chain number `since` on. Raises sqlite3.Error."""
    with closing(opened(store / "book.sqlite3")) as db:
        db.execute("BEGIN")
        reading = Reading(db.execute("SELECT coalesce(max(number), 0) FROM chain").fetchone()[0])
        reading.reserved = db.execute("SELECT count(*) FROM reservations").fetchone()[0]
        for row in db.execute("SELECT * FROM chain WHERE number > ? AND request IS NOT NULL", (since,)):
            _post(reading.requests.setdefault(row["request"], Posted()), row)
        for table in ("chain", "open"):
            for row in db.execute(f"SELECT account, charged, outcomes FROM {table} WHERE kind = 'lookups'"):
                _count(reading.plain.setdefault(row["account"], Plain()), row)
        for row in db.execute(_HOLDERS):
            reading.charged[row["holder"]] = row["charged"]
            reading.unsound.extend(_faults(*row))
        return reading


def opened(path: Path) -> sqlite3.Connection:
    """A reader of a book, rows by name. Raises sqlite3.Error; fails for a book of another version."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    db.row_factory = sqlite3.Row
    version = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()[0]
    assert version == VERSION, f"{path} has version {version}"
    return db


def _post(posted: Posted, row: sqlite3.Row) -> None:
    posted.outcomes.extend(json.loads(row["outcomes"]))
    match row["kind"]:
        case "charge":
            posted.operations[row["operation"]] += 1
            posted.charged += row["charged"]
        case "refund":
            posted.refunded -= row["charged"]
        case "release":
            assert row["charged"] == 0, dict(row)
        case other:
            raise AssertionError(f"a request has a record of kind {other}")


def _count(plain: Plain, row: sqlite3.Row) -> None:
    plain.tokens += row["charged"]
    outcomes: dict[str, int] = json.loads(row["outcomes"])
    plain.fetched += sum(count for outcome, count in outcomes.items() if outcome != "hit")


def _faults(holder: str, *columns: Any) -> list[str]:
    granted, charged, reserved, lapsed, balance, *summed = columns
    faults = []
    if min(charged, reserved, lapsed, balance) < 0:
        faults.append(f"{holder}: something is negative: {columns}")
    if granted != balance + charged + reserved + lapsed:
        faults.append(f"{holder}: granted {granted} is not balance + charged + reserved + lapsed: {columns}")
    if [granted, charged, lapsed] != summed:
        faults.append(f"{holder}: granted, charged, lapsed {granted, charged, lapsed}, its records sum to {summed}")
    return faults
