"""An account is renamed and back by configs that come to one node after the other: nothing is granted twice."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.fleet import Node, balances, sound
from support.metering import LOOKUP, account
from support.redis_server import RedisServer

from gateway.admission.snapshot import Every, Plan
from gateway.errors import Problem, Reason

pytestmark = pytest.mark.slow

PLAN = Plan("p", 1000, Every.month)
BEFORE = account(PLAN, "before")
CONFIGS = [BEFORE, replace(account(PLAN, "after"), former="before")]
STEPS = st.lists(
    st.tuples(st.sampled_from(["charge", "charge", "standing", "reload", "reload"]), st.integers(0, 2)),
    min_size=20,
    max_size=40,
)


class Rollout:
    """Three nodes, of which none is two configs behind another."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.at = [0] * len(nodes)
        self.charged = 0

    def reload(self, number: int) -> None:
        """One of those that are behind, or any, goes by the next config."""
        behind = [one for one, at in enumerate(self.at) if at == min(self.at)]
        number = behind[number % len(behind)]
        self.nodes[number].clock.advance(1)
        self.at[number] += 1
        self.nodes[number].configure(CONFIGS[self.at[number] % 2])

    async def asks(self, kind: str, number: int) -> Reason | None:
        """Why it is refused."""
        node, who = self.nodes[number], CONFIGS[self.at[number] % 2]
        try:
            if kind == "charge":
                await node.charge(who, LOOKUP)
                self.charged += 1
            else:
                await node.meter.standing(who)
        except Problem as problem:
            return problem.reason
        return None


async def roll(url: str, steps: list[tuple[str, int]]) -> None:
    clock = FakeClock()
    rollout = Rollout([await Node.open(url, clock, BEFORE) for _ in range(3)])
    for kind, number in [("charge", 0), *steps]:
        if kind == "reload":
            rollout.reload(number)
        else:
            late = rollout.at[number] < max(rollout.at)
            assert await rollout.asks(kind, number) in (None, Reason.ledger_unavailable if late else None)
        found = (await balances(rollout.nodes[0].connection)).values()
        # A name that is in use again begins anew.
        assert sum(one.granted for one in found) <= 1000 * (1 + max(rollout.at) // 2)
        assert sum(one.charged for one in found) == rollout.charged
    await sound(rollout.nodes[0].connection)
    for node in rollout.nodes:
        await node.close()


def test_configs_that_come_one_after_the_other_grant_nothing_twice(redis_server: RedisServer) -> None:
    @given(STEPS)
    @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
    def run(steps: list[tuple[str, int]]) -> None:
        asyncio.run(roll(redis_server.empty_database(), steps))

    run()
