"""`gateway refresh`: have the gateway that runs fetch afresh, see how far it is, end it."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from gateway.cli.command import DEFAULT, ConfigFile, field_of
from gateway.cli.remote import Call, Unreachable, ask
from gateway.cli.waiting import Told, awaited, measure
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.exiting import end_with

# Seconds for each step: the subjects may be asked of the upstream first.
_PATIENCE = 60.0

_COLUMNS = ("id", "began", "state", "done", "failed", "total", "account", "of")
# What a shell says of a command that was interrupted.
_INTERRUPTED = 130

_BEGUN = {
    None: "has begun",
    "initiated": "has begun",
    "joined": "joins what is under way",
    "widened": "widens what is under way",
}

Form = Literal["text", "json"]


def refresh(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL|SUBJECT]",
            help="A path, or a URL whose host counts; with --background its subject, left out: all.",
        ),
    ] = None,
    background: Annotated[
        str | None, typer.Option("--background", "-b", metavar="NAME", help="A background refresh of the config.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="With --background: from when on, as its clients write it.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="ID", help="As this account; nothing is charged to it.")
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'Name: value'", help="With a URL: a field.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it has ended; else its id is printed.")] = True,
    list_: Annotated[bool, typer.Option("--list", help="List the last ones instead.")] = False,
    status: Annotated[str | None, typer.Option(metavar="ID", help="Say how far that one is instead.")] = None,
    cancel: Annotated[str | None, typer.Option(metavar="ID", help="Cancel that one instead.")] = None,
    form: Annotated[Form, typer.Option("--format", help="Of --list and --status.")] = "text",
    config: ConfigFile = DEFAULT,
) -> None:
    """Have the running gateway fetch a response afresh, or with --background all that belong to a subject, and wait
    for it. Exits with 0 when that is done, 1 where it failed or was cancelled, 2 where it could not begin."""
    if sum(map(bool, (what or background, list_, status, cancel))) != 1:
        raise typer.BadParameter("say one of URL or --background, --list, --status and --cancel")
    if list_:
        end_with(lambda: _list(load(config), form))
    elif status:
        end_with(lambda: _tell(load(config), status, form))
    elif cancel:
        end_with(lambda: _cancel(load(config), cancel))
    else:
        order = _order(what, background, since, account, field or ())
        end_with(lambda: _begin(load(config), order, wait=wait))


def _order(
    what: str | None, background: str | None, since: str | None, account: str | None, lines: Sequence[str]
) -> dict[str, object]:
    """What the admin API is sent."""
    if background is None and since is not None:
        raise typer.BadParameter("goes with --background", param_hint="--since")
    if background is not None and lines:
        raise typer.BadParameter("goes with a URL", param_hint="-H")
    try:
        fields = [field_of(line) for line in lines]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="-H") from None
    named = {"url": what} if background is None else {"background": background, "subject": what, "since": since}
    given = named | {"account": account, "headers": fields or None}
    return {name: value for name, value in given.items() if value is not None}


def _begin(config: Config, order: dict[str, object], *, wait: bool) -> int:
    told = _asked(config, Call("POST", ("refreshes",), order))
    if not wait:
        typer.echo(told["id"])
        return 0
    typer.echo(f"refresh {told['id']} {_BEGUN[told['how']]}", err=True)
    try:
        told = awaited(config, told)
    except KeyboardInterrupt:
        ways = f"`gateway refresh --status {told['id']}` tells how far it is, `--cancel {told['id']}` ends it"
        typer.echo(f"refresh {told['id']} goes on: {ways}", err=True)
        return _INTERRUPTED
    typer.echo(_line(told))
    return 0 if told["state"] == "done" else 1


def _list(config: Config, form: Form) -> int:
    found = _asked(config, Call("GET", ("refreshes",)))["refreshes"]
    if form == "json":
        typer.echo(json.dumps(found, indent=2))
        return 0
    rows = [_COLUMNS, *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(map(str.ljust, row, widths)).rstrip())
    return 0


def _tell(config: Config, id_: str, form: Form) -> int:
    told = _asked(config, Call("GET", ("refreshes", id_)))
    typer.echo(json.dumps(told, indent=2) if form == "json" else _line(told))
    return 0


def _cancel(config: Config, id_: str) -> int:
    typer.echo(_line(_asked(config, Call("DELETE", ("refreshes", id_)))))
    return 0


def _asked(config: Config, call: Call) -> Told:
    try:
        return ask(config, call, _PATIENCE)
    except Unreachable as nobody:
        raise BadStart(f"no gateway answers on {config.admin.listen}: {nobody.reason}") from nobody


def _line(told: Told) -> str:
    """How it stands, and what came of it."""
    line = f"{told['state']}: {measure(told)}"
    more = told["reason"] or told["cache_status"]
    return f"{line}; {more}" if more else line


def _row(told: Told) -> tuple[str, ...]:
    counts = [str(told["progress"][name]) for name in ("done", "failed", "total")]
    return told["id"], told["began"], told["state"], *counts, told["account"] or "-", _of(told)


def _of(told: Told) -> str:
    """What it is about."""
    if told["background"] is None:
        return f"{told['host']}{told['url']}"
    return f"{told['background']} {told['subject'] or '(all)'}"
