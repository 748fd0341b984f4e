"""`gateway keys`: API keys made, listed, rotated and revoked, and tokens granted."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from gateway.cli.command import DEFAULT, ConfigFile
from gateway.cli.orders import created, granted, listed, revoked, rotated
from gateway.config.load import load
from gateway.exiting import end_with
from gateway.keys.listing import Row

_COLUMNS = ("number", "account", "organization", "plan", "hint", "test", "state", "created", "expires", "revoked")

app = typer.Typer(help="Make, list, rotate and revoke API keys, and grant tokens.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The account's id.")]


@app.command()
def create(
    id_: Annotated[str, typer.Option("--id", metavar="ID", help="The account it is for, known or new.")],
    organization: Annotated[str | None, typer.Option(metavar="NAME", help="Of a new account; of the config.")] = None,
    plan: Annotated[str | None, typer.Option(metavar="NAME", help="Of a new account; of the config.")] = None,
    throttle: Annotated[str | None, typer.Option(metavar="RATE", help="Of a new account, such as 10/s.")] = None,
    scopes: Annotated[str | None, typer.Option(help="Of a new account, such as lookup,refresh.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="DATE", help="Of a new account, such as 2027-01-31.")] = None,
    test: Annotated[bool, typer.Option("--test", help="A free key that gets stored responses only.")] = False,
    config: ConfigFile = DEFAULT,
) -> None:
    """Make an API key and print it, this once."""
    given = {"id": id_, "organization": organization, "plan": plan, "throttle": throttle, "expires": expires}
    values = given | {"scopes": scopes and scopes.split(","), "test": test}
    end_with(lambda: _tell_made(created(load(config), values)))


@app.command("list")
def list_(
    form: Annotated[Literal["table", "json"], typer.Option("--format")] = "table", config: ConfigFile = DEFAULT
) -> None:
    """List the keys that were made; those in the config are not among them."""
    end_with(lambda: _tell_listed(listed(load(config)), form))


@app.command()
def rotate(
    id_: Id,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the others go on; 0s: not at all.")
    ] = "24h",
    config: ConfigFile = DEFAULT,
) -> None:
    """Make an API key in place of the account's others and print it, this once."""
    end_with(lambda: _tell_made(rotated(load(config), id_, {"overlap": overlap})))


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="ID|NUMBER|HINT", help="An account for all its keys, or one key.")],
    config: ConfigFile = DEFAULT,
) -> None:
    """Revoke all made keys of an account, or one of them."""
    end_with(lambda: _tell_revoked(revoked(load(config), name)))


@app.command()
def grant(
    id_: Id,
    tokens: Annotated[int, typer.Option(help="How many more, or fewer: --tokens=-5.")],
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")],
    config: ConfigFile = DEFAULT,
) -> None:
    """Correct an account's balance; the correction is a record in the ledger."""
    end_with(lambda: _tell_granted(granted(load(config), id_, {"tokens": tokens, "reason": reason})))


def _tell_made(row: Mapping[str, Any]) -> int:
    typer.echo(row["key"])
    typer.echo(f"key {row['number']} of {row['account']}; it is not shown again", err=True)
    for key in row["ending"]:
        typer.echo(f"key {key['number']} ({key['hint']}) goes on until {key['expires']}", err=True)
    _tell_gone(row)
    return 0


def _tell_revoked(row: Mapping[str, Any]) -> int:
    _tell_gone(row)
    if not row["revoked"]:
        typer.echo(f"nothing of {row['account']} was left to revoke", err=True)
    return 0


def _tell_gone(row: Mapping[str, Any]) -> None:
    for key in row["revoked"]:
        typer.echo(f"key {key['number']} ({key['hint']}) of {row['account']} is revoked", err=True)


def _tell_granted(row: Mapping[str, Any]) -> int:
    typer.echo(f"{row['account']}: {row['tokens']:+} tokens, balance {row['before']} before and {row['after']} after")
    return 0


def _tell_listed(found: Sequence[Row], form: str) -> int:
    if form == "json":
        typer.echo(json.dumps(found, indent=2))
        return 0
    lines = [_COLUMNS, *[tuple([_cell(row[name]) for name in _COLUMNS]) for row in found]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join([cell.ljust(width) for cell, width in zip(line, widths, strict=True)]).rstrip())
    return 0


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
