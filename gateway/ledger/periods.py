"""Calendar periods of a plan's grants in the config's timezone."""

from calendar import timegm
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from gateway.admission.snapshot import Every


class Period(NamedTuple):
    """One period; `end` in wall-clock seconds, `seconds` its real length: both None for prepaid, which never renews.

    `id` orders periods of every kind by the local time they start at, so that another timezone does not begin new ones.
    """

    id: int
    end: float | None
    seconds: int | None


PREPAID = Period(0, None, None)


class Calendar:
    """Finds the period that a moment is in. Raises zoneinfo.ZoneInfoNotFoundError for an unknown timezone."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._known: dict[Every, tuple[float, Period]] = {}

    def period(self, every: Every, wall: float) -> Period:
        """The period of `every` at `wall` seconds since the epoch."""
        start, known = self._known.get(every, (0.0, PREPAID))
        if known.end is None or not start <= wall < known.end:
            start, known = self._find(every, wall)
            self._known[every] = start, known
        return known

    def _find(self, every: Every, wall: float) -> tuple[float, Period]:
        local = datetime.fromtimestamp(wall, self._zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        match every:
            case Every.never:
                return 0.0, PREPAID
            case Every.month:
                first = midnight.replace(day=1)
                return _between(first, (first + timedelta(days=31)).replace(day=1))
            case Every.day:
                return _between(midnight, midnight + timedelta(days=1))
            case Every.hour:
                return _hour(local)
            case _:
                assert_never(every)


def _between(first: datetime, following: datetime) -> tuple[float, Period]:
    start, end = first.timestamp(), following.timestamp()
    return start, Period(_number(first), end, round(end - start))


def _hour(local: datetime) -> tuple[float, Period]:
    """An hour that the clocks repeat is a period of its own, one number after the first."""
    first = local.replace(minute=0, second=0, microsecond=0)
    start = local.timestamp() - (local - first).total_seconds()
    return start, Period(_number(first) + first.fold, start + 3600, 3600)


def _number(first: datetime) -> int:
    return timegm(first.timetuple())
