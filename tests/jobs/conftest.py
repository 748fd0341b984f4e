"""Nodes of a fleet on the Redis that tests share."""

from collections.abc import AsyncIterator

import pytest
from jobs.nodes import Node, node_on
from support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Of the node that leads first."""
    return FakeClock()


@pytest.fixture
async def node(redis_url: str, clock: FakeClock) -> AsyncIterator[Node]:
    """The one that leads."""
    async with node_on(redis_url, clock) as node:
        yield node


@pytest.fixture
async def other(redis_url: str, node: Node) -> AsyncIterator[Node]:
    """One that comes second."""
    assert node.register.leads
    async with node_on(redis_url, FakeClock()) as other:
        yield other
