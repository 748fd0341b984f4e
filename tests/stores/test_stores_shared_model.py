"""Any order of fetches, refreshes, unsafe methods and purges on three nodes: no request is served what was replaced."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores.fetches import brought
from stores.nodes import Node, node

from gateway.rfc9111.stored import StoredResponse
from gateway.stores.in_flight import Fetching
from gateway.stores.selection import Everything, Tagged

_RUNS = count()


@pytest.fixture
async def nodes(redis_url: str) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(node(redis_url, ahead)) for ahead in (0.0, 1000.0, -1000.0)]


@dataclass
class Flight:
    """A fetch in flight at a node; `moment` is when it began, in the order in which all things happen."""

    at: Node
    key: str
    fetching: Fetching
    moment: int
    forced: bool


@dataclass
class World:
    """Two keys in one group. `replaced`: what began before that moment was replaced by something answered since."""

    nodes: list[Node]
    flights: list[Flight] = field(default_factory=list)
    replaced: int = 0
    moment: int = 0

    def __post_init__(self) -> None:
        run = next(_RUNS)
        self.keys = [f"api\n\n/{run}/a", f"api\n\n/{run}/a?b"]
        self.groups = (f"api\n*\n/{run}/a",)

    async def begin(self, at: Node, key: int, *, forced: bool) -> None:
        self.flights.append(Flight(at, self.keys[key], at.cache.begin(self.groups), self.moment, forced))

    async def end(self, which: int) -> None:
        if not self.flights:
            return
        flight = self.flights.pop(which % len(self.flights))
        stored = brought(flight.fetching, flight.key, forced=flight.forced)
        stored = stored.replaced(body=b"%d" % flight.moment)
        flight.at.cache.store(flight.fetching, stored)
        if flight.forced:
            flight.at.cache.outdate(flight.fetching, flight.key)
        flight.at.cache.end(flight.fetching)
        await flight.at.idle()
        if flight.forced:
            self.replaced = max(self.replaced, flight.moment)

    async def outdate(self, at: Node, how: int) -> None:
        match how:
            case 0:
                at.cache.invalidate(self.groups)
                await at.idle()
            case 1:
                await at.cache.purge(Tagged(self.groups), hard=True)
            case _:
                await at.cache.purge(Everything(), hard=True)
        self.replaced = self.moment

    async def ask(self, at: Node, key: int) -> None:
        found = await at.finds(self.keys[key])
        assert all(_moment(stored) >= self.replaced for stored in found)

    async def do(self, step: tuple[str, int, int]) -> None:
        """One step; nodes hear of each other only when they are asked or told something."""
        self.moment += 1
        what, at, which = step
        here = self.nodes[at]
        match what:
            case "fetch" | "refresh":
                await self.begin(here, which % 2, forced=what == "refresh")
            case "end":
                await self.end(which)
            case "outdate":
                await self.outdate(here, which)
            case "load":
                await here.cache.load(self.keys[which % 2])
            case _:
                await self.ask(here, which % 2)


def _moment(stored: StoredResponse) -> int:
    return int(stored.body)


STEPS = st.tuples(
    st.sampled_from(["fetch", "fetch", "refresh", "end", "end", "end", "outdate", "load", "ask", "ask"]),
    st.integers(0, 2),
    st.integers(0, 3),
)


@given(steps=st.lists(STEPS, max_size=30))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_no_request_is_served_what_was_replaced(nodes: list[Node], steps: list[tuple[str, int, int]]) -> None:
    world = World(nodes)
    for step in steps:
        await world.do(step)
    while world.flights:
        await world.end(0)
    for here in nodes:
        for key in (0, 1):
            await world.ask(here, key)


async def test_what_nothing_replaces_is_served_everywhere(nodes: list[Node]) -> None:
    world = World(nodes)
    await world.do(("fetch", 0, 0))
    await world.do(("end", 0, 0))
    assert [[_moment(stored) for stored in await here.finds(world.keys[0])] for here in nodes] == [[1], [1], [1]]
