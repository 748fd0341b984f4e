import asyncio
from collections.abc import Callable

import pytest
import uvloop

from gateway.loop_delay import EVERY, LoopDelay


class FakeLoop:
    """Has one timer, which runs as late as a test says."""

    def __init__(self) -> None:
        self.now = self.due = 0.0
        self._callback: Callable[[float], object] | None = None

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[float], object], due: float, /) -> "FakeLoop":
        self.due, self._callback = when, callback
        assert when == due
        return self

    def cancel(self) -> None:
        self._callback = None

    def turn(self, late: float) -> None:
        self.now = self.due + late
        if self._callback is not None:
            self._callback(self.due)


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def told() -> list[float]:
    return []


def test_each_delay_is_told(loop: FakeLoop, told: list[float]) -> None:
    LoopDelay(loop, told.append).start()
    for late in (0.0, 0.3, 0.02):
        loop.turn(late)
    assert told == pytest.approx([0.0, 0.3, 0.02])


def test_a_late_turn_does_not_make_the_next_one_late(loop: FakeLoop, told: list[float]) -> None:
    LoopDelay(loop, told.append).start()
    loop.turn(late=10 * EVERY)
    assert loop.due == pytest.approx(loop.now + EVERY)


def test_a_timer_that_comes_early_was_not_late(loop: FakeLoop, told: list[float]) -> None:
    LoopDelay(loop, told.append).start()
    loop.turn(late=-0.001)
    assert told == [0.0]


def test_once_closed_nothing_is_observed(loop: FakeLoop, told: list[float]) -> None:
    delay = LoopDelay(loop, told.append)
    delay.close()
    delay.start()
    delay.close()
    loop.turn(0.0)
    assert told == []


def test_on_the_loop_that_serves_it_goes_on() -> None:
    async def observed() -> None:
        twice: asyncio.Queue[float] = asyncio.Queue()
        delay = LoopDelay(asyncio.get_running_loop(), twice.put_nowait)
        delay.start()
        assert [await twice.get() >= 0.0 for _ in range(2)] == [True, True]
        delay.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(observed())
