"""`gateway usage`: a month's usage as a table, CSV or JSON, the same bytes each time once the month is closed."""

from collections.abc import Iterator
from time import time
from typing import Annotated, Literal, assert_never

import orjson
import typer

from gateway.cli.command import DEFAULT, ConfigFile, end_with
from gateway.cli.sheet import as_csv
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.ledger.reader import reading
from gateway.ledger.usage import By, Month, Sums, Usage
from gateway.ledger.usage import usage as usage_of

Form = Literal["table", "csv", "json"]

_COLUMNS = Sums._fields[1:]


def usage(
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Left out: the present one.")] = None,
    by: Annotated[By, typer.Option(help="What to group by.")] = By.key,
    form: Annotated[Form, typer.Option("--format")] = "table",
    config: ConfigFile = DEFAULT,
) -> None:
    """Say what a month's requests cost: tokens charged, net of those refunded, and the tokens that vendors charged.

    Months and days are those of the config's `timezone`. A month is open until its last minute is sealed, and final
    from then on.
    """
    end_with(lambda: _usage(load(config), month, by, form))


def _usage(config: Config, text: str | None, by: By, form: Form) -> int:
    month = Month.at(time(), config.timezone) if text is None else _month(text, config.timezone)
    with reading(config.store.path) as db:
        told = usage_of(db, month, by)
    match form:
        case "table":
            typer.echo(as_table(told))
        case "csv":
            typer.echo(as_sheet(told), nl=False)
        case "json":
            typer.echo(as_json(told))
        case _:
            assert_never(form)
    return 0


def _month(text: str, timezone: str) -> Month:
    try:
        return Month(text, timezone)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--month") from error


def as_table(told: Usage) -> str:
    """For people; it does not look at the terminal, so that it is the same everywhere."""
    rows = [(told.by.value, *(name.replace("_", " ") for name in _COLUMNS))]
    rows += [(row.name or "-", *map(str, row[1:])) for row in (*told.rows, told.total)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    state = "closed" if told.closed else "open"
    return "\n".join([f"{told.month} ({told.timezone}), {state}", "", *lines])


def as_sheet(told: Usage) -> str:
    """For spreadsheets: no total, which would be summed up once more."""
    head = ("month", "closed", told.by.value, *_COLUMNS)
    return as_csv([head, *((told.month, told.closed, *row) for row in told.rows)])


def as_json(told: Usage) -> str:
    """For programs."""
    whole = {
        "month": told.month,
        "timezone": told.timezone,
        "by": told.by.value,
        "closed": told.closed,
        "rows": [dict(_named(told.by, row)) for row in told.rows],
        "total": dict(zip(_COLUMNS, told.total[1:], strict=True)),
    }
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode()


def _named(by: By, row: Sums) -> Iterator[tuple[str, object]]:
    yield by.value, row.name or None
    yield from zip(_COLUMNS, row[1:], strict=True)
