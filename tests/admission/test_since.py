"""Dates: both formats, midnight, skipped and doubled hours, leap days, and what is no date."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.since import FORMATS, instant, written, zone

LOS_ANGELES = "America/Los_Angeles"

MOMENTS = {
    "the seed's": ("2020-05-29 15:05:02", LOS_ANGELES, "2020-05-29T15:05:02-07:00"),
    "the seed's, fixed PST": ("2020-05-29 15:05:02", "-08:00", "2020-05-29T15:05:02-08:00"),
    "midnight": ("2020-05-29", LOS_ANGELES, "2020-05-29T00:00:00-07:00"),
    "midnight, fixed PST": ("2020-05-29", "-08:00", "2020-05-29T00:00:00-08:00"),
    "midnight in winter": ("2020-12-29", LOS_ANGELES, "2020-12-29T00:00:00-08:00"),
    "half an hour": ("2020-05-29 00:00:00", "+05:30", "2020-05-28T18:30:00+00:00"),
    "UTC": ("1970-01-01", "UTC", "1970-01-01T00:00:00+00:00"),
    "leap day": ("2024-02-29", "UTC", "2024-02-29T00:00:00+00:00"),
    "leap day of a century": ("2000-02-29 23:59:59", "UTC", "2000-02-29T23:59:59+00:00"),
    "before the gap": ("2026-03-08 01:59:59", LOS_ANGELES, "2026-03-08T01:59:59-08:00"),
    "in the gap": ("2026-03-08 02:30:00", LOS_ANGELES, "2026-03-08T02:30:00-08:00"),
    "after the gap": ("2026-03-08 03:00:00", LOS_ANGELES, "2026-03-08T03:00:00-07:00"),
    "no gap in a fixed zone": ("2026-03-08 02:30:00", "-08:00", "2026-03-08T02:30:00-08:00"),
    "the first of two": ("2026-11-01 01:30:00", LOS_ANGELES, "2026-11-01T01:30:00-07:00"),
    "after the overlap": ("2026-11-01 02:00:00", LOS_ANGELES, "2026-11-01T02:00:00-08:00"),
    "a skipped midnight": ("2018-11-04", "America/Sao_Paulo", "2018-11-04T00:00:00-03:00"),
    "a skipped day": ("2011-12-30", "Pacific/Apia", "2011-12-30T00:00:00-10:00"),
    "the least of some clients": ("0001-01-01 00:00:00", "-08:00", "0001-01-01T08:00:00+00:00"),
    "the last second": ("9999-12-31 23:59:59", "UTC", "9999-12-31T23:59:59+00:00"),
}


@pytest.mark.parametrize(("text", "name", "moment"), MOMENTS.values(), ids=MOMENTS)
def test_moments(text: str, name: str, moment: str) -> None:
    assert instant(text, zone(name)) == datetime.fromisoformat(moment).timestamp()


NO_DATES = {
    "empty": "",
    "a word": "refreshDate",
    "T": "2020-05-29T15:05:02",
    "Z": "2020-05-29 15:05:02Z",
    "an offset": "2020-05-29 15:05:02-08:00",
    "fractions": "2020-05-29 15:05:02.5",
    "no seconds": "2020-05-29 15:05",
    "two spaces": "2020-05-29  15:05:02",
    "a tab": "2020-05-29\t15:05:02",
    "a space before": " 2020-05-29",
    "a space behind": "2020-05-29 ",
    "a line's end": "2020-05-29\n",
    "slashes": "2020/05/29",
    "basic": "20200529",
    "a week": "2020-W22-5",
    "one digit": "2020-5-29",
    "five digits": "12020-05-29",
    "negative": "-020-05-29",
    "other digits": "٢٠٢٠-05-29",
    "seconds since the epoch": "1590790000",
    "year 0": "0000-01-01",
    "month 0": "2020-00-29",
    "month 13": "2020-13-01",
    "day 0": "2020-05-00",
    "day 31": "2020-04-31",
    "no leap year": "2023-02-29",
    "no leap year of a century": "1900-02-29",
    "24:00": "2020-05-29 24:00:00",
    "minute 60": "2020-05-29 15:60:00",
    "leap second": "2016-12-31 23:59:60",
    "surrogates": "2020-05-2\ud800",
    "very long": "2020-05-29" * 10_000,
}


@pytest.mark.parametrize("text", NO_DATES.values(), ids=NO_DATES)
def test_anything_else_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=FORMATS):
        instant(text, UTC)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("0001-01-01", "+05:30", id="before the first year of UTC"),
        pytest.param("9999-12-31 23:59:59", "-08:00", id="after its last"),
    ],
)
def test_the_calendar_ends(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=FORMATS):
        instant(text, zone(name))


@given(st.text() | st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]( [0-2][0-9](:[0-5][0-9]){2})?", fullmatch=True))
def test_any_text_is_a_date_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert written(instant(text, UTC), UTC).startswith(text)


ZONES = st.sampled_from([UTC, *map(zone, (LOS_ANGELES, "-08:00", "+05:30", "Pacific/Apia", "Europe/Dublin"))])
SECONDS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
    lambda moment: moment.replace(microsecond=0).timestamp()
)


@given(SECONDS, ZONES)
def test_what_is_told_can_be_asked_for(moment: float, where: tzinfo) -> None:
    """Of two moments that are written alike the first is meant; else it is the same one."""
    again = instant(written(moment, where), where)
    assert again <= moment
    assert written(again, where) == written(moment, where)


@pytest.mark.parametrize(
    ("moment", "name", "text"),
    [
        pytest.param(1_590_789_902.0, LOS_ANGELES, "2020-05-29 15:05:02", id="the seed's"),
        pytest.param(1_590_789_902.999_999, LOS_ANGELES, "2020-05-29 15:05:02", id="fractions are cut off"),
        pytest.param(-0.5, "UTC", "1969-12-31 23:59:59", id="before the epoch"),
        pytest.param(0.0, "-08:00", "1969-12-31 16:00:00", id="an offset"),
        pytest.param(-62_135_596_800.0, "UTC", "0001-01-01 00:00:00", id="four digits"),
        pytest.param(-62_135_596_800.0, "-08:00", "0001-01-01 00:00:00", id="no year 0"),
        pytest.param(253_402_300_799.0, "+05:30", "9999-12-31 23:59:59", id="no year 10000"),
    ],
)
def test_moments_are_told(moment: float, name: str, text: str) -> None:
    assert written(moment, zone(name)) == text


def test_zones() -> None:
    assert zone("UTC") is UTC
    assert zone("-08:00") == timezone(timedelta(hours=-8))
    assert zone("+05:30") == timezone(timedelta(hours=5, minutes=30))
    assert zone("-00:30") == timezone(timedelta(minutes=-30))
    assert zone(LOS_ANGELES) == ZoneInfo(LOS_ANGELES)
    assert zone(LOS_ANGELES) is zone(LOS_ANGELES)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("PST8", id="no file"),
        pytest.param("Nowhere/City", id="nowhere"),
        pytest.param("America", id="a folder"),
        pytest.param("../etc/passwd", id="a file elsewhere"),
        pytest.param("/etc/passwd", id="an absolute path"),
        pytest.param("a\0b", id="NUL"),
        pytest.param("\ud800", id="a surrogate"),
        pytest.param("x" * 5000, id="too long for a file"),
        pytest.param("-8", id="hours alone"),
        pytest.param("08:00", id="no sign"),
        pytest.param("−08:00", id="a typographic minus"),
        pytest.param("+24:00", id="a day"),
        pytest.param("-08:60", id="60 minutes"),
        pytest.param("+08:00\n", id="a line's end"),
    ],
)
def test_anything_else_is_no_zone(text: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        zone(text)
