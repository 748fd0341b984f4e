"""The process's log: which lines there are, in which form, and how structlog and the libraries come to them."""

import logging
import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self

import structlog

from gateway.config.schema import Log
from gateway.logs.libraries import heard
from gateway.logs.lines import Event, PeoplesLines, exception_of, json_line, told
from gateway.logs.writer import Writer

Level = Literal["debug", "info", "warning", "error"]

_SEVERITY = logging.getLevelNamesMapping()


class Logs:
    """Takes over what is logged in this process, until it is closed; a context that closes at its end.

    Lines go to `descriptor`, to standard error unless told otherwise. `configure` and `level` act at once, on loggers
    made before as well. `shared`: other processes write there too, and no line comes to stand within another's, unless
    it is longer than a pipe takes at once.
    """

    def __init__(self, descriptor: int | None = None, *, shared: bool = False) -> None:
        _hold_standard_streams()
        self._descriptor = _standard_error() if descriptor is None else descriptor
        self._writer = Writer(self._descriptor, self._dropped, shared=shared)
        self._configured: Level = "info"
        self._level: Level = "info"
        self._severity = logging.INFO
        self._line = json_line
        self._taken = ExitStack()
        self._taken.callback(self._writer.close)
        self._taken.callback(structlog.configure, **structlog.get_config())
        structlog.configure(
            processors=[self._admit, self._dress],
            wrapper_class=_levelled(self),
            logger_factory=lambda *_: _Lines(self._writer),
            cache_logger_on_first_use=True,
        )
        self._taken.callback(heard())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def configure(self, log: Log) -> None:
        """Go by the config's settings; a level set meanwhile stays until the config's own changes."""
        people = log.format == "console" or (log.format == "auto" and self._terminal)
        self._line = PeoplesLines(colors=self._terminal) if people else json_line
        if log.level != self._configured:
            self._configured = self.level = log.level

    @property
    def level(self) -> Level:
        """The least severe level that is logged."""
        return self._level

    @level.setter
    def level(self, level: Level) -> None:
        self._level = level
        self._severity = _SEVERITY[level.upper()]

    @property
    def severity(self) -> int:
        """The level as a number of the standard library's."""
        return self._severity

    @property
    def dropped(self) -> int:
        """Lines that could not be written, since the start."""
        return self._writer.dropped

    def close(self) -> None:
        """Write what was logged, for two seconds at most, and leave logging as it was found."""
        self._taken.close()

    @property
    def _terminal(self) -> bool:
        return self._descriptor is not None and os.isatty(self._descriptor)

    def _admit(self, _: Any, name: str, event: Event) -> Event:
        if _SEVERITY[name.upper()] < self._severity:
            raise structlog.DropEvent
        return event

    def _dress(self, _: Any, name: str, event: Event) -> bytes:
        error = exception_of(event.pop("exc_info", None))
        line = {"timestamp": _now(), "level": name, "event": event.pop("event"), **event}
        if error is not None:
            line["exception"] = told(error)
        return self._line(line)

    def _dropped(self, count: int) -> bytes:
        return self._dress(None, "warning", {"event": "log lines dropped", "lines": count})


class _Lines:
    """What structlog calls with each finished line."""

    def __init__(self, writer: Writer) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = writer.put


def _levelled(logs: Logs) -> type:
    """structlog's logger with all its levels, which says of each whether `logs` keeps it at the moment."""
    every = structlog.make_filtering_bound_logger(logging.NOTSET)
    asked = {
        "is_enabled_for": lambda _, level: level >= logs.severity,
        "get_effective_level": lambda _: logs.severity,
    }
    return type("Levelled", (every,), asked)


def _hold_standard_streams() -> None:
    """Open what the process was started without: uvloop aborts where it closes a socket that got such a number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def _standard_error() -> int | None:
    """None where the process was started without one."""
    return None if sys.stderr is None else sys.stderr.fileno()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
