"""The operators' API for the last hour: what had been counted, every five seconds, for charts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import orjson
from aiohttp import web

from gateway.admin.content import answer, whole
from gateway.admin.endpoints import Endpoint, Parameter
from gateway.admin.overview import CacheCounts
from gateway.config.section import Section
from gateway.history import EVERY, Point, moments
from gateway.ports import Clock

_AFTER = Parameter(
    "after",
    "`next` of the answer before: only the points since. All of them where it is not known, as after a restart.",
    {"type": "integer", "minimum": 0, "maximum": 10**15, "default": 0},
)


class UpstreamTotals(Section):
    """One upstream's exchanges, and the seconds until their heads or failures summed up."""

    calls: int
    failed: int
    """Those that brought a 5xx or broke."""
    seconds: float


class PointTold(Section):
    """What had been counted since the start."""

    n: int
    """Its number; the next point's is one more."""
    at: str
    """When: ISO 8601 in UTC, to the millisecond; rising, also where the clock has been set back since."""
    requests: int
    cache: CacheCounts
    refused: int
    saved_calls: int
    saved_tokens: int
    tokens: int
    """Charged."""
    calls: int
    """Exchanges with all upstreams."""
    failed: int
    """Those that brought a 5xx or broke."""
    upstreams: dict[str, UpstreamTotals]
    """Of the fifty with most calls."""


class HistoryTold(Section):
    """Points, oldest first: at most the last hour's."""

    interval: float
    """Seconds between two points; more where the gateway was held up."""
    points: tuple[PointTold, ...]
    next: int
    """What `after` is to be next time."""


class Points(Protocol):
    """`history.History`."""

    last: int

    def after(self, n: int) -> Sequence[Point]:
        """The points behind number `n`."""


class HistoryApi:
    """What `points` holds."""

    def __init__(self, points: Points, clock: Clock) -> None:
        self._points = points
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        about = "What had been counted in all, every five seconds of the last hour."
        return [Endpoint("GET", "/-/history", self._tell, about, HistoryTold, parameters=(_AFTER,))]

    async def _tell(self, request: web.Request) -> web.Response:
        points = self._points.after(whole(request, _AFTER))
        told = [_told(point, wall) for point, wall in zip(points, moments(points, self._clock), strict=True)]
        return answer(200, {"interval": EVERY, "points": told, "next": self._points.last})


def _told(point: Point, wall: float) -> orjson.Fragment:
    at = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return orjson.Fragment(b'{"n":%d,"at":"%bZ",%b' % (point.n, at.encode(), point.said))
