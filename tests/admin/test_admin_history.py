"""The last hour over real sockets."""

from collections.abc import AsyncIterator

import pytest
from admin.operated import Operated, operated
from support.clock import FakeClock
from support.in_process import no_gauges

from gateway.admin.history import HistoryApi
from gateway.history import EVERY, History
from gateway.metrics import Metrics


class Kept:
    """Three points, the second five seconds after the first, the third half a second late; something was counted."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        metrics = Metrics(no_gauges(), "0")
        self.history = History(metrics, self.clock)
        for seconds in (EVERY, EVERY + 0.5, 0):
            self.history.sample()
            metrics.request("product", 200, "miss", 0.2)
            metrics.upstream("api", "503", 0.2)
            self.clock.advance(seconds)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def door(kept: Kept) -> AsyncIterator[Operated]:
    async with operated(HistoryApi(kept.history, kept.clock).endpoints()) as door:
        yield door


async def test_all_of_it(kept: Kept, door: Operated) -> None:
    told = (await door.client.get("/-/history")).json()
    assert (told["interval"], told["next"]) == (EVERY, kept.history.last)
    first, _, last = told["points"]
    assert [point["at"] for point in told["points"]] == [
        "2026-01-15T12:00:00.000Z",
        "2026-01-15T12:00:05.000Z",
        "2026-01-15T12:00:10.500Z",
    ]
    assert (first["requests"], last["requests"], last["cache"]["miss"], last["n"]) == (0, 2, 2, kept.history.last)
    assert last["upstreams"] == {"api": {"calls": 2, "failed": 2, "seconds": 0.4}}


async def test_only_what_is_new(kept: Kept, door: Operated) -> None:
    for behind, points in ((0, 0), (1, 1), (3, 3), (10**6, 3)):
        told = (await door.client.get(f"/-/history?after={kept.history.last - behind}")).json()
        assert (len(told["points"]), told["next"]) == (points, kept.history.last)


async def test_points_are_as_far_apart_as_they_were_whatever_the_clock_says(kept: Kept, door: Operated) -> None:
    kept.clock.wall_now -= 3600
    told = (await door.client.get("/-/history")).json()
    assert [point["at"][11:] for point in told["points"]] == ["11:00:00.000Z", "11:00:05.000Z", "11:00:10.500Z"]


async def test_points_from_before_the_machine_slept_are_not_of_now(kept: Kept, door: Operated) -> None:
    kept.clock.wall_now += 28800
    kept.history.sample()
    told = (await door.client.get("/-/history")).json()
    assert [point["at"][11:19] for point in told["points"]] == ["12:00:00", "12:00:05", "12:00:10", "20:00:10"]


@pytest.mark.parametrize("after", ["-1", "x", "", "1.5", "9" * 19])
async def test_what_is_no_number_is_refused(door: Operated, after: str) -> None:
    assert (await door.client.get("/-/history", params={"after": after})).status_code == 400
