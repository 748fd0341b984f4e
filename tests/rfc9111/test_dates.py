"""RFC 9110 §5.6.7, read as RFC 9111 §4.2 asks, and §10.2.3."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.dates import format_date, parse_date, retry_after

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC).timestamp()
EXAMPLE = 784111777.0  # the RFC's own example, 1994-11-06 08:49:37


def seconds(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE, id="5.6.7-imf-fixdate"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE, id="5.6.7-rfc850"),
        pytest.param("Sun Nov  6 08:49:37 1994", EXAMPLE, id="5.6.7-asctime"),
        pytest.param("Wed Nov 16 08:49:37 1994", EXAMPLE + 10 * 86400, id="5.6.7-asctime-two-digit-day"),
        pytest.param("  Sun, 06 Nov 1994 08:49:37 GMT\t", EXAMPLE, id="5.6.7-surrounding-blanks"),
        pytest.param("sUN, 06 nOV 1994 08:49:37 gmt", EXAMPLE, id="RFC9111-4.2-case-insensitive"),
        pytest.param("Mon, 06 Nov 1994 08:49:37 GMT", EXAMPLE, id="5.6.7-wrong-day-name"),
        pytest.param("Sat, 31 Dec 2016 23:59:60 GMT", seconds(2016, 12, 31, 23, 59, 59), id="5.6.7-leap-second"),
        pytest.param("Sunday, 15-Jun-76 12:00:00 GMT", seconds(2076, 6, 15, 12), id="5.6.7-fifty-years-ahead"),
        pytest.param("Sunday, 15-Jun-76 12:00:01 GMT", seconds(1976, 6, 15, 12, 0, 1), id="5.6.7-more-than-fifty"),
        pytest.param("Sunday, 15-Jun-77 12:00:00 GMT", seconds(1977, 6, 15, 12), id="5.6.7-fifty-one"),
        pytest.param("Sunday, 15-Jun-26 12:00:00 GMT", seconds(2026, 6, 15, 12), id="5.6.7-this-year"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 UTC", None, id="RFC9111-4.2-zone-utc"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 +0000", None, id="RFC9111-4.2-zone-offset"),
        pytest.param("Sun, 06 Nov 1994 08:49:37", None, id="RFC9111-4.2-no-zone"),
        pytest.param("Sun, 06 Nov 94 08:49:37 GMT", None, id="5.6.7-imf-two-digit-year"),
        pytest.param("Sun, 06-Nov-1994 08:49:37 GMT", None, id="5.6.7-dashes"),
        pytest.param("Sun 06 Nov 1994 08:49:37 GMT", None, id="5.6.7-no-comma"),
        pytest.param("Sun, 06  Nov 1994 08:49:37 GMT", None, id="5.6.7-two-blanks"),
        pytest.param("Sun, 6 Nov 1994 08:49:37 GMT", None, id="5.6.7-one-digit-day"),
        pytest.param("Sun, 06 Nov 1994 8:49:37 GMT", None, id="5.6.7-one-digit-hour"),
        pytest.param("Sun, 06 Nov 1994 24:00:00 GMT", None, id="5.6.7-hour-24"),
        pytest.param("Sun, 06 Nov 1994 08:49:61 GMT", None, id="5.6.7-second-61"),
        pytest.param("Sun, 29 Feb 2025 08:49:37 GMT", None, id="5.6.7-no-such-day"),
        pytest.param("Sun, 06 Nov 0000 08:49:37 GMT", None, id="5.6.7-year-zero"),
        pytest.param("Sun, ٠٦ Nov 1994 08:49:37 GMT", None, id="5.6.7-other-digits"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT, x", None, id="5.6.7-trailing"),
        pytest.param("0", None, id="RFC9111-5.3-zero"),
        pytest.param("-1", None, id="RFC9111-5.3-minus-one"),
        pytest.param("", None, id="5.6.7-empty"),
    ],
)
def test_parse_date(value: str, expected: float | None) -> None:
    assert parse_date(value, NOW) == expected


def test_5_6_7_two_digit_years_follow_the_clock() -> None:
    assert parse_date("Friday, 01-Jan-00 00:00:00 GMT", seconds(2099, 12, 31)) == seconds(2100, 1, 1)
    assert parse_date("Friday, 01-Jan-99 00:00:00 GMT", seconds(2000, 1, 1)) == seconds(1999, 1, 1)


@given(st.integers(int(seconds(1, 1, 1)), int(seconds(9999, 12, 31))))
def test_5_6_7_format_date_is_read_back(moment: int) -> None:
    assert parse_date(format_date(moment), NOW) == moment


@given(st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\Z"))
def test_5_6_7_parse_date_of_any_text_is_a_date_or_none(value: str) -> None:
    parsed = parse_date(value, NOW)
    assert parsed is None or parse_date(format_date(parsed), NOW) == parsed


def test_5_6_7_format_date_rounds_down() -> None:
    assert format_date(EXAMPLE + 0.9) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        pytest.param("17", None, 17.0, id="10.2.3-seconds"),
        pytest.param("0", None, 0.0, id="10.2.3-none"),
        pytest.param(None, None, None, id="10.2.3-absent"),
        pytest.param("-1", None, None, id="10.2.3-negative"),
        pytest.param("1.5", None, None, id="10.2.3-fraction"),
        pytest.param("9" * 10, None, None, id="10.2.3-beyond-any-use"),
        pytest.param("٣", None, None, id="10.2.3-other-digits"),
        pytest.param("Sun, 06 Nov 1994 08:49:54 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 17.0, id="10.2.3-date"),
        pytest.param("Sun, 06 Nov 1994 08:49:20 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 0.0, id="10.2.3-date-passed"),
        pytest.param("Sun, 06 Nov 1994 08:49:54 GMT", None, None, id="10.2.3-date-without-its-own"),
        pytest.param("Thu, 01 Jan 2026", "Sun, 06 Nov 1994 08:49:37 GMT", None, id="10.2.3-no-date"),
    ],
)
def test_retry_after(value: str | None, date: str | None, expected: float | None) -> None:
    given = {"Retry-After": value, "Date": date}
    assert retry_after(CIMultiDict({name: text for name, text in given.items() if text is not None})) == expected
