"""What a background refresh fetches anew of what other nodes have stored: all that carries the tag in the fleet."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest
from background.yard import SENDING, Yard, yard_with
from jobs.nodes import node_on
from stores.nodes import ROOM, TIMEOUT
from support.clock import FakeClock

from gateway.admission.jobs import Progress, State
from gateway.clock import SystemClock
from gateway.fleet import names
from gateway.fleet.link import Link
from gateway.fleet.log import Log
from gateway.jobs.register import JobRegister
from gateway.stores.redis_tier import RedisTier, backend
from gateway.stores.shared import Shared

PAGES = [f"/orders?page={number}&storeId=1" for number in range(150)]


async def joined(url: str, place: Path, stack: AsyncExitStack) -> Yard:
    """A node more, with its worker."""
    node = await stack.enter_async_context(node_on(url, FakeClock()))
    log = Log(node.connection)
    link = Link(node.connection, log, SystemClock(), TIMEOUT)
    await node.connection.ask("SET", names.EPOCH, node.connection.server)

    def sharing(clock: FakeClock) -> Shared:
        return Shared(RedisTier(backend(node.connection.client(), TIMEOUT), clock, ROOM), link, log)

    running = await stack.enter_async_context(yard_with(cast("JobRegister", node.register), place, sharing=sharing))
    await log.rejoin()
    link.open()
    stack.push_async_callback(link.close)
    running.worker.configure()
    return running


def folder(within: Path, name: str) -> Path:
    (within / name).mkdir()
    return within / name


@pytest.fixture
async def yards(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[Yard, Yard]]:
    """Two nodes, the first of which leads."""
    async with AsyncExitStack() as stack:
        yield (
            await joined(redis_url, folder(tmp_path, "one"), stack),
            await joined(redis_url, folder(tmp_path, "two"), stack),
        )


async def settled(*yards: Yard) -> None:
    for running in yards:
        assert running.cache._shared is not None
        await running.cache.told()
        await running.cache._shared.settle()


async def test_all_that_other_nodes_have_stored_is_fetched_anew_and_nothing_else(yards: tuple[Yard, Yard]) -> None:
    leader, other = yards
    for page in (*PAGES, "/orders?storeId=2"):
        await other.store(page, {"orders": ["old"]})
        # No more than some are on their way to Redis at a time; what is more stays in memory alone.
        await settled(other)
    await leader.store(PAGES[0], {"orders": ["old"]})
    await settled(*yards)
    for page in PAGES:
        leader.upstream.always_at(page, {"orders": ["new"]})
    job = await leader.ended(await leader.accept())
    assert (job.state, job.responses) == (State.done, Progress(len(PAGES), len(PAGES)))
    assert sorted(sent.target for sent in leader.upstream.sent) == sorted([SENDING.target, *PAGES])
    # And all of it is there for the others, too.
    await settled(*yards)
    key = other.stored(PAGES[7]).key
    assert other.cache._shared is not None
    assert [stored.body for stored in await other.cache._shared.load(key)] == [b'{"orders":["new"]}']
