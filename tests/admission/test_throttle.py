from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.snapshot import Rate, ThrottlePolicy
from gateway.admission.throttle import SlidingWindow, TokenBucket

START = 1_768_478_400.0
# Steps that a binary fraction holds exactly, so that a model can be exact too; some go backwards.
STEPS = st.lists(st.integers(-40, 200).map(lambda n: n / 16), min_size=1, max_size=60)
POLICIES = st.builds(
    ThrottlePolicy, st.builds(Rate, st.integers(1, 50), st.sampled_from([1.0, 60.0, 3600.0])), st.integers(1, 20)
)
RATES = st.builds(Rate, st.integers(1, 6), st.sampled_from([1.0, 2.5, 10.0]))


def times(steps: list[float]) -> list[float]:
    now, found = START, []
    for step in steps:
        now += step
        found.append(now)
    return found


@given(POLICIES, STEPS)
def test_bucket_takes_exactly_when_an_exact_one_would(policy: ThrottlePolicy, steps: list[float]) -> None:
    bucket, level, latest = TokenBucket(policy), Fraction(policy.burst), Fraction(START - 1000)
    speed = Fraction(policy.rate.count) / Fraction(policy.rate.seconds)
    for now in times(steps):
        passed = max(Fraction(0), Fraction(now) - latest)
        level, latest = min(Fraction(policy.burst), level + passed * speed), latest + passed
        assert bucket.take(now) == (level >= 1)
        level -= level >= 1
        assert bucket.state(now)[0] == level // 1


@given(POLICIES, STEPS)
def test_bucket_never_takes_more_than_burst_and_rate_in_any_span(policy: ThrottlePolicy, steps: list[float]) -> None:
    bucket, latest, taken = TokenBucket(policy), START - 1000, list[Fraction]()
    for now in times(steps):
        latest = max(latest, now)
        if bucket.take(now):
            taken.append(Fraction(latest))
    speed = Fraction(policy.rate.count) / Fraction(policy.rate.seconds)
    for first, begin in enumerate(taken):
        for last, end in enumerate(taken[first:], first):
            assert last - first + 1 <= policy.burst + (end - begin) * speed


@given(POLICIES, STEPS)
def test_bucket_has_room_after_the_wait_and_not_before(policy: ThrottlePolicy, steps: list[float]) -> None:
    bucket = TokenBucket(policy)
    now = max(START, *times(steps))
    while bucket.take(now):
        pass
    wait = bucket.wait(now)
    assert wait > 0
    assert not bucket.take(now + wait * 0.999)
    assert bucket.take(now + wait * 1.001 + 1e-6)


@given(POLICIES, STEPS, st.integers(1, 25))
def test_bucket_spent_from_tells_its_state_after_each_it_had_room_for(
    policy: ThrottlePolicy, steps: list[float], most: int
) -> None:
    spent, taken = TokenBucket(policy), TokenBucket(policy)
    for now in times(steps):
        states = [taken.state(now) for _ in range(most) if taken.take(now)]
        assert spent.spend(now, most) == states
        assert spent.state(now) == taken.state(now)


def test_bucket_given_back_is_as_if_never_taken() -> None:
    bucket = TokenBucket(ThrottlePolicy(Rate(60, 60.0), 3))
    assert [bucket.take(START) for _ in range(4)] == [True, True, True, False]
    bucket.give_back()
    assert bucket.state(START) == (1, 2)
    for _ in range(5):
        bucket.give_back()
    assert bucket.state(START) == (3, 0)


def test_bucket_is_given_back_several_at_once() -> None:
    bucket = TokenBucket(ThrottlePolicy(Rate(60, 60.0), 3))
    assert [bucket.take(START) for _ in range(3)] == [True] * 3
    bucket.give_back(2)
    assert bucket.state(START) == (2, 1)
    bucket.give_back(2)
    assert bucket.state(START) == (3, 0)


@pytest.mark.parametrize(
    ("after", "state"),
    [
        pytest.param(0.0, (0, 5), id="empty"),
        pytest.param(0.25, (0, 5), id="a part of one, whole seconds rounded up"),
        pytest.param(0.5, (1, 5), id="one"),
        pytest.param(4.5, (9, 1), id="nearly full"),
        pytest.param(5.0, (10, 0), id="full"),
        pytest.param(5000.0, (10, 0), id="no more than full"),
        pytest.param(-10.0, (0, 5), id="backwards"),
    ],
)
def test_bucket_state(after: float, state: tuple[int, int]) -> None:
    bucket = TokenBucket(ThrottlePolicy(Rate(120, 60.0), 10))
    for _ in range(10):
        assert bucket.take(START)
    assert bucket.state(START + after) == state


def test_bucket_waits_for_nothing_while_there_is_room() -> None:
    assert TokenBucket(ThrottlePolicy(Rate(1, 60.0), 1)).wait(START) == 0


@given(RATES, STEPS)
def test_window_admits_exactly_when_every_window_stays_within_its_count(rate: Rate, steps: list[float]) -> None:
    window, latest, admitted = SlidingWindow(rate), START - 1000, list[float]()
    for now in times(steps):
        latest = max(latest, now)
        fits = sum(latest - time <= rate.seconds for time in admitted) < rate.count
        assert window.admit(now) == fits
        if fits:
            admitted.append(latest)
    for begin in admitted:
        assert sum(begin <= time <= begin + rate.seconds for time in admitted) <= rate.count


@given(RATES, STEPS)
def test_window_has_room_later_than_the_wait_and_not_before(rate: Rate, steps: list[float]) -> None:
    window = SlidingWindow(rate)
    for now in times(steps):
        window.admit(now)
    now = max(times(steps))
    wait = window.wait(now)
    if wait > 0:
        assert not window.admit(now + wait)
    assert window.admit(now + wait + 1e-6)


def test_window_both_ends_count() -> None:
    window = SlidingWindow(Rate(2, 60.0))
    assert window.admit(START)
    assert window.admit(START + 30)
    assert not window.admit(START + 60)
    assert window.wait(START + 60) == 0
    assert window.admit(START + 60.001)
    assert not window.admit(START + 60.002)
    assert window.wait(START + 60.25) == pytest.approx(29.75)


def test_window_set_back_admits_no_more() -> None:
    window = SlidingWindow(Rate(1, 60.0))
    assert window.admit(START)
    assert window.admit(START + 61)
    assert not window.admit(START + 30)
    assert not window.admit(START + 100)
    assert window.wait(START + 200) == 0
    assert window.admit(START + 130)
    assert not window.admit(START + 250)


def test_window_undo_takes_the_newest_back() -> None:
    window = SlidingWindow(Rate(2, 60.0))
    window.undo()
    assert window.admit(START)
    assert window.admit(START + 1)
    window.undo()
    assert window.times == (START,)
    assert window.admit(START + 2)
    assert not window.admit(START + 2)


def test_window_restored_counts_what_was_before() -> None:
    window = SlidingWindow(Rate(2, 60.0))
    window.restore([START - 10, START - 70, START - 20, START - 30])
    assert not window.admit(START)
    assert window.wait(START) == 40
    assert not window.admit(START + 40)
    assert window.admit(START + 41)
    assert all(earlier <= later for earlier, later in pairwise(window.times))


def test_room_counts_what_may_still_come() -> None:
    window = SlidingWindow(Rate(2, 60.0))
    assert window.room(0.0) == 2
    assert window.admit(0.0)
    window.restore([0.0, 1.0, 2.0])
    assert (window.room(2.0), window.room(60.5), window.room(61.5), window.room(62.5)) == (0, 0, 1, 2)
