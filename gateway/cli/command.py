"""What every command has in common: the config's file, and how it ends."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from gateway.config.errors import ConfigInvalid
from gateway.errors import BadStart

ConfigFile = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The YAML config file.")]

DEFAULT = Path("config.yaml")


def end_with(run: Callable[[], int]) -> None:
    """Ends the process with what `run` returns; with 2 and one line for each error where it raises BadStart."""
    try:
        sys.exit(run())
    except ConfigInvalid as invalid:
        for error in invalid.errors:
            typer.echo(str(error), err=True)
    except BadStart as bad:
        typer.echo(f"gateway: {bad}", err=True)
    sys.exit(2)


def field_of(line: str) -> tuple[str, str]:
    """The name and value of a field as it is typed, `Name: value`. Raises ValueError."""
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError("a field is `Name: value`, on one line")
    return name, value.strip(" \t")
