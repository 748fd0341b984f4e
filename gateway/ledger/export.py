"""The ledger's records one by one, for other programs: the sealed ones in the chain's order, then the others."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson

from gateway.errors import BadStart
from gateway.ledger.chain import Row
from gateway.ledger.reader import open_ledger, readable, reading
from gateway.ledger.receipts import receipt_id, utc

_PAGE = 10_000

_SPAN = "SELECT min(number), max(number) FROM chain WHERE minute >= ? AND minute < ?"
_CHAIN = """
SELECT number, kind, minute, account, holder, organization, route, upstream, operation, request, tokens, count, granted,
    charged, lapsed, cost, outcomes, details FROM chain WHERE number > ? AND number <= ? ORDER BY number LIMIT ?
"""
_UNSEALED = """
SELECT * FROM unsealed WHERE minute >= ? AND minute < ?
ORDER BY minute, operation IS NULL, operation, kind, account, route, tokens, holder, organization, upstream
"""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

FOREVER = 2**62
"""A minute after all others."""


@dataclass(slots=True, frozen=True)
class Exported:
    """A record: `number` in the chain, None while it is not `sealed`; moments in ISO 8601, tokens as they are.

    `minute` is the one it counts for; the last six say more of operations alone, `details` of all else.
    """

    number: int | None
    sealed: bool
    kind: str
    minute: str
    account: str
    holder: str
    organization: str
    route: str
    upstream: str
    tokens: int
    count: int
    granted: int
    charged: int
    lapsed: int
    cost: int
    outcomes: dict[str, int]
    receipt: str | None
    request_id: str | None
    began: str | None
    ended: str | None
    reserved: int | None
    lines: list[tuple[str, int]] | None
    details: dict[str, object]


def minute_of(text: str, timezone: str) -> int:
    """The UTC minute, since the epoch, of a time such as 2026-11-01T12:00:00Z or a date's beginning in `timezone`.

    Raises ValueError for anything else.
    """
    try:
        if _DATE.fullmatch(text):
            return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).timestamp() // 60)
        if _TIME.fullmatch(text):
            return int(datetime.fromisoformat(text).timestamp() // 60)
    except ValueError:
        pass
    raise ValueError("must be a date such as 2026-11-01, or a time in UTC such as 2026-11-01T12:00:00Z")


def export(folder: Path, first: int, end: int = FOREVER) -> Iterator[Exported]:
    """The records of the UTC minutes from `first` to before `end`, of the ledger in `folder`.

    Reads in pages and holds nothing open between them, so that a slow consumer does not hold up the gateway. Raises
    BadStart.
    """
    last = None
    with closing(open_ledger(folder)) as db, readable(folder):
        for reached, page in _pages(db, first, end):
            yield from page
            last = reached
    with reading(folder) as db:
        rest = [record for _, page in _pages(db, first, end, last) for record in page]
        rest += [_exported(None, Row(*row)) for row in db.execute(_UNSEALED, (first, end))]
    yield from rest


def _pages(
    db: sqlite3.Connection, first: int, end: int, after: int | None = None
) -> Iterator[tuple[int, list[Exported]]]:
    """The chain's records after number `after`, with the number that each page ends with."""
    lowest, highest = db.execute(_SPAN, (first, end)).fetchone()
    if lowest is None:
        return
    last = lowest - 1 if after is None else after
    while rows := db.execute(_CHAIN, (last, highest, _PAGE)).fetchall():
        if rows[0][0] != last + 1:
            raise BadStart(f"record {last + 1} was pruned while the export came to it; once more will do")
        last = rows[-1][0]
        records = ((number, Row(*columns)) for number, *columns in rows)
        yield last, [_exported(number, row) for number, row in records if first <= row.minute < end]


def _exported(number: int | None, row: Row) -> Exported:
    details = orjson.loads(row.details)
    began, ended = details.pop("began", None), details.pop("ended", None)
    return Exported(
        number,
        number is not None,
        row.kind,
        utc(row.minute * 60),
        row.account,
        row.holder,
        row.organization,
        row.route,
        row.upstream,
        row.tokens,
        row.count,
        row.granted,
        row.charged,
        row.lapsed,
        row.cost,
        orjson.loads(row.outcomes),
        None if row.operation is None else receipt_id(row.operation),
        row.request,
        None if began is None else utc(began),
        None if ended is None else utc(ended),
        details.pop("reserved", None),
        details.pop("lines", None),
        details,
    )
