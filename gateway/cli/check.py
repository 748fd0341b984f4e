"""`gateway check`: all that is wrong with a config, what is probably wrong, and what it changes."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli.command import DEFAULT, ConfigFile
from gateway.config.differences import differences
from gateway.config.errors import ConfigError, ConfigInvalid
from gateway.config.load import load, loaded
from gateway.config.schema import Config
from gateway.exiting import end_with


@dataclass(slots=True, frozen=True)
class Checked:
    """What there is to say of a config; `changes` is None where nobody asked what it changes."""

    valid: bool
    errors: tuple[ConfigError, ...] = ()
    warnings: tuple[ConfigError, ...] = ()
    changes: tuple[str, ...] | None = None


def check(
    config: ConfigFile = DEFAULT,
    diff: Annotated[
        Path | None,
        typer.Option(metavar="OLD", help="Say what changes for whom, if this file is what is in use now."),
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format")] = "text",
) -> None:
    """Check the config; print every error and every warning with file:line:column. Exits with 2 where there is an
    error, in OLD as well."""
    end_with(lambda: _tell(checked(config, diff), config, form))


def checked(path: Path, old: Path | None) -> Checked:
    """The config in `path`, and what it changes of that in `old`."""
    try:
        found = loaded(path)
    except ConfigInvalid as invalid:
        return Checked(valid=False, errors=tuple(invalid.errors))
    try:
        changes = None if old is None else differences(_in_place_of(found.config, load(old)), found.config)
    except ConfigInvalid as invalid:
        return Checked(valid=False, errors=tuple(invalid.errors), warnings=found.warnings)
    return Checked(valid=True, warnings=found.warnings, changes=changes)


def _in_place_of(new: Config, old: Config) -> Config:
    """The old config as it would be in the new one's folder: a copy kept elsewhere changes no path by that."""
    folder, elsewhere = new.document.folder, old.document.folder
    if not old.store.path.is_relative_to(elsewhere):
        return old
    path = folder / old.store.path.relative_to(elsewhere)
    return old.model_copy(update={"store": old.store.model_copy(update={"path": path})})


def _tell(found: Checked, path: Path, form: str) -> int:
    if form == "json":
        typer.echo(json.dumps({name: value for name, value in asdict(found).items() if value is not None}, indent=2))
    else:
        _print(found, path)
    return 0 if found.valid else 2


def _print(found: Checked, path: Path) -> None:
    _echo(map(str, found.errors), err=True)
    _echo((f"warning: {warning}" for warning in found.warnings), err=True)
    if found.valid:
        typer.echo(f"{path} is valid")
    if found.changes is not None:
        _echo(found.changes or ["nothing changes"])


def _echo(lines: Iterable[str], *, err: bool = False) -> None:
    for line in lines:
        typer.echo(line, err=err)
