"""Rows of values as CSV that a spreadsheet takes for data alone."""

import csv
import io
from collections.abc import Iterable

Cell = str | int | bool | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_csv(rows: Iterable[Iterable[Cell]]) -> str:
    """The rows as RFC 4180 has them, but for the line's end.

    Text that a spreadsheet would take for a formula gets a `'` before it.
    """
    return "".join(map(_line, rows))


def _line(row: Iterable[Cell]) -> str:
    text = io.StringIO()
    # The writer quotes what stands in its line's end: a carriage return alone would end the row for some readers.
    csv.writer(text, lineterminator="\r\n").writerow(map(_safe, row))
    return text.getvalue().removesuffix("\r\n") + "\n"


def _safe(cell: Cell) -> Cell:
    match cell:
        case bool():
            return "true" if cell else "false"
        case str() if cell.startswith(_FORMULA):
            return f"'{cell}"
        case _:
            return cell
