"""Receipts: what an operation was charged and why, as its records in the book have it."""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from gateway.admission.outcomes import Outcome
from gateway.errors import Reason

_ID = re.compile(r"rcpt_([1-9a-f][0-9a-f]{0,15})")
_LARGEST = 2**63 - 1

_OPERATIONS = """
SELECT ended.operation, ended.request, ended.route, ended.tokens, ended.outcomes, ended.details,
    refund.tokens, refund.outcomes, refund.details
FROM chain AS ended LEFT JOIN chain AS refund ON refund.operation = ended.operation AND refund.kind = 'refund'
WHERE ended.kind IN ('charge', 'release') AND ended.account = ?
"""


class _Operation(NamedTuple):
    """A row of `_OPERATIONS`."""

    operation: int
    request: str
    route: str
    charged: int
    outcomes: str
    details: str
    refund: int | None
    refund_outcomes: str | None
    refund_details: str | None


def receipt_id(operation: int) -> str:
    """What X-Receipt-Id says of an operation."""
    return f"rcpt_{operation:x}"


def operation_of(text: str) -> int | None:
    """The operation that `text` is the receipt's id of; None where no operation can have it."""
    found = _ID.fullmatch(text)
    operation = int(found[1], 16) if found else 0
    return operation if 0 < operation <= _LARGEST else None


def receipt(db: sqlite3.Connection, account: str, operation: int) -> dict[str, object] | None:
    """The receipt of one operation; None where the book has none, or not of this account.

    A dict for JSON: `at` is when it ended, `charged` - `refunded` = `tokens`, and `lines` are the quote's as far as
    they were charged. An operation that ended free has one as well. Raises sqlite3.Error.
    """
    row = db.execute(f"{_OPERATIONS} AND ended.operation = ?", (account, operation)).fetchone()
    return None if row is None else _receipt(_Operation(*row))


def receipts(
    db: sqlite3.Connection, account: str, *, request: str | None = None, most: int = 100
) -> list[dict[str, object]]:
    """At most `most` receipts of an account, the newest first; with `request` those of one X-Request-Id.

    Raises sqlite3.Error.
    """
    # Every request has an id, and saying so opens the index by account.
    narrowed = "ended.request IS NOT NULL" if request is None else "ended.request = ?"
    values = (account, most) if request is None else (account, request, most)
    rows = db.execute(f"{_OPERATIONS} AND {narrowed} ORDER BY ended.number DESC LIMIT ?", values)
    return [_receipt(_Operation(*row)) for row in rows]


def utc(seconds: float) -> str:
    """A moment in wall-clock seconds as ISO 8601 has it, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _receipt(row: _Operation) -> dict[str, object]:
    told = orjson.loads(row.details)
    ended = told if row.refund_details is None else orjson.loads(row.refund_details)
    outcome = next(iter(orjson.loads(row.refund_outcomes or row.outcomes)))
    refunded = -(row.refund or 0)
    return {
        "id": receipt_id(row.operation),
        "request_id": row.request,
        "route": row.route,
        "at": utc(ended["ended"]),
        "tokens": row.charged - refunded,
        "charged": row.charged,
        "refunded": refunded,
        "outcome": outcome,
        "why": _meaning(outcome),
        "lines": [{"name": name, "tokens": tokens} for name, tokens in _paid(told["lines"], row.charged)],
        "reserved": told["reserved"],
    }


def _paid(lines: Iterable[tuple[str, int]], tokens: int) -> Iterator[tuple[str, int]]:
    """The lines that `tokens` paid, in their order: what may be left out of a charge, the surcharge, stands last."""
    for name, part in lines:
        paid = min(part, tokens)
        tokens -= paid
        if paid:
            yield name, paid


def _meaning(outcome: str) -> str:
    if outcome in Outcome.__members__:
        return Outcome[outcome].meaning
    # The book may be older than the closed set of today.
    return Reason[outcome].title if outcome in Reason.__members__ else outcome
