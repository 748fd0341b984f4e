"""The last hour of what the metrics say in all, a point every five seconds: charts are there once a page is opened."""

from collections import deque
from collections.abc import Callable, Sequence
from heapq import nlargest
from typing import NamedTuple, Protocol

import orjson

from gateway.metrics import Metrics
from gateway.ports import Clock
from gateway.readings import by_upstream, in_all

EVERY = 5.0
"""Seconds between two points."""

MOST = 720
"""Points that are kept: an hour's."""

MOST_UPSTREAMS = 50
"""Upstreams that a point tells apart, those with most calls: each takes 70 bytes in every point."""


class Timer(Protocol):
    def cancel(self) -> None: ...


class Loop(Protocol):
    """The part of `asyncio.AbstractEventLoop` that is needed here."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer: ...


class Point(NamedTuple):
    """What had been counted since the start at `at` (steady seconds), when the machine's clock said `wall`.

    `said` are a JSON object's members, without {.
    """

    n: int
    at: float
    wall: float
    said: bytes


class History:
    """Points, oldest first; from `start` to `close` there is one every five seconds, later where the loop is late.

    They are numbered on from the second in which the process `started` (wall-clock seconds), so that the numbers of
    one before are not known here.
    """

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._points = deque[Point](maxlen=MOST)
        self._timer: Timer | None = None
        self.started = clock.wall()
        self.last = int(self.started)

    def start(self, loop: Loop) -> None:
        """Begin, with a first point now."""
        # Before the point is made: a bug there must not be the end of all others.
        self._timer = loop.call_later(EVERY, lambda: self.start(loop))
        self.sample()

    def close(self) -> None:
        """Make no more of them."""
        if self._timer is not None:
            self._timer.cancel()

    def sample(self) -> None:
        """Make a point now."""
        self.add(self._metrics)

    def add(self, metrics: Metrics) -> None:
        """Make a point of these now."""
        self.last += 1
        self._points.append(Point(self.last, self._clock.steady(), self._clock.wall(), _said(metrics)))

    def after(self, n: int) -> list[Point]:
        """The points behind number `n`; all of them where that one is not known."""
        points, unseen = list(self._points), self.last - n
        return points[len(points) - unseen :] if 0 <= unseen <= len(points) else points


def moments(points: Sequence[Point], clock: Clock) -> list[float]:
    """When each of `points`, oldest first, was, in wall-clock seconds: never nearer to the next one than it was.

    As the clock said then, since steady time stands still while the machine sleeps; but earlier where the clock has
    been set back since.
    """
    steady, wall = clock.steady(), clock.wall()
    found = list[float]()
    for point in reversed(points):
        wall = min(point.wall, wall - (steady - point.at))
        steady = point.at
        found.append(wall)
    return found[::-1]


def _said(metrics: Metrics) -> bytes:
    """At once in its final form, which is a tenth of the memory and nearly all of the work of telling it."""
    traffic, exchanges = in_all(metrics), by_upstream(metrics)
    busiest = nlargest(MOST_UPSTREAMS, exchanges.items(), key=lambda item: item[1].calls)
    upstreams = {
        name: {"calls": reading.calls, "failed": reading.failed, "seconds": reading.seconds.total}
        for name, reading in busiest
    }
    said = {
        "requests": traffic.requests,
        "cache": traffic.cache,
        "refused": traffic.refused,
        "saved_calls": traffic.saved_calls,
        "saved_tokens": traffic.saved_tokens,
        "tokens": traffic.tokens_charged,
        "calls": sum([reading.calls for reading in exchanges.values()]),
        "failed": sum([reading.failed for reading in exchanges.values()]),
        "upstreams": upstreams,
    }
    return orjson.dumps(said)[1:]
