"""Pauses: doubled, capped, and half of them drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.background import RetryPolicy
from gateway.admission.backoff import pause

RETRY = RetryPolicy(first=1.0, longest=60.0)


@pytest.mark.parametrize(
    ("attempts", "share", "seconds"),
    [
        pytest.param(1, 0.0, 0.5, id="the first, at least"),
        pytest.param(1, 0.5, 0.75, id="the first, halfway"),
        pytest.param(2, 0.0, 1.0, id="doubled"),
        pytest.param(4, 0.5, 6.0, id="doubled thrice"),
        pytest.param(7, 0.0, 30.0, id="capped"),
        pytest.param(10**9, 0.5, 45.0, id="capped after very many"),
    ],
)
def test_pauses(attempts: int, share: float, seconds: float) -> None:
    assert pause(RETRY, attempts, share) == seconds


@given(
    first=st.floats(0.001, 3600),
    longest=st.floats(0.001, 1e6),
    attempts=st.integers(1, 10_000),
    share=st.floats(0, 1, exclude_max=True),
)
def test_bounds(first: float, longest: float, attempts: int, share: float) -> None:
    retry = RetryPolicy(first=first, longest=longest)
    seconds = pause(retry, attempts, share)
    assert min(first, longest) / 2 <= seconds <= longest
    assert pause(retry, attempts + 1, share) >= seconds
