"""`gateway usage`: a month's usage as a table, CSV or JSON, the same bytes each time once the month is closed."""

from time import time
from typing import Annotated, Literal, assert_never

import orjson
import typer

from gateway.cli.command import DEFAULT, ConfigFile
from gateway.cli.looking import looked
from gateway.cli.remote import Call, ask
from gateway.cli.sheet import as_csv
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.exiting import end_with
from gateway.ledger.reader import reading
from gateway.ledger.usage import By, Month, Sums, Usage
from gateway.ledger.usage import usage as usage_of
from gateway.ledger.usage_document import AMOUNTS, usage_document, usage_told

Form = Literal["table", "csv", "json"]

# Seconds for each step: what the gateway gives a report, and some.
_PATIENCE = 75.0


def usage(
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Left out: the present one.")] = None,
    by: Annotated[By, typer.Option(help="What to group by.")] = By.key,
    top: Annotated[int | None, typer.Option(min=1, help="Only so many rows, those with most tokens.")] = None,
    form: Annotated[Form, typer.Option("--format")] = "table",
    config: ConfigFile = DEFAULT,
) -> None:
    """Say what a month's requests cost: tokens charged, net of those refunded, and the tokens that vendors charged.

    Months and days are those of the config's `timezone`. A month is open until its last minute is sealed, and final
    from then on.
    """
    end_with(lambda: _usage(load(config), month, by, top, form))


def _usage(config: Config, text: str | None, by: By, top: int | None, form: Form) -> int:
    month = None if text is None else _month(text, config.timezone)
    whole = looked(config, lambda: _told(config, text, by), lambda: _read(config, month, by))
    told = whole if top is None else whole.most(top)
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


def _told(config: Config, text: str | None, by: By) -> Usage:
    """As the gateway tells it; which month is the present one is for it to say."""
    query = (("by", by.value), *([] if text is None else [("month", text)]))
    return usage_told(ask(config, Call("GET", ("usage",), query=query), _PATIENCE))


def _read(config: Config, month: Month | None, by: By) -> Usage:
    with reading(config.store.path) as db:
        return usage_of(db, month or Month.at(time(), config.timezone), by)


def _month(text: str, timezone: str) -> Month:
    try:
        return Month(text, timezone)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--month") from error


def as_table(told: Usage) -> str:
    """For people; it does not look at the terminal, so that it is the same everywhere."""
    rows = [(told.by.value, *(name.replace("_", " ") for name in AMOUNTS))]
    rows += [(row.name or "-", *map(str, row[1:])) for row in (*told.rows, *_rest(told), told.total)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    state = "closed" if told.closed else "open"
    return "\n".join([f"{told.month} ({told.timezone}), {state}", "", *lines])


def _rest(told: Usage) -> tuple[Sums, ...]:
    return () if told.rest is None else (told.rest._replace(name="(rest)"),)


def as_sheet(told: Usage) -> str:
    """For spreadsheets: no total, which would be summed up once more."""
    head = ("month", "closed", told.by.value, *AMOUNTS)
    return as_csv([head, *((told.month, told.closed, *row) for row in (*told.rows, *_rest(told)))])


def as_json(told: Usage) -> str:
    """For programs."""
    return orjson.dumps(usage_document(told), option=orjson.OPT_INDENT_2).decode()
