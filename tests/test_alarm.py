"""One timer for many times, on either event loop."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from gateway.alarm import Alarm

LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]
FAR = 3600.0


class Rung:
    """An alarm, and how often it has rung."""

    def __init__(self) -> None:
        self.times = 0
        self.changed = asyncio.Event()
        self.alarm = Alarm(self._ring)
        self.now = asyncio.get_running_loop().time()

    def _ring(self) -> None:
        self.times += 1
        self.changed.set()


async def _the_earliest_is_rung_alone(rung: Rung) -> None:
    for ahead in (FAR, 0.01, FAR, 0.02):
        rung.alarm.by(rung.now + ahead)
    await rung.changed.wait()
    later = asyncio.Event()
    asyncio.get_running_loop().call_at(rung.now + 0.03, later.set)
    await later.wait()
    assert rung.times == 1


async def _a_time_that_is_as_good_as_now_can_be_set_before(rung: Rung) -> None:
    rung.alarm.by(rung.now + 0.0002)
    rung.alarm.by(rung.now + 0.0001)
    rung.alarm.by(rung.now + FAR)
    await rung.changed.wait()
    assert rung.times == 1


async def _it_is_set_anew_once_it_has_rung(rung: Rung) -> None:
    for _ in range(2):
        rung.changed.clear()
        rung.alarm.by(rung.now)
        await rung.changed.wait()
    assert rung.times == 2


async def _it_does_not_ring_once_it_is_stopped(rung: Rung) -> None:
    rung.alarm.stop()
    rung.alarm.by(rung.now)
    rung.alarm.stop()
    done = asyncio.Event()
    asyncio.get_running_loop().call_at(rung.now + 0.002, done.set)
    await done.wait()
    assert rung.times == 0


CASES = [
    _the_earliest_is_rung_alone,
    _a_time_that_is_as_good_as_now_can_be_set_before,
    _it_is_set_anew_once_it_has_rung,
    _it_does_not_ring_once_it_is_stopped,
]


@pytest.mark.parametrize("case", CASES, ids=[case.__name__[1:] for case in CASES])
@pytest.mark.parametrize("loop", LOOPS)
def test_alarm(loop: Callable[[], asyncio.AbstractEventLoop], case: Callable[[Rung], Awaitable[None]]) -> None:
    async def run() -> None:
        await case(Rung())

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
