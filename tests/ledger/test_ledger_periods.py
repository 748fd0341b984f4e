from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.snapshot import Every
from gateway.ledger.periods import PREPAID, Calendar, Period, carries_over, uncarried

pytestmark = pytest.mark.slow

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("every", "moment", "end", "hours"),
    [
        pytest.param(Every.month, at("2026-01-31T23:59:59"), at("2026-02-01T00:00"), 31 * 24, id="month's last second"),
        pytest.param(Every.month, at("2026-02-01T00:00"), at("2026-03-01T00:00"), 28 * 24, id="month's first second"),
        pytest.param(Every.month, at("2026-12-24T12:00"), at("2027-01-01T00:00"), 31 * 24, id="year's end"),
        pytest.param(
            Every.month, at("2026-03-05T12:00"), at("2026-04-01T00:00"), 31 * 24 - 1, id="month loses an hour"
        ),
        pytest.param(Every.day, at("2026-03-29T12:00"), at("2026-03-30T00:00"), 23, id="short day"),
        pytest.param(Every.day, at("2026-10-25T12:00"), at("2026-10-26T00:00"), 25, id="long day"),
        pytest.param(Every.hour, at("2026-01-01T10:30"), at("2026-01-01T11:00"), 1, id="hour"),
        pytest.param(Every.hour, at("2026-03-29T01:30"), at("2026-03-29T03:00"), 1, id="hour before the gap"),
        pytest.param(Every.hour, at("2026-10-25T02:30"), at("2026-10-25T02:00", fold=1), 1, id="first of two hours"),
        pytest.param(Every.hour, at("2026-10-25T02:30", fold=1), at("2026-10-25T03:00"), 1, id="second of two hours"),
    ],
)
def test_end_and_length(every: Every, moment: float, end: float, hours: int) -> None:
    period = Calendar("Europe/Berlin").period(every, moment)
    assert (period.end, period.seconds) == (end, hours * 3600)


HOWE, NEWFOUNDLAND = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/St_Johns")


@pytest.mark.parametrize(
    ("zone", "every", "moment", "end", "minutes"),
    [
        pytest.param(
            HOWE, Every.hour, at("2026-10-04T01:30", HOWE), at("2026-10-04T03:00", HOWE), 90, id="half an hour skipped"
        ),
        pytest.param(
            HOWE, Every.hour, at("2026-10-04T02:45", HOWE), at("2026-10-04T03:00", HOWE), 90, id="after the half hour"
        ),
        pytest.param(
            HOWE, Every.hour, at("2026-04-05T01:45", HOWE), at("2026-04-05T01:30", HOWE, 1), 60, id="first half hour"
        ),
        pytest.param(
            HOWE, Every.hour, at("2026-04-05T01:45", HOWE, 1), at("2026-04-05T02:00", HOWE), 30, id="half hour again"
        ),
        pytest.param(
            NEWFOUNDLAND,
            Every.day,
            at("2010-11-06T23:30", NEWFOUNDLAND, 1),
            at("2010-11-08T00:00", NEWFOUNDLAND),
            25 * 60,
            id="back to the day before",
        ),
    ],
)
def test_clocks_that_are_set_oddly(zone: ZoneInfo, every: Every, moment: float, end: float, minutes: int) -> None:
    period = Calendar(zone.key).period(every, moment)
    assert (period.end, period.seconds) == (end, minutes * 60)


def test_prepaid_is_one_period_for_good() -> None:
    assert Calendar("UTC").period(Every.never, at("2026-01-01T00:00")) is PREPAID
    assert Calendar("UTC").period(Every.never, at("2126-01-01T00:00")) is PREPAID


# By an hour, by half of one, by two; at midnight, just after it, by a whole day.
ZONES = {
    "UTC": "2026-03-29T00:00",
    "Europe/Berlin": "2026-03-29T01:00",
    "America/New_York": "2026-11-01T06:00",
    "Asia/Kolkata": "2026-01-01T00:00",
    "Australia/Lord_Howe": "2026-04-04T15:00",
    "Antarctica/Troll": "2026-10-25T01:00",
    "America/Havana": "2026-11-01T05:00",
    "America/St_Johns": "2010-11-07T02:31",
    "Asia/Colombo": "2006-04-14T18:30",
    "Pacific/Apia": "2011-12-30T10:00",
    "America/Caracas": "2016-05-01T07:00",
}


@pytest.mark.parametrize(("zone", "set_at"), ZONES.items())
@pytest.mark.parametrize(("every", "most"), [(Every.hour, 24 * 370), (Every.day, 400), (Every.month, 30)])
def test_periods_follow_each_other_and_are_counted(zone: str, set_at: str, every: Every, most: int) -> None:
    calendar = Calendar(zone)
    around = at(set_at, ZoneInfo("UTC"))
    periods = [calendar.period(every, around - min(most * 3600, 200 * 86400))]
    while len(periods) < most:
        periods.append(calendar.period(every, ended(periods[-1])))
    assert all(earlier.id < earlier.carried < later.id for earlier, later in pairwise(periods))
    assert [period.since(periods[0].carried) for period in periods] == list(range(most))
    latest = periods[-1]
    assert [latest.since(period.carried) for period in reversed(periods)] == list(range(most))


def ended(period: Period) -> float:
    assert period.end is not None
    return period.end


@given(st.sampled_from(list(ZONES)), st.sampled_from(list(Every)), st.integers(0, 365 * 24 * 60), st.booleans())
def test_a_moment_is_in_its_period(zone: str, every: Every, minutes: int, exact: bool) -> None:
    wall = at(ZONES[zone], ZoneInfo("UTC")) + 60.0 * (0 if exact else minutes) - 60.0
    period = Calendar(zone).period(every, wall)
    if every is not Every.never:
        assert period.seconds is not None
        assert ended(period) - period.seconds <= wall < ended(period)


@pytest.mark.parametrize(
    ("every", "former"),
    [(Every.month, Every.day), (Every.hour, Every.month), (Every.day, Every.never), (Every.never, Every.month)],
)
def test_periods_of_another_kind_are_not_counted(every: Every, former: Every) -> None:
    calendar = Calendar("Europe/Berlin")
    earlier, now = calendar.period(former, at("2026-01-15T12:00")), calendar.period(every, at("2026-07-15T12:00"))
    assert now.since(earlier.carried) == now.since(earlier.id) == 1


@pytest.mark.parametrize("every", list(Every))
def test_what_carries_over_is_told_by_the_id(every: Every) -> None:
    period = Calendar("Europe/Berlin").period(every, at("2026-10-25T02:30", fold=1))
    assert not carries_over(period.id)
    assert uncarried(period.carried) == uncarried(period.id) == period.id
    assert carries_over(period.carried) is (every is not Every.never)


@given(st.integers(0, 2**32), st.integers(0, 2**32), st.sampled_from(list(Every)))
def test_a_used_calendar_says_what_a_new_one_says(first: int, second: int, every: Every) -> None:
    used = Calendar("Europe/Berlin")
    used.period(every, first)
    assert used.period(every, second) == Calendar("Europe/Berlin").period(every, second)


def test_another_timezone_begins_no_new_period() -> None:
    noon = at("2026-01-15T12:00")
    for every in Every:
        if every is not Every.hour:
            ids = {Calendar(zone).period(every, noon).id for zone in ("UTC", "America/New_York", "Asia/Kolkata")}
            assert len(ids) == 1


def test_a_shorter_period_is_never_older_than_the_longer_one_it_is_in() -> None:
    calendar, noon = Calendar("Asia/Tokyo"), at("2026-01-15T12:00")
    ids = [calendar.period(every, noon).id for every in (Every.never, Every.month, Every.day, Every.hour)]
    assert ids == sorted(ids)
