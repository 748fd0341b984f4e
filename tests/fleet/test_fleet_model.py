"""Three nodes on one Redis do what one process does in its memory, step by step, whatever replies are lost."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from admission.snapshots import ROUTE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.fleet import Node, sound
from support.metering import FULL, LOOKUP, OPTIONS, account, roster
from support.redis_server import RedisServer

from gateway.admission.charge import Charge
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Problem
from gateway.fleet.connection import Unreachable
from gateway.journalled import Journalled
from gateway.ledger.ledger import Ledger
from gateway.meter import Meter
from gateway.metering import Metering
from gateway.reservation import Reservation, State

pytestmark = pytest.mark.slow

TIGHT = Plan("tight", 13, Every.hour, ThrottlePolicy(Rate(6, 60.0), 3))
HOURLY = replace(TIGHT, throttle=None)
CARRIED = Plan("carried", 15, Every.day, carry_over=True)
CAP = Rate(2, 60.0)
# No throttle comes and goes: one that comes back begins anew in one process, and in a fleet it goes on, or nodes of two
# configs would refill it for each other.
CONFIGS = [
    (account(TIGHT, "one", cap=CAP), account(CARRIED, "two", cap=CAP), account(Plan("free"), "three", cap=CAP)),
    (account(replace(TIGHT, grant=20), "one", cap=CAP), account(HOURLY, "two"), account(CARRIED, "three", cap=CAP)),
    (replace(account(TIGHT, "new", cap=CAP), former="one"), account(CARRIED, "two"), account(Plan("free"), "three")),
]
QUOTES = [LOOKUP, OPTIONS, FULL]
# Where throttle, cap and period have their edges.
SECONDS = st.sampled_from([0.25, 9.75, 10.0, 20.0, 30.0, 59.75, 60.0, 60.25, 3600.0, 86_400.0])
WHO = st.sampled_from([0, 0, 0, 1, 2])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["charge", "reserve"]), WHO, st.sampled_from(QUOTES)),
        st.tuples(st.sampled_from(["charge", "reserve"]), WHO, st.sampled_from(QUOTES)),
        st.tuples(st.sampled_from(["repeat", "standing", "balance"]), WHO, st.just(LOOKUP)),
        st.tuples(st.sampled_from(["settle", "release", "refund"]), st.integers(0, 9), st.just(LOOKUP)),
        st.tuples(st.just("correct"), WHO, st.just(LOOKUP)),
        st.tuples(st.just("advance"), SECONDS, st.just(LOOKUP)),
        st.tuples(st.just("configure"), WHO, st.just(LOOKUP)),
    ),
    min_size=10,
    max_size=40,
)


class Told:
    """One meter, and the operations it has begun."""

    def __init__(self, meter: Metering) -> None:
        self.meter = meter
        self.begun: list[Reservation] = []

    async def does(self, kind: str, number: int, who: Account, quote: Any) -> object:
        """What comes of a step, without what tells one ledger's operations from another's."""
        if who.former is not None:
            # What its former holder is given back follows when somebody looks, and each node looks for itself.
            await self.meter.standing(who)
        try:
            done = await self._act(kind, number, who, quote)
        except Problem as problem:
            return problem.reason, problem.retry_after
        except ValueError as error:
            return str(error)
        if isinstance(done, Charge):
            return replace(done, operation=None), done.operation is not None
        return done

    async def _act(self, kind: str, number: int, who: Account, quote: Any) -> object:
        meter = self.meter
        match kind:
            case "charge":
                return await meter.charge(who, ROUTE, quote, Outcome.hit)
            case "reserve":
                self.begun.append(await meter.reserve(who, ROUTE, quote))
                return len(self.begun)
            case "correct":
                return await meter.correct(who, 7 - 11 * number, "a reason")
            case "repeat":
                return await meter.repeat(who)
            case "standing":
                return await meter.standing(who)
            case "balance":
                return await meter.balance(who)
            case _:
                return await self._end(kind, number)

    async def _end(self, kind: str, number: int) -> object:
        due = State.settled if kind == "refund" else State.reserved
        open_ = [one for one in self.begun if one.state is due]
        if not open_:
            return None
        one = open_[number % len(open_)]
        match kind:
            case "settle":
                return await self.meter.settle(one, Outcome.refreshed if number % 2 else Outcome.undelivered)
            case "release":
                return await self.meter.release(one, "failed")
            case _:
                return await self.meter.refund(one, Outcome.truncated)


class Among:
    """The meters of several nodes as one: each call is made at the next of them."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._calls = 0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        self._calls += 1
        act: Callable[..., Awaitable[object]] = getattr(self._nodes[self._calls % len(self._nodes)].meter, name)
        return act


def loses(node: Node, lost: list[bool]) -> None:
    async def around(call: Callable[[], Awaitable[Any]]) -> Any:
        if not lost or not lost.pop():
            return await call()
        if len(lost) % 2:
            await call()
        raise Unreachable("no answer in time")

    node.door.around = around


async def compare(folder: Path, url: str, steps: list[tuple[str, Any, Any]], lost: list[bool]) -> None:
    async with AsyncExitStack() as stack:
        clock = FakeClock()
        ledger = Ledger.open(folder, "process", clock)
        stack.push_async_callback(ledger.close)
        nodes = [await Node.open(url, clock) for _ in range(3)]
        for node in nodes:
            stack.push_async_callback(node.close)
            loses(node, lost)
        await agree(ledger, nodes, clock, steps)
        await sound(nodes[0].connection)


async def agree(ledger: Ledger, nodes: list[Node], clock: FakeClock, steps: list[tuple[str, Any, Any]]) -> None:
    one, many = Told(Journalled(Meter(ledger, clock), ledger)), Told(Among(nodes))  # type: ignore[arg-type]  # by name
    known = CONFIGS[0]
    for kind, number, quote in [("configure", 0, LOOKUP), *steps]:
        match kind:
            case "advance":
                clock.advance(number)
            case "configure":
                known = CONFIGS[number]
                one.meter.configure(roster(*known))
                for node in nodes:
                    node.meter.configure(roster(*known))
            case _:
                who = known[number % 3]
                assert await many.does(kind, number, who, quote) == await one.does(kind, number, who, quote)
    for who in known:
        assert await many.does("balance", 0, who, LOOKUP) == await one.does("balance", 0, who, LOOKUP)


def test_a_fleet_does_what_one_process_does(redis_server: RedisServer, tmp_path: Path) -> None:
    @given(STEPS, st.lists(st.booleans(), max_size=20))
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    def run(steps: list[tuple[str, Any, Any]], lost: list[bool]) -> None:
        with TemporaryDirectory(dir=tmp_path) as folder:
            asyncio.run(compare(Path(folder), redis_server.empty_database(), steps, list(lost)))

    run()
