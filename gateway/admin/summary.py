"""The operators' API for all that is stored in figures: by the route that would answer with it, and by age."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from operator import add
from typing import Any, Protocol, cast

from aiohttp import web

from gateway.admin.content import answer
from gateway.admin.endpoints import Endpoint
from gateway.admission.places import Routing
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Snapshot
from gateway.config.section import Section
from gateway.keys.listing import instant
from gateway.ports import Clock
from gateway.rfc9111.reuse import measured
from gateway.rfc9111.stored import Policy, StoredResponse
from gateway.stores.size import size_held
from gateway.tasks import Tasks

BOUNDS = (60, 600, 3600, 21600, 86400)
"""Ages in seconds that are told apart."""

# Seconds that a count holds at least, and that whoever asks before there is any waits for it at most.
_SECONDS, _PATIENCE = 10.0, 0.5

_NO_POLICY = Policy()

Document = Mapping[str, object]


class RouteStored(Section):
    """What one route would answer with; null for what no route of the config would any more."""

    route: str | None = None
    responses: int
    bytes: int
    """As the memory tier counts them."""
    fresh: int
    stale: int
    """Not served as fresh, for whatever reason but the next."""
    outdated: int
    """By a refresh or an unsafe method."""
    ages: tuple[int, ...]
    """How many are as old as each of `bounds` at most, and older than the one before; the last are older than all."""


class StoredSummary(Section):
    """All that is stored, as it was counted last; null, and no routes, until it was counted once."""

    as_of: str | None = None
    routes: tuple[RouteStored, ...]
    bounds: tuple[int, ...]


class Store(Protocol):
    """Where responses are stored: `cache.Cache`."""

    def everything(self) -> AsyncGenerator[tuple[StoredResponse, ...], None]:
        """All of them, the variants of a key at a time."""


class Doors(Protocol):
    """`health.Health`."""

    serving: bool


@dataclass(slots=True)
class Stock:
    """What was counted of one route; as `RouteStored` has it."""

    responses: int = 0
    bytes: int = 0
    fresh: int = 0
    stale: int = 0
    outdated: int = 0
    ages: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def count(self, variants: tuple[StoredResponse, ...], policy: Policy, now: float) -> None:
        """Takes in what is stored under one key, at `now` (steady seconds)."""
        self.responses += len(variants)
        self.bytes += size_held(variants)
        for stored in variants:
            age, ttl = measured(stored, policy, now)
            self.ages[bisect_left(BOUNDS, age)] += 1
            if stored.outdated:
                self.outdated += 1
            elif ttl > 0:
                self.fresh += 1
            else:
                self.stale += 1


class Stocktaking:
    """Counts by the routes of `snapshot`, those with nothing stored as well; what none answers with stands last."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._routing = Routing(snapshot)
        self._stocks = {route.name: Stock() for route in snapshot.routes if route.cache is not None}
        self._rest = Stock()

    def count(self, variants: tuple[StoredResponse, ...], now: float) -> None:
        """Takes in what is stored under one key, at `now` (steady seconds)."""
        route = self._routing.route_of(variants[0].key)
        if route is None or route.cache is None:
            self._rest.count(variants, _NO_POLICY, now)
        else:
            self._stocks[route.name].count(variants, route.cache.policy, now)

    def told(self) -> list[dict[str, object]]:
        """Each as `RouteStored` has it."""
        rest = [(None, self._rest)] if self._rest.responses else []
        return [
            {
                "route": name,
                "responses": stock.responses,
                "bytes": stock.bytes,
                "fresh": stock.fresh,
                "stale": stock.stale,
                "outdated": stock.outdated,
                "ages": stock.ages,
            }
            for name, stock in [*self._stocks.items(), *rest]
        ]


class Stocks:
    """What `store` has, counted by the config that `preparer` returns, while somebody asks, by one walk at a time.

    The walk is one of `tasks`, and ends when the gateway is no longer `serving`.
    """

    def __init__(
        self, store: Store, preparer: Callable[[], Preparer], tasks: Tasks, doors: Doors, clock: Clock
    ) -> None:
        self._store = store
        self._preparer = preparer
        self._tasks = tasks
        self._doors = doors
        self._clock = clock
        self._walking = False
        self._until = 0.0
        self._first = asyncio.Event()
        self._as_of: str | None = None
        self._routes: list[dict[str, object]] = []

    async def told(self) -> Document:
        """As it was counted last, as `StoredSummary` has it; waits for the first count, but not for long."""
        if not self._walking and self._doors.serving and self._clock.steady() >= self._until:
            self._walking = True
            self._tasks.start(self._walk())
        if not self._first.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._first.wait(), _PATIENCE)
        return {"as_of": self._as_of, "routes": self._routes, "bounds": BOUNDS}

    async def _walk(self) -> None:
        began = self._clock.steady()
        try:
            stocktaking = await asyncio.to_thread(Stocktaking, self._preparer().snapshot)
            async with aclosing(self._store.everything()) as everything:
                async for variants in everything:
                    if not self._doors.serving:
                        return
                    stocktaking.count(variants, self._clock.steady())
            self._as_of, self._routes = instant(self._clock.wall()), stocktaking.told()
            self._first.set()
        finally:
            self._walking = False
            ended = self._clock.steady()
            self._until = ended + max(_SECONDS, ended - began)


class SummaryApi:
    """What is stored by each of those that `told` asks."""

    def __init__(self, told: Callable[[], Awaitable[Sequence[Document]]]) -> None:
        self._told = told

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        summary = "How much is stored in memory by route, freshness and age, as it was counted some time ago."
        return [Endpoint("GET", "/-/stored/summary", self._tell, summary, StoredSummary)]

    async def _tell(self, _: web.Request) -> web.Response:
        return answer(200, together(await self._told()))


def together(summaries: Sequence[Document]) -> Document:
    """What all of them have counted, by route, as of the earliest; what was not counted yet is left out."""
    counted = [summary for summary in summaries if summary["as_of"] is not None]
    routes = dict[object, dict[str, Any]]()
    for summary in counted:
        for row in cast("list[dict[str, Any]]", summary["routes"]):
            before = routes.get(row["route"])
            routes[row["route"]] = row if before is None else _added(before, row)
    # What no route answers with stands last.
    rows = sorted(routes.values(), key=lambda row: row["route"] is None)
    return {
        "as_of": min([str(summary["as_of"]) for summary in counted], default=None),
        "routes": rows,
        "bounds": BOUNDS,
    }


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    sums = {name: one[name] + other[name] for name in one if name not in ("route", "ages")}
    return {"route": one["route"], **sums, "ages": [*map(add, one["ages"], other["ages"])]}
