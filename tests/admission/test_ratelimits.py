"""What answers say of rate limits, as APIs write it, and as nobody should."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.admission.ratelimits import TELLING, RateLimit, rate_limits, tells
from gateway.rfc9111.dates import format_date

WALL = 1_768_478_400.0
"""2026-01-15 12:00 UTC."""


def said(*fields: tuple[str, str]) -> tuple[RateLimit, ...]:
    return rate_limits(CIMultiDict(fields), WALL)


@pytest.mark.parametrize("prefix", ["X-Rate-Limit", "X-RateLimit", "RateLimit", "x-ratelimit"])
def test_three_fields_make_a_limit(prefix: str) -> None:
    written = ((f"{prefix}-Limit", "40"), (f"{prefix}-Remaining", "38"), (f"{prefix}-Reset", "17"))
    assert tells(CIMultiDict(written))
    assert said(*written) == (RateLimit(38, 40, 17.0),)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        pytest.param("17", 17.0, id="seconds"),
        pytest.param("0", 0.0, id="at once"),
        pytest.param("2.75", 2.0, id="a fraction"),
        pytest.param(" 17 ", 17.0, id="blanks"),
        pytest.param("17, 60;w=3600", 17.0, id="the first of a list"),
        pytest.param("999999999", 999_999_999.0, id="the longest time that is no date"),
        pytest.param("1768478430", 30.0, id="epoch seconds"),
        pytest.param("1768478430.123", 30.0, id="epoch seconds with a fraction"),
        pytest.param("1768478430500", 30.5, id="epoch milliseconds"),
        pytest.param("1768478370", -30.0, id="epoch seconds in the past"),
        pytest.param("2026-01-15T12:00:30Z", 30.0, id="ISO"),
        pytest.param("2026-01-15T12:00:30.250Z", 30.25, id="ISO with a fraction"),
        pytest.param("2026-01-15 12:00:30", 30.0, id="ISO without a zone"),
        pytest.param("2026-01-15T04:00:30-08:00", 30.0, id="ISO with an offset"),
        pytest.param("Thu, 15 Jan 2026 12:00:30 GMT", 30.0, id="HTTP's"),
        pytest.param("", None, id="empty"),
        pytest.param("-17", None, id="negative"),
        pytest.param("soon", None, id="a word"),
        pytest.param("1m30s", None, id="a duration"),
        pytest.param("9" * 16, None, id="too many digits"),
        pytest.param("1" + "," * 2000, None, id="too long"),
        pytest.param("١٧", None, id="digits of another script"),
    ],
)
def test_the_end_is_a_time_or_a_date(reset: str, seconds: float | None) -> None:
    assert said(("X-RateLimit-Remaining", "3"), ("X-RateLimit-Reset", reset)) == (RateLimit(3, None, seconds),)


def test_dates_count_from_the_answers_own() -> None:
    date = ("Date", format_date(WALL - 3600))
    for reset in ("1768474830", "2026-01-15T11:00:30Z", "Thu, 15 Jan 2026 11:00:30 GMT"):
        assert said(date, ("X-RateLimit-Remaining", "3"), ("X-RateLimit-Reset", reset)) == (RateLimit(3, None, 30.0),)


@pytest.mark.parametrize("remaining", ["", "-1", "many", "9" * 16, "0x10", "5 of 40"])
def test_what_is_left_must_be_a_number(remaining: str) -> None:
    assert said(("X-RateLimit-Limit", "40"), ("X-RateLimit-Remaining", remaining)) == ()


@pytest.mark.parametrize(
    ("limit", "total"), [("40", 40), ("100, 100;w=60", 100), ("-40", None), ("none", None)], ids=str
)
def test_a_total_that_is_no_number_is_unknown(limit: str, total: int | None) -> None:
    assert said(("RateLimit-Limit", limit), ("RateLimit-Remaining", "3")) == (RateLimit(3, total, None),)


DRAFTS = [
    pytest.param('"default";r=50;t=30', '"default";q=100;w=60', (RateLimit(50, 100, 30),), id="policy and limit"),
    pytest.param('"default";r=50', '"default";q=100;w=60', (RateLimit(50, 100, 60),), id="no time but the window's"),
    pytest.param('"default";r=50;t=30', "", (RateLimit(50, None, 30),), id="no policy"),
    pytest.param("default;r=50;t=30", '"default";q=100', (RateLimit(50, 100, 30),), id="tokens for names"),
    pytest.param(
        '"day";r=9;t=80000, "burst";r=0;t=1',
        '"burst";q=10;w=1,"day";q=100;w=86400',
        (RateLimit(9, 100, 80_000), RateLimit(0, 10, 1)),
        id="two",
    ),
    pytest.param('"b";r=50;t=30', '"b";q=100;qu="content-bytes"', (), id="of bytes"),
    pytest.param('"b";r=50;t=30', '"b";q=100;qu="requests"', (RateLimit(50, 100, 30),), id="of requests"),
    pytest.param('"a";t=30', "", (), id="nothing left is said"),
    pytest.param('"a";r=-1;t=30', "", (), id="less than nothing"),
    pytest.param('"a";r=?1;t=30', "", (), id="a boolean"),
    pytest.param('"a";r=5.5;t=30', "", (), id="a fraction"),
    pytest.param('"a";r=5;t=-30', "", (RateLimit(5, None, None),), id="a negative time"),
    pytest.param('"a";r=5;t=30', '"a";q="much"', (RateLimit(5, None, 30),), id="a policy that says nothing"),
    pytest.param('"a";r=5;t=30', "100;w=60", (RateLimit(5, None, 30),), id="a policy of the first versions"),
    pytest.param('"a";r=5;t=30', '"a";;;', (RateLimit(5, None, 30),), id="a policy that cannot be read"),
    pytest.param('12;r=5, ("a" "b");r=5, :YQ==:;r=5', "", (), id="no names"),
    pytest.param("limit=100, remaining=50, reset=5", "100;w=60", (RateLimit(50, 100, 5),), id="a dictionary"),
    pytest.param("remaining=50", "", (RateLimit(50, None, None),), id="a dictionary in short"),
    pytest.param("limit=100, reset=5", "", (), id="a dictionary that says nothing"),
    pytest.param("", "", (), id="empty"),
    pytest.param("???", "", (), id="garbage"),
    pytest.param('"' + "a" * 2000 + '";r=5', "", (), id="too long"),
    pytest.param("é;r=5", "", (), id="not in ASCII"),
]


@pytest.mark.parametrize(("limits", "policies", "found"), DRAFTS)
def test_the_drafts_structured_fields(limits: str, policies: str, found: tuple[RateLimit, ...]) -> None:
    assert said(("RateLimit", limits), ("RateLimit-Policy", policies)) == found


def test_repeated_lines_of_a_structured_field_are_one_list() -> None:
    assert said(("RateLimit", '"a";r=1'), ("RateLimit", '"b";r=2')) == (RateLimit(1), RateLimit(2))


def test_all_kinds_count() -> None:
    fields = (("X-Rate-Limit-Remaining", "1"), ("X-RateLimit-Remaining", "2"), ("RateLimit", '"a";r=3'))
    assert said(*fields) == (RateLimit(1), RateLimit(2), RateLimit(3))


@pytest.mark.parametrize("name", ["Retry-After", "X-RateLimit-Limit", "X-Rate-Limit-Reset", "RateLimit-Policy"])
def test_other_fields_say_nothing_of_what_is_left(name: str) -> None:
    assert not tells(CIMultiDict({name: "1"}))
    assert said((name, "1")) == ()


NUMBERS = st.one_of(
    st.integers().map(str), st.floats().map(str), st.sampled_from(["-1", "1e999", "0001-01-01", "9999-12-31T23:59:59Z"])
)
NAMES = st.sampled_from(
    [*TELLING, "X-Rate-Limit-Limit", "X-RateLimit-Reset", "RateLimit-Reset", "RateLimit-Policy", "Date"]
)
VALUES = st.one_of(NUMBERS, st.text(), st.datetimes().map(str), st.text('"ab;,=rtqw 0123456789()?:@', max_size=40))


@given(st.lists(st.tuples(NAMES, VALUES)), st.floats(0.0, 4e9))
@example([("X-RateLimit-Remaining", "1"), ("X-RateLimit-Reset", "0001-01-01T00:00:00+23:59")], WALL)
@example([("X-RateLimit-Remaining", "1"), ("X-RateLimit-Reset", "9999-12-31T23:59:59-23:59")], WALL)
@example([("RateLimit", "\ud800")], WALL)
def test_whatever_is_written_is_read_as_something_sensible(fields: list[tuple[str, str]], wall: float) -> None:
    for limit in rate_limits(CIMultiDict(fields), wall):
        assert limit.remaining >= 0
        assert limit.total is None or limit.total >= 0
        assert limit.seconds is None or abs(limit.seconds) < 1e15
