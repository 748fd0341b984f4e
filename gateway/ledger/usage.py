"""What a month's requests cost, by who asked, for what, or how they ended: sums over the ledger's postings.

A month is closed once its last minute is sealed: from then on no posting can fall into it, and its usage is final.
"""

import re
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from gateway.errors import BadStart
from gateway.ledger.reader import told
from gateway.ledger.records import HOUSE

_MONTH = re.compile(r"(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])")

# What was given back to be reserved anew is one request still, and counts by what became of it then. In every row,
# `tokens` were charged for each of its `outcomes`; a refund ends no request.
_SUMS = """
SELECT {name} AS name,
    sum(CASE WHEN kind = 'spend' OR kind = 'refund' THEN 0 ELSE {requests} END),
    sum({charged}), sum(CASE kind WHEN 'refund' THEN -charged ELSE 0 END), sum(cost)
FROM postings {joined}
WHERE minute >= :first AND minute < :end AND kind IN ('lookups', 'charge', 'release', 'refund', 'spend')
GROUP BY 1
"""
_REQUESTS = """
CASE WHEN instr(outcomes, '"repriced"') THEN count - json_extract(outcomes, '$.repriced') ELSE count END
"""

# A day's at a time: the house has a row for each.
_BEGIN = "CREATE TEMP TABLE IF NOT EXISTS sums (name TEXT, requests INT, tokens INT, refunded INT, vendor_tokens INT)"
_ROWS = """
SELECT name, sum(requests), sum(tokens), sum(refunded), sum(vendor_tokens) FROM temp.sums GROUP BY name
HAVING sum(requests) <> 0 OR sum(tokens) <> 0 OR sum(refunded) <> 0 OR sum(vendor_tokens) <> 0
ORDER BY CASE WHEN :top IS NULL THEN 0 ELSE -sum(tokens) END, name = :house, name = '', name
LIMIT coalesce(:top + 1, -1)
"""
_TOTAL = """
SELECT 'total', coalesce(sum(requests), 0), coalesce(sum(tokens), 0), coalesce(sum(refunded), 0),
    coalesce(sum(vendor_tokens), 0)
FROM temp.sums
"""

_GONE = "SELECT coalesce(max(json_extract(details, '$.minute')), -1) FROM chain WHERE kind = 'checkpoint'"


class Incomplete(BadStart):
    """A month of which not all records are there; the message says why."""


class By(Enum):
    """What usage is grouped by."""

    key = "key"
    organization = "organization"
    route = "route"
    day = "day"
    outcome = "outcome"
    upstream = "upstream"


def _apart(name: str) -> str:
    """The house has a row of its own, but by upstream: a vendor's bill has its fetches too."""
    return f"CASE account WHEN :house THEN :house ELSE {name} END"


def _grouped(name: str) -> str:
    return _SUMS.format(name=name, requests=_REQUESTS, charged="charged", joined="")


_QUERIES = {
    By.key: _grouped("account"),
    By.organization: _grouped(_apart("organization")),
    By.route: _grouped(_apart("route")),
    By.day: _grouped(_apart(":day")),
    By.outcome: _SUMS.format(
        name=_apart("coalesce(outcome.key, '')"),
        requests="CASE outcome.key WHEN 'repriced' THEN 0 ELSE outcome.value END",
        charged="tokens * coalesce(outcome.value, 0)",
        joined="LEFT JOIN json_each(postings.outcomes) AS outcome",
    ),
    By.upstream: _grouped("upstream"),
}


class Days(NamedTuple):
    """Days of a calendar: `name` of them all, and UTC minutes since the epoch from `first` to before `end`."""

    name: str
    first: int
    end: int

    @classmethod
    def between(cls, name: str, first: datetime, following: datetime) -> Self:
        """From midnight to midnight, which a change of the clocks may move."""
        return cls(name, int(first.timestamp() // 60), int(following.timestamp() // 60))


class Month:
    """A calendar month in a time zone; `text` as in `2026-11`.

    Raises ValueError for any other text, and zoneinfo.ZoneInfoNotFoundError.
    """

    def __init__(self, text: str, timezone: str) -> None:
        found = _MONTH.fullmatch(text)
        if found is None:
            raise ValueError("must be a month such as 2026-11")
        self.timezone = timezone
        self._first = datetime(int(found[1]), int(found[2]), 1, tzinfo=ZoneInfo(timezone))

    @classmethod
    def at(cls, wall: float, timezone: str) -> Self:
        """The month that `wall` (seconds since the epoch) is in."""
        return cls(f"{datetime.fromtimestamp(wall, ZoneInfo(timezone)):%Y-%m}", timezone)

    @property
    def whole(self) -> Days:
        """All of it."""
        return Days.between(f"{self._first:%Y-%m}", self._first, (self._first + timedelta(days=31)).replace(day=1))

    @property
    def days(self) -> Iterator[Days]:
        """One by one."""
        day = self._first
        while day.month == self._first.month:
            following = day + timedelta(days=1)
            yield Days.between(f"{day:%Y-%m-%d}", day, following)
            day = following


class Sums(NamedTuple):
    """What one group's requests cost. `tokens` are net of those `refunded`; `vendor_tokens` are what upstreams charged.

    `name` is empty for what belongs to none, as the vendor's tokens do by outcome.
    """

    name: str
    requests: int = 0
    tokens: int = 0
    refunded: int = 0
    vendor_tokens: int = 0


class Usage(NamedTuple):
    """A month's groups and their total: by name, the house's own last, or those with most tokens first.

    `rest` sums up the groups that have no row, None where all have one. What is not `closed` grows on.
    """

    month: str
    timezone: str
    by: By
    closed: bool
    rows: tuple[Sums, ...]
    total: Sums
    rest: Sums | None = None

    def most(self, top: int) -> Self:
        """With only so many rows, those with most tokens, most first."""
        return self._replace(rows=tuple(sorted(self.rows, key=lambda row: row.tokens, reverse=True))).first(top)

    def first(self, most: int) -> Self:
        """With the first `most` rows alone."""
        if len(self.rows) <= most:
            return self
        rows = self.rows[:most]
        left = [whole - sum(parts) for whole, *parts in zip(self.total[1:], *[row[1:] for row in rows], strict=True)]
        return self._replace(rows=rows, rest=Sums("rest", *left))


def usage(db: sqlite3.Connection, month: Month, by: By, top: int | None = None) -> Usage:
    """A month's usage, from `reader.reading`; with `top` as `most` gives it.

    Raises Incomplete where it is not whole, and sqlite3.Error.
    """
    whole = month.whole
    _refuse_incomplete(db, whole)
    db.execute(_BEGIN)
    db.execute("DELETE FROM temp.sums")
    for days in month.days if by is By.day else (whole,):
        _sum_up(db, days, by)
    # What is left out is not brought into Python: it may be much, and holds up the event loop of who reports.
    rows = tuple([Sums(*row) for row in db.execute(_ROWS, {"top": top, "house": HOUSE})])
    total = Sums(*db.execute(_TOTAL).fetchone())
    found = Usage(whole.name, month.timezone, by, told(db, "sealed") >= whole.end - 1, rows, total)
    return found if top is None else found.first(top)


def _sum_up(db: sqlite3.Connection, days: Days, by: By) -> None:
    values = {"house": HOUSE, "day": days.name, "first": days.first, "end": days.end}
    db.execute(f"INSERT INTO temp.sums {_QUERIES[by]}", values)


def _refuse_incomplete(db: sqlite3.Connection, days: Days) -> None:
    """The checkpoints tell which records are gone; a record from before the days proves that none of theirs is."""
    number, minute = db.execute("SELECT number, minute FROM chain ORDER BY number LIMIT 1").fetchone() or (1, 0)
    if minute < days.first or db.execute(_GONE).fetchone()[0] < days.first:
        return
    if number > 1:
        raise Incomplete(f"records of {days.name} are pruned already (ledger.keep): its usage is not whole any more")
    raise Incomplete(f"{days.name} began with the former version, of whose records only the balances were taken over")
