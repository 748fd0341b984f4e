"""An event as a line: JSON for machines, or words for people. Exceptions are told by type and place alone."""

import json
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from errno import errorcode
from typing import Any

import orjson
import structlog

Event = MutableMapping[str, Any]

_MOST_FRAMES = 25
_MOST_CAUSES = 5


def json_line(event: Event) -> bytes:
    """One JSON object, whatever text is in it."""
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # Bytes of a file's name that are no UTF-8, or a number of more than 64 bits.
        return json.dumps(event, default=repr).encode() + b"\n"


class PeoplesLines:
    """Lines to be read on a terminal, in colors or without."""

    def __init__(self, *, colors: bool) -> None:
        self._renderer = structlog.dev.ConsoleRenderer(colors=colors)

    def __call__(self, event: Event) -> bytes:
        """The event on one line, an exception's places below it; nothing in it can move the cursor or begin a line."""
        shown = {name: value if name == "exception" else _printable(value) for name, value in event.items()}
        return f"{self._renderer(None, '', shown)}\n".encode(errors="backslashreplace")


def _printable(value: object) -> object:
    return repr(value) if isinstance(value, str) and not value.isprintable() else value


def exception_of(given: object) -> BaseException | None:
    """The exception that `exc_info` means: itself, the one of a triple, or with True the one being handled."""
    match given:
        case BaseException():
            return given
        case (_, BaseException() as error, _):
            return error
        case _:
            return sys.exception() if given is True else None


def told(error: BaseException) -> str:
    """Type and places of the exception and of what caused it, the inner 25 places of each.

    Neither messages, which may quote a request, nor source lines, which would be read from disk.
    """
    return "\nwhich came of\n".join([_placed(cause) for cause in _causes(error)])


def _placed(error: BaseException) -> str:
    frames = list(traceback.walk_tb(error.__traceback__))[-_MOST_FRAMES:]
    places = [f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}" for frame, line in frames]
    return "\n".join(["Traceback (most recent call last):", *places, _named(error)])


def _named(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    number = error.errno if isinstance(error, OSError) else None
    return name if number is None else f"{name} ({errorcode.get(number, number)})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
