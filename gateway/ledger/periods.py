"""Calendar periods of a plan's grants in the config's timezone, and how many of them have gone by."""

from calendar import timegm
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from gateway.admission.snapshot import Every

_HOUR = 3600
# Seconds between the ids of an hour and of its repetition, when the clocks are put back.
_REPEATED = 60
# What an id has beyond whole minutes in the term of a plan with carry-over: it tells the kind of the period.
_CARRIED = {Every.never: 0, Every.hour: 31, Every.day: 32, Every.month: 33}


class Period(NamedTuple):
    """One period; `end` in wall-clock seconds, `seconds` its real length: both None for prepaid, which never renews.

    `id` orders periods of every kind by the local time they start at, so that another timezone does not begin new ones.
    """

    id: int
    end: float | None
    seconds: int | None
    every: Every = Every.never
    zone: tzinfo = UTC

    @property
    def carried(self) -> int:
        """The period's id in the term of a plan with carry-over: between `id` and the next one's; `id` for prepaid."""
        return self.id + _CARRIED[self.every]

    def since(self, term: int) -> int:
        """How many periods have begun after the one of `term`, up to this one.

        1 for prepaid, and where `term` is no `carried` id of this kind of period: then carry-over begins with this one.
        """
        mark = _CARRIED[self.every]
        if term % _REPEATED != mark:
            return 1
        former = term - mark
        match self.every:
            case Every.month:
                return _months(self.id) - _months(former)
            case Every.day:
                # By real time: there are dates that a zone has skipped.
                return round((_instant(self.id, self.zone) - _instant(former, self.zone)) / 86400)
            case Every.hour:
                return _hours(self.id, self.zone) - _hours(former, self.zone)
            case Every.never:
                return 1
            case _:
                assert_never(self.every)


PREPAID = Period(0, None, None)


def carries_over(period: int) -> bool:
    """Whether what was granted for a period of this id, as terms and reservations have it, never lapses."""
    return uncarried(period) != period


def uncarried(period: int) -> int:
    """The `id` of a period, which terms and reservations may have as `carried`."""
    mark = period % _REPEATED
    return period - mark if mark in _CARRIED.values() else period


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
                return self._from(midnight.replace(day=1), every, wall)
            case Every.day:
                return self._from(midnight, every, wall)
            case Every.hour:
                return self._hour(wall)
            case _:
                assert_never(every)

    def _from(self, first: datetime, every: Every, wall: float) -> tuple[float, Period]:
        """The period that begins at `first`, or the next: clocks put back at midnight name the past day once more."""
        while True:
            following = first + timedelta(days=1) if every is Every.day else (first + timedelta(days=31)).replace(day=1)
            start, end = first.timestamp(), following.timestamp()
            if wall < end:
                return start, Period(_number(first), end, round(end - start), every, self._zone)
            first = following

    def _hour(self, wall: float) -> tuple[float, Period]:
        """An hour that the clocks repeat is a period of its own, right after the first.

        Clocks that are set by a part of an hour make one longer hour in spring, and a short one in autumn.
        """
        zone = self._zone
        number = _hour_number(wall, zone)
        start, end = _beginning(number, wall, zone), _beginning(number + 1, wall, zone)
        first, repeats = datetime.fromtimestamp(start, zone), 0
        while first.fold:
            before = first.timestamp() - 1
            first = datetime.fromtimestamp(_beginning(_hour_number(before, zone), before, zone), zone)
            repeats += 1
        id_ = _number(first.replace(minute=0, second=0)) + repeats * _REPEATED
        return start, Period(id_, end, round(end - start), Every.hour, zone)


def _number(first: datetime) -> int:
    return timegm(first.timetuple())


def _named(id_: int) -> datetime:
    """The local time that an id stands for, still without its zone."""
    return datetime.fromtimestamp(id_ - id_ % _HOUR, UTC)


def _instant(id_: int, zone: tzinfo) -> float:
    return _named(id_).replace(tzinfo=zone).timestamp()


def _months(id_: int) -> int:
    first = _named(id_)
    return first.year * 12 + first.month


def _hours(id_: int, zone: tzinfo) -> int:
    return _hour_number(_instant(id_, zone), zone) + id_ % _HOUR // _REPEATED


def _phase(wall: float, zone: tzinfo) -> int:
    """Seconds by which the zone's hours begin before those of UTC."""
    offset = datetime.fromtimestamp(wall, zone).utcoffset() or timedelta()
    return round(offset.total_seconds()) % _HOUR


def _hour_number(wall: float, zone: tzinfo) -> int:
    """Counts the zone's hours since the epoch as they pass, however its clocks are set."""
    return int((wall + _phase(wall, zone)) // _HOUR)


def _beginning(number: int, wall: float, zone: tzinfo) -> float:
    """When that hour begins, which is the one at `wall` or the next: the clocks may be set between the two."""
    here = number * _HOUR - _phase(wall, zone)
    there = number * _HOUR - _phase(here, zone)
    return float(min(start for start in (here, there) if _hour_number(start, zone) >= number))
