"""Named points at which a gateway kills itself as kill -9 would: wrapped around the real classes, from outside.

`arm(point, "5")`: at its fifth pass the process is gone, whatever its other threads are doing. `arm(point, "/a/file")`:
at its first pass once that file is there.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from itertools import count as numbers
from pathlib import Path
from types import ModuleType
from typing import Any

from gateway.fastlane.turn import Turn
from gateway.ledger import recovery
from gateway.ledger.journal import Journal
from gateway.ledger.tables import Tables
from gateway.meter import Meter
from gateway.pipeline import Pipeline
from gateway.settlement import Settlement

Owner = type | ModuleType
Due = Callable[[], bool]
"""Counts a pass, and says whether it is the one."""
Patch = Callable[[Due], None]


@dataclass(frozen=True, slots=True)
class Point:
    """A short load comes by it `most` times at least, when `pause` seconds have passed since the gateway last ran.

    The gateway may not even have come up by then.
    """

    patch: Patch
    most: int
    pause: float = 0.0


def arm(point: Point, argument: str) -> None:
    """Patch this process, to die at a pass by its number, or at the first once a file is there."""
    if argument.isdecimal():
        passes, number = numbers(1), int(argument)
        point.patch(lambda: next(passes) == number)
    else:
        point.patch(Path(argument).exists)


def die() -> None:
    """No handler, no `finally`, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Owner, name: str) -> Patch:
    """As `owner.name` is called."""

    def patch(due: Due) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if due():
                die()
            return original(*args, **kwargs)

        setattr(owner, name, wrapper)

    return patch


def after(owner: Owner, name: str) -> Patch:
    """As `owner.name` returns."""

    def patch(due: Due) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if due():
                die()
            return result

        setattr(owner, name, wrapper)

    return patch


def awaited(owner: Owner, name: str) -> Patch:
    """As the coroutine `owner.name` returns something: None and False are steps that had nothing to do."""

    def patch(due: Due) -> None:
        original = getattr(owner, name)

        @wraps(original)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = await original(*args, **kwargs)
            if result and due():
                die()
            return result

        setattr(owner, name, wrapper)

    return patch


def statement(start: str) -> Patch:
    """As the book's connection begins a statement that starts so."""

    def patch(due: Due) -> None:
        original = Tables.__init__

        def traced(text: str) -> None:
            if text.lstrip().startswith(start) and due():
                die()

        @wraps(original)
        def wrapper(self: Tables, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            self._db.set_trace_callback(traced)

        Tables.__init__ = wrapper  # type: ignore[method-assign]  # what this module is for

    return patch


def torn(due: Due) -> None:
    """With half of a group in the file: the length and the checksum say more."""
    append, write = Journal.append, os.write

    def half(file: int, group: bytes) -> int:
        written = write(file, group[: len(group) // 2])
        die()
        return written

    @wraps(append)
    def wrapper(self: Journal, payload: bytes) -> int:
        if due():
            os.write = half  # type: ignore[assignment]  # it takes bytes alone, and no other buffers
        return append(self, payload)

    Journal.append = wrapper  # type: ignore[method-assign]  # what this module is for


# However far ahead the clock was set before: all minutes that began are over.
_OVER = 4000.0

POINTS: dict[str, Point] = {
    "reserved": Point(awaited(Settlement, "reserve"), 60),
    "upstream-answered": Point(before(Meter, "settle"), 60),
    "settled": Point(awaited(Settlement, "settle"), 100),
    "answered": Point(awaited(Pipeline, "handle"), 100),
    "hits-charged": Point(before(Turn, "answer"), 30),
    "hits-answered": Point(after(Turn, "answer"), 30),
    "refunding": Point(before(Meter, "refund"), 5),
    "journal-unwritten": Point(before(Journal, "append"), 100),
    "journal-torn": Point(torn, 100),
    "journal-written": Point(after(Journal, "append"), 100),
    "journal-rotated": Point(after(Journal, "_rotate"), 1),
    "book-behind": Point(before(Tables, "add"), 10),
    "book-uncommitted": Point(statement("COMMIT"), 10),
    "book-committed": Point(after(Tables, "add"), 10),
    "book-checkpointed": Point(before(Journal, "drop"), 1),
    "book-sealing": Point(statement("DELETE FROM open"), 1, _OVER),
    "book-sealed": Point(after(Tables, "seal"), 1, _OVER),
    "book-forgotten": Point(after(Tables, "forget"), 1, _OVER),
    "replayed": Point(before(recovery, "release_open"), 1),
    "released": Point(after(recovery, "release_open"), 1),
}
"""Every point, in the order of a request's way, then of the journal's and the book's, then of a start's."""
