"""What libraries and the interpreter complain of, as lines of the log that cannot quote a request."""

import logging
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

# How asyncio's complaints begin; what follows shows tasks and callbacks with their arguments.
_KNOWN = (
    "An open stream was garbage collected",
    "Exception in callback",
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "Task was destroyed but it is pending",
    "Unclosed client session",
    "Unclosed connection",
    "Unhandled exception in event loop",
    "socket.accept() out of system resource",
    "unhandled exception during asyncio.run() shutdown",
)


def heard() -> Callable[[], None]:
    """Have warnings and worse of libraries logged, and exceptions that nobody catches; returns what ends it."""
    log = structlog.get_logger("gateway.libraries")
    root = logging.getLogger()
    before = ExitStack()
    before.callback(root.setLevel, root.level)
    before.callback(setattr, root, "handlers", root.handlers)
    before.callback(setattr, threading, "excepthook", threading.excepthook)
    before.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
    before.callback(setattr, warnings, "showwarning", warnings.showwarning)
    root.setLevel(logging.WARNING)
    root.handlers = [_Handler(log)]
    threading.excepthook = lambda args: _of_thread(log, args)
    sys.unraisablehook = lambda args: _unraisable(log, args)
    warnings.showwarning = lambda *args: _warned(log, *args)
    return before.close


class _Handler(logging.Handler):
    """Tells where a record was made, its exception's type and places, and of its message only what cannot be input."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line, no more severe than an error."""
        self._log.log(
            min(max(record.levelno // 10 * 10, logging.WARNING), logging.ERROR),
            _said(record),
            logger=record.name,
            place=f"{record.module}.{record.funcName}:{record.lineno}",
            exc_info=record.exc_info,
        )


def _said(record: logging.LogRecord) -> str:
    """The text before its arguments are put in; without any it may be put together already."""
    text = str(record.msg)
    if record.args:
        return text
    return next((known for known in _KNOWN if text.startswith(known)), "library warning")


def _of_thread(log: structlog.typing.FilteringBoundLogger, args: threading.ExceptHookArgs) -> None:
    log.error("thread failed", thread=args.thread.name if args.thread else None, exc_info=args.exc_value)


def _unraisable(log: structlog.typing.FilteringBoundLogger, args: "UnraisableHookArgs") -> None:
    log.error("exception ignored", exc_info=args.exc_value)


def _warned(
    log: structlog.typing.FilteringBoundLogger,
    message: Warning | str,  # noqa: ARG001 - the signature of warnings.showwarning; it may hold anything
    category: type[Warning],
    filename: str,
    lineno: int,
    *_: Any,
) -> None:
    log.warning("python warning", category=category.__name__, place=f"{Path(filename).stem}:{lineno}")
