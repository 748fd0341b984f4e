"""What an upstream's limits leave for background calls: pauses, what is kept for the foreground, and lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.admission.allowance import Allowance
from gateway.rfc9111.dates import format_date

NOW = 1_768_478_400.0
WALL = NOW + 7200.0
"""The machine's clock has been set forward since the start."""

HOUR = 3600.0


def heard(status: int = 200, **fields: str) -> Allowance:
    """One that has heard an answer at NOW; `X_Rate_Limit_Reset="1"` is the field `X-Rate-Limit-Reset: 1`."""
    allowance = Allowance()
    hear(allowance, NOW, status, **fields)
    return allowance


def hear(allowance: Allowance, now: float, status: int = 200, **fields: str) -> None:
    allowance.hear(status, CIMultiDict({name.replace("_", "-"): value for name, value in fields.items()}), now)


def wait(allowance: Allowance, after: float = 0.0, under_way: int = 0) -> float:
    return round(allowance.wait(NOW + after, WALL + after, under_way), 6)


def test_nothing_heard_stops_nothing() -> None:
    assert wait(Allowance(), under_way=1000) == 0.0
    assert wait(heard(), under_way=1000) == 0.0


PAUSES = [
    pytest.param(429, {"Retry_After": "30"}, 30.0, id="429 with seconds"),
    pytest.param(503, {"Retry_After": "30"}, 30.0, id="503 with seconds"),
    pytest.param(429, {}, 1.0, id="429"),
    pytest.param(503, {}, 0.0, id="503"),
    pytest.param(500, {"Retry_After": "30"}, 0.0, id="another status"),
    pytest.param(202, {"Retry_After": "30"}, 0.0, id="a success"),
    pytest.param(429, {"Retry_After": "0"}, 1.0, id="no time at all"),
    pytest.param(429, {"Retry_After": "86400"}, HOUR, id="a day"),
    pytest.param(429, {"Retry_After": "999999999"}, HOUR, id="as long as there are digits"),
    pytest.param(429, {"Retry_After": "1" + "0" * 12}, 1.0, id="more digits"),
    pytest.param(429, {"Retry_After": "-30"}, 1.0, id="negative"),
    pytest.param(429, {"Retry_After": "later"}, 1.0, id="a word"),
    pytest.param(429, {"Date": format_date(1e9), "Retry_After": format_date(1e9 + 30)}, 30.0, id="a date"),
    pytest.param(429, {"Date": format_date(1e9), "Retry_After": format_date(1e9 - 30)}, 1.0, id="a date in the past"),
    pytest.param(429, {"Date": format_date(1e9), "Retry_After": format_date(2e9)}, HOUR, id="a far date"),
    pytest.param(429, {"Retry_After": format_date(NOW + 30)}, 1.0, id="a date of who knows no date"),
]


@pytest.mark.parametrize(("status", "fields", "pause"), PAUSES)
def test_a_refusal_pauses(status: int, fields: dict[str, str], pause: float) -> None:
    allowance = heard(status, **fields)
    assert wait(allowance) == pause
    assert wait(allowance, pause) == 0.0


def test_pauses_grow_while_one_after_the_other_is_refused() -> None:
    allowance, at, pauses = Allowance(), 0.0, []
    for _ in range(1100):
        hear(allowance, NOW + at, 429)
        pauses.append(wait(allowance, at))
        at += pauses[-1]
    assert pauses[:11] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]
    assert set(pauses[11:]) == {300.0}


def test_a_short_wish_that_is_never_true_grows_as_well() -> None:
    allowance, at, pauses = Allowance(), 0.0, []
    for _ in range(5):
        hear(allowance, NOW + at, 429, Retry_After="3")
        pauses.append(wait(allowance, at))
        at += pauses[-1]
    assert pauses == [3.0, 3.0, 4.0, 8.0, 16.0]


def test_refusals_of_one_crowd_are_one() -> None:
    allowance = Allowance()
    for _ in range(100):
        hear(allowance, NOW, 429)
    assert wait(allowance) == 1.0
    hear(allowance, NOW + 1.0, 429)
    assert wait(allowance, 1.0) == 2.0


def test_the_longest_wish_holds() -> None:
    allowance = heard(429, Retry_After="60")
    hear(allowance, NOW + 1.0, 429, Retry_After="5")
    hear(allowance, NOW + 2.0, 200)
    assert wait(allowance, 2.0) == 58.0


def test_an_answer_after_the_pause_ends_the_growth_and_one_before_its_end_does_not() -> None:
    allowance = heard(429)
    hear(allowance, NOW + 0.5, 200)
    hear(allowance, NOW + 1.0, 429)
    assert wait(allowance, 1.0) == 2.0
    hear(allowance, NOW + 3.0, 503)
    hear(allowance, NOW + 3.0, 404)
    hear(allowance, NOW + 3.0, 429)
    assert wait(allowance, 3.0) == 1.0


def test_after_a_pause_one_finds_out() -> None:
    allowance = heard(429)
    assert wait(allowance, 1.0) == 0.0
    assert wait(allowance, 1.0, under_way=1) > 0.0
    hear(allowance, NOW + 1.5, 200)
    assert wait(allowance, 1.5, under_way=1) == 0.0


def limited(remaining: int | str, limit: int | str | None = 40, reset: int | str | None = 20) -> Allowance:
    fields = {"Limit": limit, "Remaining": remaining, "Reset": reset}
    return heard(200, **{f"X_Rate_Limit_{name}": str(value) for name, value in fields.items() if value is not None})


@pytest.mark.parametrize(
    ("remaining", "limit", "under_way", "stopped"),
    [
        pytest.param(40, 40, 0, False, id="all of it"),
        pytest.param(9, 40, 0, False, id="one more than the fifth that is kept"),
        pytest.param(8, 40, 0, True, id="the fifth that is kept"),
        pytest.param(0, 40, 0, True, id="nothing"),
        pytest.param(12, 40, 3, False, id="enough beside those under way"),
        pytest.param(12, 40, 4, True, id="not enough beside those under way"),
        pytest.param(2, 4, 0, False, id="a small limit keeps one"),
        pytest.param(1, 4, 0, True, id="one"),
        pytest.param(1, 1, 0, True, id="the only one is the foreground's"),
        pytest.param(2, None, 0, False, id="an unknown limit keeps one"),
        pytest.param(1, None, 0, True, id="one of an unknown limit"),
        pytest.param(50, 40, 0, False, id="more left than there are"),
        pytest.param(10**12, 40, 10**6, False, id="far more"),
    ],
)
def test_a_share_is_kept_for_the_foreground_until_the_limit_begins_anew(
    remaining: int, limit: int | None, under_way: int, stopped: bool
) -> None:
    allowance = limited(remaining, limit)
    assert wait(allowance, under_way=under_way) == (20.0 if stopped else 0.0)
    assert wait(allowance, 5.0, under_way) == (15.0 if stopped else 0.0)
    assert wait(allowance, 20.0) == 0.0


def test_a_new_limit_is_taken_for_whole_until_it_is_heard_of() -> None:
    allowance = limited(0)
    assert wait(allowance, 20.0, under_way=31) == 0.0
    assert 0.0 < wait(allowance, 20.0, under_way=32) <= 1.0
    hear(allowance, NOW + 21.0, X_Rate_Limit_Limit="40", X_Rate_Limit_Remaining="8", X_Rate_Limit_Reset="39")
    assert wait(allowance, 21.0) == 39.0


@pytest.mark.parametrize("limit", [0, 1])
def test_one_at_a_time_finds_out_of_a_limit_that_leaves_nothing(limit: int) -> None:
    allowance = limited(0, limit)
    assert wait(allowance, 20.0) == 0.0
    assert wait(allowance, 20.0, under_way=1) > 0.0


def test_an_unknown_limit_that_begins_anew_bounds_nothing() -> None:
    assert wait(limited(0, None), 20.0, under_way=1000) == 0.0


@pytest.mark.parametrize(
    ("reset", "pause"),
    [
        pytest.param(None, 60.0, id="none"),
        pytest.param("soon", 60.0, id="garbage"),
        pytest.param("-5", 60.0, id="negative"),
        pytest.param("0", 1.0, id="at once"),
        pytest.param("86400", HOUR, id="a day"),
        pytest.param(str(int(WALL) + 30), 30.0, id="a date"),
        pytest.param(str(int(WALL) - 30), 1.0, id="a date in the past"),
        pytest.param("1000000000000", 1.0, id="10^12"),
        pytest.param("9999-12-31T00:00:00Z", HOUR, id="a far date"),
    ],
)
def test_the_end_of_a_limit_is_believed_within_bounds(reset: str | None, pause: float) -> None:
    assert wait(limited(0, reset=reset)) == pause


def test_a_date_is_held_against_the_clock_of_when_it_was_heard() -> None:
    allowance = limited(0, reset=str(int(WALL) + 30))
    assert wait(allowance, 10.0) == 20.0


@pytest.mark.parametrize("remaining", ["-1", "none", ""])
def test_what_cannot_be_read_stops_nothing(remaining: str) -> None:
    assert wait(limited(remaining)) == 0.0


def test_a_limit_that_no_number_can_have_stops_it_for_an_hour_at_most() -> None:
    assert wait(limited(100, 10**12, 10**8)) == HOUR


def test_the_latest_answer_that_says_something_counts() -> None:
    allowance = limited(0)
    hear(allowance, NOW + 1.0, 304)
    assert wait(allowance, 1.0) == 19.0
    hear(allowance, NOW + 2.0, X_Rate_Limit_Limit="40", X_Rate_Limit_Remaining="40", X_Rate_Limit_Reset="1")
    assert wait(allowance, 2.0) == 0.0


def test_the_tightest_of_several_limits_counts() -> None:
    policies = '"burst";q=10;w=1, "day";q=1000;w=86400'
    allowance = heard(RateLimit='"burst";r=0;t=1, "day";r=200;t=900', RateLimit_Policy=policies)
    assert wait(allowance) == 900.0
    allowance = heard(RateLimit='"burst";r=0;t=1, "day";r=201;t=900', RateLimit_Policy=policies)
    assert wait(allowance) == 1.0


def test_a_refusal_and_a_limit_both_hold() -> None:
    allowance = heard(429, X_Rate_Limit_Limit="40", X_Rate_Limit_Remaining="0", X_Rate_Limit_Reset="20")
    assert wait(allowance) == 20.0
    allowance = heard(429, Retry_After="30", X_Rate_Limit_Remaining="0", X_Rate_Limit_Reset="20")
    assert wait(allowance) == 30.0


NUMBERS = st.integers(-(10**13), 10**13).map(str)
ANSWERS = st.tuples(
    st.sampled_from([200, 304, 404, 429, 500, 503]),
    st.dictionaries(
        st.sampled_from(
            ["Retry-After", "X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "RateLimit"]
        ),
        NUMBERS | st.text(max_size=20),
    ),
    st.floats(0.0, 5000.0),
)


@given(st.lists(ANSWERS), st.integers(0, 100))
def test_nothing_stops_it_for_longer_than_an_hour(
    answers: list[tuple[int, dict[str, str], float]], under_way: int
) -> None:
    allowance, now = Allowance(), NOW
    for status, fields, pause in answers:
        now += pause
        allowance.hear(status, CIMultiDict(fields), now)
        assert 0.0 <= allowance.wait(now, now, under_way) <= HOUR + 1e-3
    assert allowance.wait(now + HOUR + 1e-3, now, 0) == 0.0
