"""HTTP-date in its three formats (RFC 9110 §5.6.7), read as RFC 9111 §4.2 asks of a cache, and Retry-After."""

import re
from datetime import UTC, datetime
from functools import lru_cache

from gateway.messages import Fields

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_DAY_NAME = f"(?:{'|'.join(_DAYS)})"
_DAY_NAME_LONG = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# Case-insensitive, and no zone but GMT, both by RFC 9111 §4.2.
_FORMATS = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        f"{_DAY_NAME}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        f"{_DAY_NAME_LONG}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        f"{_DAY_NAME} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)

# Of the preferred format; none with a two-digit year is as short.
_LENGTH = 29


def parse_date(value: str, now: float) -> float | None:
    """Seconds since the epoch, or None for anything that is no HTTP-date.

    `now`, in the same seconds, settles two-digit years: none lies more than 50 years ahead of it. The day's name is
    not held against the date. A leap second counts as the second before it, the nearest earlier time there is.
    """
    return _timeless(value) if len(value) == _LENGTH else _parsed(value, now)


# Within a second all answers have the same Date.
@lru_cache(maxsize=512)
def _timeless(value: str) -> float | None:
    return _parsed(value, 0.0)


def _parsed(value: str, now: float) -> float | None:
    for pattern in _FORMATS:
        if match := pattern.fullmatch(value.strip(" \t")):
            return _seconds(match, now)
    return None


def _seconds(match: re.Match[str], now: float) -> float | None:
    month = _MONTHS.index(match["month"].capitalize()) + 1
    second = int(match["second"])
    rest = (month, int(match["day"]), int(match["hour"]), int(match["minute"]), 59 if second == 60 else second)
    digits = match["year"]
    year = int(digits) if len(digits) == 4 else _whole_year(int(digits), rest, datetime.fromtimestamp(now, UTC))
    try:
        return datetime(year, *rest, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _whole_year(two_digits: int, rest: tuple[int, ...], now: datetime) -> int:
    latest = now.year + 50
    year = latest - (latest - two_digits) % 100
    return year - 100 if year == latest and rest > now.timetuple()[1:6] else year


def format_date(seconds: float) -> str:
    """Write seconds since the epoch as an IMF-fixdate, rounded down to the second."""
    moment = datetime.fromtimestamp(seconds, UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def retry_after(fields: Fields) -> float | None:
    """An answer's Retry-After in seconds (RFC 9110 §10.2.3); a date is counted from the answer's own Date."""
    value = fields.get("Retry-After", "")
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return float(value)
    date = parse_date(fields.get("Date", ""), 0.0)
    until = None if date is None else parse_date(value, date)
    return None if date is None or until is None else max(0.0, until - date)
