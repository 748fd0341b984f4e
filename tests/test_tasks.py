"""Tasks that no caller waits for."""

import asyncio
import gc

import pytest
import structlog

from gateway.tasks import Tasks, forever


async def test_finish_waits_for_what_was_started_and_what_that_starts() -> None:
    tasks, gate, ended = Tasks(), asyncio.Event(), []

    async def second() -> None:
        ended.append("second")

    async def first() -> None:
        await gate.wait()
        ended.append("first")
        tasks.start(second())

    tasks.start(first())
    assert len(tasks) == 1
    asyncio.get_running_loop().call_soon(gate.set)
    await tasks.finish()
    assert (ended, len(tasks)) == (["first", "second"], 0)


async def test_one_that_fails_leaves_the_others() -> None:
    tasks, ended = Tasks(), []
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fails() -> None:
        raise RuntimeError

    async def works() -> None:
        ended.append(True)

    tasks.start(fails())
    tasks.start(works())
    await tasks.finish()
    gc.collect()
    assert (ended, len(complaints)) == ([True], 1)


async def test_what_goes_on_for_ever_goes_on_after_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.tasks._PAUSE", 0.0)
    times, again = list[int](), asyncio.Event()

    async def work() -> None:
        times.append(1)
        if len(times) == 1:
            raise ValueError("a bug")
        again.set()
        await asyncio.Event().wait()

    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(forever("counting", work))
        await again.wait()
    task.cancel()
    assert [(line["event"], line["work"]) for line in lines] == [("work begun anew", "counting")]
