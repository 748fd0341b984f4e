"""A throttle counted in Redis's whole numbers says what the token bucket says."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.snapshot import Rate, ThrottlePolicy
from gateway.admission.throttle import TokenBucket
from gateway.till.measure import Measure

WINDOWS = st.sampled_from([1.0, 60.0, 3600.0, 86_400.0])
POLICIES = st.builds(ThrottlePolicy, st.builds(Rate, st.integers(1, 10**9 - 1), WINDOWS), st.integers(1, 10**9))


@given(POLICIES)
def test_nothing_is_rounded(policy: ThrottlePolicy) -> None:
    measure = Measure(policy)
    assert measure.capacity == policy.burst * measure.cost < 2**52
    rate = Fraction(measure.gain * 1_000_000, measure.cost * measure.tick)
    assert rate == Fraction(policy.rate.count) / Fraction(policy.rate.seconds)


@given(POLICIES, st.integers(0, 10**6))
def test_it_says_what_the_token_bucket_says(policy: ThrottlePolicy, taken: int) -> None:
    measure, bucket, taken = Measure(policy), TokenBucket(policy), min(taken, policy.burst, 100)
    states = bucket.spend(0.0, taken)
    level = measure.capacity - taken * measure.cost
    assert measure.states(level, taken) == states
    assert measure.state(level) == bucket.state(0.0)
    assert measure.wait(level) == pytest.approx(bucket.wait(0.0))


def test_names_tell_settings_apart() -> None:
    names = {
        Measure(ThrottlePolicy(Rate(count, seconds), burst)).policy
        for count, seconds, burst in [(1, 60.0, 5), (1, 60.0, 6), (2, 60.0, 5), (1, 1.0, 5)]
    }
    assert len(names) == 4
