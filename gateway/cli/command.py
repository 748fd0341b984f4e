"""What commands have in common: the config's file, and fields as they are typed."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The YAML config file.")]

DEFAULT = Path("config.yaml")


def field_of(line: str) -> tuple[str, str]:
    """The name and value of a field as it is typed, `Name: value`. Raises ValueError."""
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError("a field is `Name: value`, on one line")
    return name, value.strip(" \t")
