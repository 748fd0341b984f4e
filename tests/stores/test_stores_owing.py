"""What is under way by key: who waits goes on with the last of it."""

import asyncio

from gateway.stores.owing import Owing


async def test_who_waits_goes_on_with_the_last() -> None:
    owing = Owing()
    owing.add("a")
    owing.add("a")
    owing.add("b")
    waiting = [asyncio.create_task(owing.over("a")) for _ in range(2)]
    owing.done("a")
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    owing.done("a")
    await asyncio.gather(*waiting)


async def test_nothing_under_way_is_over() -> None:
    owing = Owing()
    await owing.over("a")
    owing.add("a")
    owing.done("a")
    await owing.over("a")
