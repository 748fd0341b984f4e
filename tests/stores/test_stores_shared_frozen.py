"""Shared on a Redis that stands still: nobody waits for it long, and nothing that was outdated is forgotten."""

import asyncio
from pathlib import Path

import pytest
from stores.fetches import GROUPS, KEY, brought
from stores.nodes import Node, node
from support.redis_server import RedisServer

from gateway.errors import Problem
from gateway.fleet import names
from gateway.stores.selection import Everything

pytestmark = pytest.mark.slow


async def settled(one: Node) -> None:
    """Return once all is in the log; nothing else tells when Redis is found again."""
    async with asyncio.timeout(20):
        while not one.cache.settled:
            await one.connection.follow({names.LOG: "$"}, 1, 0.01)


async def test_a_redis_that_stands_still(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with node(server.url, timeout=0.2) as one, node(server.url, timeout=0.2) as two:
            await one.fetch("api /another", ("another",))
            await one.fetch()
            await two.finds()
            server.stop()
            one.cache.invalidate(GROUPS)
            with pytest.raises(Problem, match="ledger_unavailable"):
                await one.cache.told()
            with pytest.raises(Problem, match="ledger_unavailable"):
                await one.cache.purge(Everything(), hard=False)
            # Memory goes on; behind it there is nothing.
            fetching = one.cache.begin(GROUPS)
            assert one.cache.store(fetching, brought(fetching))
            one.cache.end(fetching)
            assert len(await one.cache.load(KEY)) == 1
            assert await one.cache.load("api /elsewhere") == ()
            assert not one.cache.settled
            server.go_on()
            await settled(one)
            assert await two.finds() == await two.finds("api /another") == []
