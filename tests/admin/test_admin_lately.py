"""What was found lately is told again, and found once for all who ask meanwhile."""

import asyncio

import pytest
from support.clock import FakeClock

from gateway.admin.lately import Lately


class Finding:
    """Finds one number after the other, each once it may; the clock moves by `takes` seconds."""

    def __init__(self, clock: FakeClock, takes: float = 0.0) -> None:
        self.clock = clock
        self.takes = takes
        self.begun = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> int:
        self.begun += 1
        found = self.begun
        await self.may_end.wait()
        self.clock.advance(self.takes)
        return found


@pytest.mark.parametrize(("takes", "kept"), [(0.0, 2.0), (0.1, 2.0), (1.0, 9.0)])
async def test_it_is_kept_for_a_while_and_longer_where_it_takes_long(takes: float, kept: float) -> None:
    clock = FakeClock()
    find, lately = Finding(clock, takes), Lately[int](clock, 2.0, 9.0)
    assert await lately.get(find) == 1
    clock.advance(kept - 0.01)
    assert await lately.get(find) == 1
    clock.advance(0.02)
    assert await lately.get(find) == 2


async def test_all_who_ask_meanwhile_are_told_the_same() -> None:
    clock = FakeClock()
    find, lately = Finding(clock), Lately[int](clock, 2.0)
    find.may_end.clear()
    asking = [asyncio.create_task(lately.get(find)) for _ in range(5)]
    await asyncio.sleep(0)
    find.may_end.set()
    assert await asyncio.gather(*asking) == [1] * 5
    assert find.begun == 1


async def test_whoever_leaves_takes_what_was_begun_along() -> None:
    clock = FakeClock()
    find, lately = Finding(clock), Lately[int](clock, 2.0)
    find.may_end.clear()
    leaving, staying = (asyncio.create_task(lately.get(find)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    find.may_end.set()
    assert await staying == 2
    assert leaving.cancelled()


async def test_what_could_not_be_found_is_not_kept() -> None:
    clock = FakeClock()
    lately = Lately[int](clock, 2.0)

    async def failing() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        await lately.get(failing)
    assert await lately.get(Finding(clock)) == 1
