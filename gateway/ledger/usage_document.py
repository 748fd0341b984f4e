"""A month's usage as the document that programs get, from the command line and from a running gateway alike."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from gateway.ledger.usage import By, Sums, Usage

AMOUNTS = Sums._fields[1:]
"""The members of a row besides the name of its group."""

_USAGE = TypeAdapter(Usage)


def usage_document(told: Usage) -> dict[str, object]:
    """A dict for JSON: `{"month", "timezone", "by", "closed", "rows", "total"}`, and `rest` where some have no row.

    A row has its group under the name that it is grouped by, null for what belongs to none, and the `AMOUNTS`.
    """
    rest = {} if told.rest is None else {"rest": _amounts(told.rest)}
    return {
        "month": told.month,
        "timezone": told.timezone,
        "by": told.by.value,
        "closed": told.closed,
        "rows": [dict(_named(told.by, row)) for row in told.rows],
        "total": _amounts(told.total),
        **rest,
    }


def usage_told(document: Mapping[str, Any]) -> Usage:
    """What `usage_document` was made of. Raises ValueError for any other document."""
    try:
        by = By(document["by"])
        rows = tuple([_sums(row[by.value] or "", row) for row in document["rows"]])
        month, timezone, closed = document["month"], document["timezone"], document["closed"]
        total, rest = _sums("total", document["total"]), document.get("rest")
        told = Usage(month, timezone, by, closed, rows, total, None if rest is None else _sums("rest", rest))
    except (KeyError, TypeError) as error:
        raise ValueError("this is no month's usage") from error
    return _USAGE.validate_python(told, strict=True)


def _named(by: By, row: Sums) -> Iterator[tuple[str, object]]:
    yield by.value, row.name or None
    yield from _amounts(row).items()


def _amounts(sums: Sums) -> dict[str, int]:
    return dict(zip(AMOUNTS, sums[1:], strict=True))


def _sums(name: str, row: Mapping[str, int]) -> Sums:
    return Sums(name, *[row[amount] for amount in AMOUNTS])
