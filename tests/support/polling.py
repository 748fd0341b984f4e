"""Waiting for a condition that another process makes true, with a bound instead of a guess."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0
INTERVAL = 0.01


def eventually(condition: Callable[[], T | None], within: float = PATIENCE, every: float = INTERVAL) -> T:
    """The first true result of `condition`, which is looked at `every` so many seconds; fails after `within`."""
    deadline = time.monotonic() + within
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {within} s; last: {result!r}")
        time.sleep(every)
    return result
