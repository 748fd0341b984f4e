"""Whether an operation would be admitted: told without taking anything, and as it is then admitted or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.metering import FULL, LOOKUP, OPTIONS, Rig, Start, account

from gateway.admission.charge import Quote
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Problem

pytestmark = pytest.mark.slow

TIGHT = account(Plan("tight", 40, Every.month, ThrottlePolicy(Rate(6, 60.0), 4)), cap=Rate(2, 60.0))
STEPS = st.lists(st.tuples(st.sampled_from([LOOKUP, OPTIONS, FULL]), st.floats(0, 20)), max_size=12)


def admitted(rig: Rig, who: Account, quote: Quote) -> Problem | None:
    try:
        rig.reserve(who, quote)
    except Problem as problem:
        return problem
    return None


async def test_what_is_told_comes_true_and_takes_nothing(start: Start) -> None:
    @given(STEPS)
    def run(steps: list[tuple[Quote, float]]) -> None:
        rig = start(TIGHT)
        for quote, seconds in steps:
            before = rig.meter.balance(TIGHT)
            told = rig.meter.refusal(TIGHT, quote.total, forced=quote.forced)
            assert rig.meter.balance(TIGHT) == before
            refused = admitted(rig, TIGHT, quote)
            assert (told is None) is (refused is None)
            if told is not None and refused is not None:
                assert (told.reason, told.retry_after) == (refused.reason, refused.retry_after)
            rig.clock.advance(seconds)

    run()


async def test_without_limits_all_is_admitted(start: Start) -> None:
    free = account(Plan("free"))
    assert start(free).meter.refusal(free, 10**9, forced=True) is None
