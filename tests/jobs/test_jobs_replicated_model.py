"""The fleet's register under the same hypothesis machine as one process's: whichever of two nodes is asked."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import cycle
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from jobs.nodes import Node, node_on
from jobs.test_jobs_model import RegisterMachine
from support.clock import FakeClock
from support.redis_server import RedisServer

from gateway.jobs.replicated import CHARGED_WITHIN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LEADERS = frozenset({"steps", "sent", "passed", "found", "fetched", "later", "failed"})


class Fleet:
    """Two nodes as one register: the one that leads does the steps, and all else is asked of each in turn."""

    def __init__(self, nodes: list[Node], stack: AsyncExitStack) -> None:
        self._nodes = nodes
        self._next = cycle(nodes)
        self._stack = stack

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return getattr(next(self._next).register, name) if name not in LEADERS else self._led(name)

    async def close(self) -> None:
        await self._stack.aclose()

    def _led(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def asked(*arguments: Any, **options: Any) -> Any:
            for node in self._nodes:
                await node.register._leading.keep()
                if node.register.leads:
                    clock = node.register._clock
                    assert isinstance(clock, FakeClock)
                    # What it hears of only now it leaves alone for a moment.
                    await node.register.latest(None, 1)
                    clock.advance(CHARGED_WITHIN)
                    return await getattr(node.register, name)(*arguments, **options)
            raise AssertionError("nobody leads")

        return asked


class FleetMachine(RegisterMachine):
    """A restart is that of both nodes: what they knew is in Redis."""

    server: ClassVar[RedisServer]
    url: str | None = None

    def _opened(self) -> Any:
        self.url = self.url or self.server.empty_database()
        return self.runner.run(self._nodes(self.url))

    async def _nodes(self, url: str) -> Fleet:
        stack = AsyncExitStack()
        nodes = [await stack.enter_async_context(node_on(url, FakeClock())) for _ in range(2)]
        return Fleet(nodes, stack)


class TestFleetMachine(FleetMachine.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis
    """On the Redis that tests share."""

    settings = settings(max_examples=15, stateful_step_count=25)

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        FleetMachine.server = redis_server
