"""Waiting for a condition that another process makes true, with a bound instead of a guess."""

import time
from collections.abc import Callable
from typing import TypeVar

from support.stalls import Stopwatch

T = TypeVar("T")

PATIENCE = 60.0
INTERVAL = 0.01


def eventually(condition: Callable[[], T | None], within: float = PATIENCE, every: float = INTERVAL) -> T:
    """The first true result of `condition`, which is looked at `every` so many seconds; fails after `within`.

    Those seconds are a quiet machine's (`Stopwatch`): a busy one has more, up to PATIENCE.
    """
    watch, latest = Stopwatch(), time.monotonic() + max(within, PATIENCE)
    while not (result := condition()):
        if watch.seconds > within or time.monotonic() > latest:
            raise AssertionError(f"not true within {within} s; last: {result!r}")
        time.sleep(every)
    return result
