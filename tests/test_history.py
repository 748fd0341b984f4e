"""The last hour's points: made by a timer, numbered on, and known again by their numbers."""

import json
from collections.abc import Callable

import pytest
from support.clock import FakeClock
from support.in_process import no_gauges

from gateway.history import EVERY, MOST, MOST_UPSTREAMS, History, Point, moments
from gateway.metrics import Metrics


class FakeLoop:
    """Has one timer, whose time comes when a test says so."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._callback: Callable[[], object] | None = None

    def call_later(self, delay: float, callback: Callable[[], object], /) -> "FakeLoop":
        assert delay == EVERY
        self._callback = callback
        return self

    def cancel(self) -> None:
        self._callback = None

    def pass_by(self, seconds: float = EVERY) -> None:
        """Time passes, and the timer is called once, however long that was."""
        self._clock.advance(seconds)
        if self._callback is not None:
            self._callback()


class Kept:
    """A history that has begun."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.loop = FakeLoop(self.clock)
        self.metrics = Metrics(no_gauges(), "0")
        self.history = History(self.metrics, self.clock)
        self.first = int(self.clock.wall()) + 1
        self.history.start(self.loop)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def numbers(points: list[Point]) -> list[int]:
    return [point.n for point in points]


def test_there_is_a_point_at_once_and_one_at_each_turn_of_the_timer(kept: Kept) -> None:
    began = kept.clock.steady()
    for _ in range(2):
        kept.loop.pass_by()
    points = kept.history.after(0)
    assert [(point.n - kept.first, point.at - began) for point in points] == [(0, 0.0), (1, EVERY), (2, 2 * EVERY)]
    assert kept.history.last == points[-1].n


def test_a_point_says_what_was_counted_until_then(kept: Kept) -> None:
    kept.metrics.hits("product", 200, 6).count(2, 0.001)
    kept.metrics.request("product", 200, "miss", 0.2)
    for code in ("200", "refused"):
        kept.metrics.upstream("api", code, 0.25)
    kept.loop.pass_by()
    before, after = (json.loads(b"{" + point.said) for point in kept.history.after(0))
    assert (before["requests"], before["upstreams"]) == (0, {})
    assert after == {
        "requests": 3,
        "cache": before["cache"] | {"hit": 2, "miss": 1},
        "refused": 0,
        "saved_calls": 2,
        "saved_tokens": 12,
        "tokens": 0,
        "calls": 2,
        "failed": 1,
        "upstreams": {"api": {"calls": 2, "failed": 1, "seconds": 0.5}},
    }


def test_the_busiest_upstreams_are_told_apart_and_the_others_counted(kept: Kept) -> None:
    for number in range(MOST_UPSTREAMS + 1):
        for _ in range(number + 1):
            kept.metrics.upstream(f"api-{number}", "500", 0.25)
    kept.loop.pass_by()
    said = json.loads(b"{" + kept.history.after(0)[-1].said)
    assert len(said["upstreams"]) == MOST_UPSTREAMS
    assert "api-0" not in said["upstreams"]
    assert said["calls"] == said["failed"] == (MOST_UPSTREAMS + 1) * (MOST_UPSTREAMS + 2) // 2


def test_the_last_hour_is_kept(kept: Kept) -> None:
    for _ in range(MOST):
        kept.loop.pass_by()
    assert numbers(kept.history.after(0)) == list(range(kept.first + 1, kept.first + MOST + 1))


@pytest.mark.parametrize(
    ("behind", "points"),
    [
        pytest.param(0, 0, id="the last"),
        pytest.param(1, 1, id="the one before"),
        pytest.param(MOST - 1, MOST - 1, id="the oldest"),
        pytest.param(MOST, MOST, id="the one before the oldest"),
        pytest.param(MOST + 1, MOST, id="older"),
        pytest.param(-1, MOST, id="one that is to come"),
        pytest.param(10**9, MOST, id="a former process'"),
    ],
)
def test_only_what_is_behind_a_known_number(kept: Kept, behind: int, points: int) -> None:
    for _ in range(MOST + 10):
        kept.loop.pass_by()
    last = kept.history.last
    assert numbers(kept.history.after(last - behind)) == list(range(last - points + 1, last + 1))


def test_no_number_of_a_former_process_is_known(kept: Kept) -> None:
    for _ in range(5):
        kept.loop.pass_by()
    later = History(kept.metrics, kept.clock)
    later.start(FakeLoop(kept.clock))
    assert numbers(later.after(kept.history.last)) == [later.last]
    assert later.last > kept.history.last


def test_a_process_that_was_stopped_makes_one_point_when_it_goes_on(kept: Kept) -> None:
    kept.loop.pass_by(3600)
    kept.loop.pass_by()
    assert numbers(kept.history.after(0)) == [kept.first, kept.first + 1, kept.first + 2]


def test_a_wall_clock_that_is_set_back_changes_nothing(kept: Kept) -> None:
    kept.clock.wall_now -= 86400
    kept.loop.pass_by()
    first, second = kept.history.after(0)
    assert second.at - first.at == EVERY


@pytest.mark.parametrize(
    ("jump", "apart"),
    [
        pytest.param(0, EVERY, id="as it should be"),
        pytest.param(28800, EVERY + 28800, id="a machine that slept: its steady time stood still"),
        pytest.param(-3600, EVERY, id="a clock that was set back"),
    ],
)
def test_what_was_before_is_as_long_ago_as_it_was(kept: Kept, jump: float, apart: float) -> None:
    kept.clock.wall_now += jump
    for _ in range(2):
        kept.loop.pass_by()
    first, second, third = moments(kept.history.after(0), kept.clock)
    assert (second - first, third - second, third) == (apart, EVERY, kept.clock.wall())
    assert moments(kept.history.after(kept.history.last - 1), kept.clock) == [third]


def test_no_points_once_closed(kept: Kept) -> None:
    kept.history.close()
    kept.loop.pass_by()
    assert numbers(kept.history.after(0)) == [kept.first]


def test_one_that_never_began_can_be_closed() -> None:
    History(Metrics(no_gauges(), "0"), FakeClock()).close()


def test_a_point_that_fails_is_not_the_last_one(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("gateway.history.in_all", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            kept.loop.pass_by()
    kept.loop.pass_by()
    assert len(kept.history.after(0)) == 2
