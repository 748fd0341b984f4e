from dataclasses import replace

import pytest

from gateway.admission.charge import Charge
from gateway.answers.limits import token_lines

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
            Charge(1, throttle_limit=5, throttle_window=1, throttle_remaining=0),
            {
                "X-Tokens-Consumed": "1",
                "RateLimit-Policy": '"throttle";q=5;w=1',
                "RateLimit": '"throttle";r=0',
                "X-RateLimit-Throttle-Limit": "5",
                "X-RateLimit-Throttle-Remaining": "0",
            },
            id="throttle-alone",
        ),
        pytest.param(
            Charge(1, remaining=7),
            {"X-Tokens-Consumed": "1", "X-Tokens-Remaining": "7", "X-RateLimit-Tokens-Remaining": "7"},
            id="balance-without-grant",
        ),
    ],
)
def test_what_is_absent_is_left_out(charge: Charge, expected: dict[str, str]) -> None:
    assert fields(charge) == expected


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
