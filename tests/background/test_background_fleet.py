"""The workers of two nodes over the register that they share in Redis: one of them works, the other goes on for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from background.yard import SENDING, Yard, yard_with
from jobs.nodes import Node, node_on, until
from support.clock import FakeClock

from gateway.admission.jobs import Progress, State
from gateway.jobs.register import JobRegister
from gateway.jobs.replicated import CHARGED_WITHIN

ORDERS_OF_ONE = "/orders?storeId=1"


@dataclass
class Works:
    """One node, and the yard with its worker; `clock` is that of its register."""

    node: Node
    yard: Yard
    clock: FakeClock


@pytest.fixture
async def works(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[Works, Works]]:
    """Two nodes with something stored for store 1, the first of which leads."""
    async with AsyncExitStack() as stack:
        found = list[Works]()
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            clock = FakeClock()
            node = await stack.enter_async_context(node_on(redis_url, clock))
            register = cast("JobRegister", node.register)
            running = await stack.enter_async_context(yard_with(register, tmp_path / name))
            node.register.listen(running.worker.wake_all, _nothing)
            await running.store(ORDERS_OF_ONE, {"orders": ["old"]})
            running.worker.configure()
            found.append(Works(node, running, clock))
        yield found[0], found[1]


async def test_what_one_node_accepts_the_leader_does_once(works: tuple[Works, Works]) -> None:
    leader, other = works
    leader.yard.upstream.at(ORDERS_OF_ONE, {"orders": ["new"]})
    id_ = await other.yard.accept()
    # It hears of it first: nothing is begun that may be taken back yet.
    await leader.yard.job(id_)
    leader.clock.advance(CHARGED_WITHIN)
    job = await leader.yard.ended(id_)
    assert (job.state, job.subjects, job.responses) == (State.done, Progress(1, 1), Progress(1, 1))
    assert [sent.target for sent in leader.yard.upstream.sent] == [SENDING.target, ORDERS_OF_ONE]
    assert other.yard.upstream.sent == []
    assert await other.yard.job(id_) == job


async def test_another_goes_on_where_the_leader_hung_and_sends_no_second_trigger(works: tuple[Works, Works]) -> None:
    leader, other = works
    answer = asyncio.Event()
    leader.yard.upstream.at(SENDING.target, {}, before=(answer,))
    other.yard.upstream.at(ORDERS_OF_ONE, {"orders": ["new"]})
    id_ = await leader.yard.accept()
    leader.yard.worker.wake_all()
    await until(lambda: bool(leader.yard.upstream.sent))
    leader.node.hang()
    await leader.node.end_lease()
    await until(lambda: other.node.register.leads)
    other.node.trust()
    job = await other.yard.ended(id_)
    assert (job.state, job.responses) == (State.done, Progress(1, 1))
    assert [sent.target for sent in other.yard.upstream.sent] == [ORDERS_OF_ONE]
    answer.set()
    await leader.yard.worker.finish()
    assert await leader.yard.job(id_) == job
    assert [sent.target for sent in leader.yard.upstream.sent] == [SENDING.target]


async def _nothing() -> None:
    """No single refresh is left of anybody."""
