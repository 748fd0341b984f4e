"""Dates from which on something is refreshed, as clients write them and are told them, in a zone of the config."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from math import floor
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FORMATS = "YYYY-MM-DD HH:MM:SS or YYYY-MM-DD"
"""What `instant` reads, as messages say it."""

_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])?")
_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")


# A named zone is read from the system's files the first time that it is asked for, which is when the config is.
@lru_cache(maxsize=64)
def zone(text: str) -> tzinfo:
    """The zone of an IANA name, `UTC`, or a fixed offset such as `-08:00`. Raises ValueError for any other text."""
    if text == "UTC":
        return UTC
    if offset := _OFFSET.fullmatch(text):
        sign, hours, minutes = offset.groups()
        ahead = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(ahead if sign == "+" else -ahead)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            "must be an IANA time zone such as America/Los_Angeles, UTC, or an offset such as -08:00"
        ) from None


def instant(text: str, zone: tzinfo) -> float:
    """The moment that a date means in `zone`, in seconds since the epoch; without a time it is midnight (the seed).

    A time that clocks skip is read with the offset before the gap, of two the first is meant (PEP 495, fold 0). Raises
    ValueError for what is not in one of `FORMATS`, does not exist, or lies outside of the years 1 to 9999 of UTC.
    """
    if not _WRITTEN.fullmatch(text):
        raise ValueError(f"must be {FORMATS}")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"must be an existing date, {FORMATS}") from None


def written(instant: float, zone: tzinfo) -> str:
    """A moment in seconds since the epoch as `YYYY-MM-DD HH:MM:SS` of `zone`; fractions of a second are cut off."""
    moment = datetime.fromtimestamp(floor(instant), UTC)
    # The calendar's first and last hours are told in UTC where another zone has no year for them.
    with suppress(OverflowError):
        moment = moment.astimezone(zone)
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")
