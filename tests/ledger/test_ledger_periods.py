from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.snapshot import Every
from gateway.ledger.periods import PREPAID, Calendar

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


def test_prepaid_is_one_period_for_good() -> None:
    assert Calendar("UTC").period(Every.never, at("2026-01-01T00:00")) is PREPAID
    assert Calendar("UTC").period(Every.never, at("2126-01-01T00:00")) is PREPAID


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize("every", [Every.hour, Every.day, Every.month])
def test_ids_rise_from_one_period_to_the_next(every: Every, zone: str) -> None:
    calendar = Calendar(zone)
    periods = [calendar.period(every, at("2026-01-01T00:00"))]
    while len(periods) < {Every.hour: 24 * 366, Every.day: 366, Every.month: 24}[every]:
        end = periods[-1].end
        assert end is not None
        periods.append(calendar.period(every, end))
    assert all(earlier.id < later.id for earlier, later in pairwise(periods))


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
