"""Triggers over real connections: what a dead connection, a dead upstream and a rate limit mean for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from background.yard import ORDERS, REFRESH, Yard, background, begins, yard
from support.scripts import End, json_answer
from support.upstream import ScriptedUpstream
from upstreams.clients import Client, client

from gateway.admission.jobs import State
from gateway.lookup import Live

pytestmark = pytest.mark.slow

STORED = "/orders?storeId=1"


@asynccontextmanager
async def served(folder: Path, origin: ScriptedUpstream) -> AsyncIterator[tuple[Yard, Client]]:
    """A yard whose upstream is a real client of `origin`."""
    async with yard(folder, begins(background()), ORDERS) as running:
        await running.store(STORED, {"old": 1})
        async with client(origin.url, clock=running.clock) as connected:
            running.live = Live(running.snapshot, running.preparer, {"api": connected.upstream})
            yield running, connected
            await running.worker.finish()


async def test_from_its_trigger_to_fresh_responses(tmp_path: Path) -> None:
    with ScriptedUpstream() as origin:
        async with served(tmp_path, origin) as (running, _):
            id_ = await running.accept()
            running.worker.configure()
            job = await running.ended(id_)
            assert (job.state, job.responses.done) == (State.done, 1)
            assert running.stored(STORED).body == b'{"path": "/orders", "call": 1}'
            (trigger,) = origin.calls(REFRESH)
            assert (trigger.body, trigger.field("Content-Length")) == (b'{"storeId":1}', "13")
            assert trigger.field("Authorization") == "Bearer upstream"


async def test_one_whose_connection_died_is_not_sent_twice(tmp_path: Path) -> None:
    with ScriptedUpstream() as origin:
        origin.then(REFRESH, End.reset)
        async with served(tmp_path, origin) as (running, _):
            id_ = await running.accept()
            running.worker.configure()
            assert (await running.ended(id_)).state is State.done
            assert len(origin.calls(REFRESH)) == 1


async def test_one_that_nobody_listened_to_is_sent_again(tmp_path: Path) -> None:
    with ScriptedUpstream() as origin:
        async with served(tmp_path, origin) as (running, connected):
            origin.refuse()
            id_ = await running.accept()
            running.worker.configure()
            await running.comes_true(lambda: tried(connected), seconds=0.0)
            origin.accept()
            assert (await running.ended(id_)).state is State.done
            assert len(origin.calls(REFRESH)) == 1


async def tried(connected: Client) -> bool:
    return connected.counts.exchanges["refused"] > 0


async def test_a_rate_limit_is_waited_for(tmp_path: Path) -> None:
    with ScriptedUpstream() as origin:
        origin.then(REFRESH, json_answer({}, 429, Retry_After="60"))
        async with served(tmp_path, origin) as (running, _):
            id_ = await running.accept()
            began = running.clock.wall()
            running.worker.configure()
            assert (await running.ended(id_)).state is State.done
            assert running.clock.wall() >= began + 60
            assert len(origin.calls(REFRESH)) == 2
