"""`${VAR}`, `${VAR:-default}` and `${file:PATH}` within one scalar; `$${` stands for `${`."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.config.sources import Files

Substitute = Callable[[str], str]
"""Raises ValueError saying what cannot be substituted, without any value."""

_MARK = re.compile(r"\$\$\{|\$\{([^{}]*\})?")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def substitution(environ: Mapping[str, str], folder: Path, files: Files) -> Substitute:
    """How scalars are substituted; files' paths start from `folder`. Default values count where VAR is empty."""

    def one(mark: re.Match[str]) -> str:
        if mark[0] == "$${":
            return "${"
        if mark[1] is None:
            raise ValueError("a ${ needs its }; write $${ for the text ${")
        return _value(mark[1].removesuffix("}"), environ, folder, files)

    return lambda text: _MARK.sub(one, text) if "${" in text else text


def _value(expression: str, environ: Mapping[str, str], folder: Path, files: Files) -> str:
    if expression.startswith("file:"):
        return _file(folder / expression.removeprefix("file:"), files)
    variable = _VARIABLE.fullmatch(expression)
    if variable is None:
        raise ValueError("a substitution is ${VAR}, ${VAR:-default} or ${file:PATH}")
    name, default = variable.groups()
    value = environ.get(name)
    if default is not None:
        return value or default
    if value is None:
        raise ValueError(f"the environment variable {name} is not set; ${{{name}:-default}} gives it a default")
    return value


def _file(path: Path, files: Files) -> str:
    try:
        text = files.read(path).decode()
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
    return text.removesuffix("\n").removesuffix("\r")
