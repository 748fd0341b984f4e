from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.charge import Charge
from gateway.answers.limits import TokenForm, token_form, token_lines

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
WHOLE = Charge(
    tokens=9,
    remaining=1991,
    quota=2000,
    window=2_678_400,
    renews_at=NOW + 12_345,
    throttle_limit=600,
    throttle_window=60,
    throttle_remaining=599,
    throttle_reset=1,
)


def fields(charge: Charge, now: float = NOW) -> dict[str, str]:
    lines = token_lines(charge, now).decode()
    assert lines.endswith("\r\n")
    pairs = [line.split(": ", 1) for line in lines.removesuffix("\r\n").split("\r\n")]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_the_whole_set() -> None:
    assert fields(WHOLE) == {
        "X-Tokens-Consumed": "9",
        "X-Tokens-Remaining": "1991",
        "X-RateLimit-Tokens-Remaining": "1991",
        "RateLimit-Policy": '"tokens";q=2000;w=2678400, "throttle";q=600;w=60',
        "RateLimit": '"tokens";r=1991;t=12345, "throttle";r=599;t=1',
        "X-RateLimit-Throttle-Limit": "600",
        "X-RateLimit-Throttle-Remaining": "599",
        "X-RateLimit-Reset": "2026-01-01T03:25:45Z",
    }


@pytest.mark.parametrize(
    ("charge", "expected"),
    [
        pytest.param(Charge(6), {"X-Tokens-Consumed": "6"}, id="unlimited"),
        pytest.param(
            Charge(0, remaining=0, quota=50),
            {
                "X-Tokens-Consumed": "0",
                "X-Tokens-Remaining": "0",
                "X-RateLimit-Tokens-Remaining": "0",
                "RateLimit-Policy": '"tokens";q=50',
                "RateLimit": '"tokens";r=0',
            },
            id="prepaid",
        ),
        pytest.param(
            Charge(1, throttle_limit=5, throttle_window=1, throttle_remaining=0, throttle_reset=1),
            {
                "X-Tokens-Consumed": "1",
                "RateLimit-Policy": '"throttle";q=5;w=1',
                "RateLimit": '"throttle";r=0;t=1',
                "X-RateLimit-Throttle-Limit": "5",
                "X-RateLimit-Throttle-Remaining": "0",
            },
            id="throttle-alone",
        ),
    ],
)
def test_what_is_absent_is_left_out(charge: Charge, expected: dict[str, str]) -> None:
    assert fields(charge) == expected


def test_the_form_is_one_for_all_under_the_same_limits_and_moves_with_the_clock() -> None:
    form = token_form(WHOLE.limits)
    assert form is token_form(replace(WHOLE, tokens=1, remaining=5, throttle_remaining=3).limits)
    assert form is not token_form(replace(WHOLE, quota=1).limits)
    for later in (0.0, 0.5, 1.0, 12_344.5, 12_345.0, 20_000.0, 0.5, -1.0):
        lines = form.lines(9, 1991, 599, 1, NOW + later)
        assert lines == TokenForm(WHOLE.limits).lines(9, 1991, 599, 1, NOW + later)
        assert b'"tokens";r=1991;t=%d,' % max(0, ceil(12_345 - later)) in lines


@given(
    st.integers(0, 2**62),
    st.none() | st.integers(0, 2**62),
    st.none() | st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)),
    st.none() | st.floats(0, 4e9),
    st.floats(0, 4e9),
)
def test_every_number_is_where_it_belongs(
    tokens: int, remaining: int | None, throttle: tuple[int, int] | None, renews_at: float | None, now: float
) -> None:
    left, full = throttle or (None, None)
    quota, limit = None if remaining is None else 7, None if throttle is None else 8
    renews_at = None if remaining is None else renews_at
    told = fields(Charge(tokens, remaining, quota, None, renews_at, limit, limit, left, full), now)
    assert told["X-Tokens-Consumed"] == str(tokens)
    spent = told.get("X-Tokens-Remaining"), told.get("X-RateLimit-Tokens-Remaining")
    assert spent == ((None, None) if remaining is None else (str(remaining),) * 2)
    assert told.get("X-RateLimit-Throttle-Remaining") == (None if left is None else str(left))
    seconds = "" if renews_at is None else f";t={max(0, ceil(renews_at - now))}"
    items = [] if remaining is None else [f'"tokens";r={remaining}{seconds}']
    items += [] if throttle is None else [f'"throttle";r={left};t={full}']
    assert told.get("RateLimit", "") == ", ".join(items)


@pytest.mark.parametrize(
    ("later", "seconds"),
    [
        pytest.param(0.0, 12_345, id="whole"),
        pytest.param(0.1, 12_345, id="rounded-up"),
        pytest.param(12_345.0, 0, id="due"),
        pytest.param(99_999.0, 0, id="past"),
    ],
)
def test_seconds_until_the_grant(later: float, seconds: int) -> None:
    assert f'"tokens";r=1991;t={seconds},' in fields(WHOLE, NOW + later)["RateLimit"]


def test_a_renewal_within_a_second_is_told_rounded_up() -> None:
    assert fields(replace(WHOLE, renews_at=NOW + 0.5))["X-RateLimit-Reset"] == "2026-01-01T00:00:01Z"


@pytest.mark.parametrize(
    ("charge", "whole"),
    [(WHOLE, True), (Charge(1), False), (replace(WHOLE, throttle_limit=None, throttle_window=None), False)],
    ids=["whole", "neither", "no throttle"],
)
def test_a_form_that_tells_of_tokens_and_a_throttle_is_whole(charge: Charge, whole: bool) -> None:
    assert token_form(charge.limits).whole is whole
