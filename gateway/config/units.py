"""Durations, sizes, rates and addresses as the config spells them; every parser raises ValueError without the value."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from ipaddress import ip_address
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

from gateway.admission.snapshot import Rate as Rate

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_WINDOWS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_DURATION = r"(\d{1,12})(ms|s|m|h|d)"
_SIZE = r"(\d{1,12})(B|KiB|MiB|GiB|TiB)"
_RATE = r"([1-9]\d{0,8})/(s|min|h|d)"
_SHARE = r"(100|\d{1,2}(?:\.\d{1,2})?)%"
_MOMENT = r"(19[7-9]\d|[2-9]\d{3})-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?"
_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):(\d{1,5})"

_LONGEST = 36500 * _MILLISECONDS["d"]


def parse_duration(value: object) -> float:
    """`250ms`, `30s`, `15m`, `1h` or `7d` in seconds, a hundred years at most."""
    found = re.fullmatch(_DURATION, value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a duration such as 250ms, 30s, 15m, 1h or 7d")
    milliseconds = int(found[1]) * _MILLISECONDS[found[2]]
    if milliseconds > _LONGEST:
        raise ValueError("must be a duration of 36500d at most")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """The duration in its largest whole unit."""
    milliseconds = round(seconds * 1000)
    return _in_largest_unit(milliseconds, _MILLISECONDS, zero="0s")


def parse_size(value: object) -> int:
    """`64KiB`, `256MiB` or `512B` in bytes."""
    found = re.fullmatch(_SIZE, value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a size such as 512B, 64KiB, 256MiB or 2GiB")
    return int(found[1]) * _BYTES[found[2]]


def format_size(size: int) -> str:
    """The size in its largest whole unit."""
    return _in_largest_unit(size, _BYTES, zero="0B")


def parse_rate(value: object) -> Rate:
    """`100/min`: so many in any window of that length."""
    found = re.fullmatch(_RATE, value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a rate of at least one such as 10/s, 100/min, 1000/h or 5000/d")
    return Rate(int(found[1]), _WINDOWS[found[2]])


def format_rate(rate: Rate) -> str:
    """The rate as the config spells it."""
    unit = next(unit for unit, seconds in _WINDOWS.items() if seconds == rate.seconds)
    return f"{rate.count}/{unit}"


def parse_share(value: object) -> float:
    """`20%`: a part of the whole, from 0 to 1."""
    found = re.fullmatch(_SHARE, value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a share such as 10%, from 0% to 100%")
    return float(found[1]) / 100


def format_share(share: float) -> str:
    """The share as the config spells it."""
    return f"{round(share * 100, 6):g}%"


Moment = date | datetime
"""A point in time, or a date: its beginning in whichever timezone holds."""


def parse_moment(value: object) -> Moment:
    """`2027-01-31`, or `2027-01-31T12:00:00Z` with its own offset from UTC."""
    if isinstance(value, str) and re.fullmatch(_MOMENT, value, re.ASCII):
        with suppress(ValueError):
            return datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    raise ValueError("must be a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z")


def format_moment(moment: Moment) -> str:
    """The moment as the config spells it."""
    return moment.isoformat()


def wall_seconds(moment: Moment, timezone: str) -> float:
    """The moment in seconds since the epoch; where clocks skip a date's midnight, the first moment after it."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), ZoneInfo(timezone))
    return moment.timestamp()


@dataclass(slots=True, frozen=True)
class Address:
    """Where a server listens; `host` without brackets, "" for every interface; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(value: object) -> Address:
    """`127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or `:8080` for every interface."""
    found = re.fullmatch(_ADDRESS, value, re.ASCII) if isinstance(value, str) else None
    if found is None or int(found[2]) > 65535 or not _is_host(found[1]):
        raise ValueError("must be an address such as 127.0.0.1:8080, [::1]:8080 or :8080 for every interface")
    return Address(found[1].strip("[]"), int(found[2]))


def _is_host(text: str) -> bool:
    if not text.startswith("["):
        return True
    try:
        return ip_address(text[1:-1]).version == 6
    except ValueError:
        return False


def _in_largest_unit(amount: int, units: dict[str, int], zero: str) -> str:
    if amount == 0:
        return zero
    name, factor = max(((name, factor) for name, factor in units.items() if amount % factor == 0), key=lambda u: u[1])
    return f"{amount // factor}{name}"


def _above_zero(amount: float) -> float:
    if amount <= 0:
        raise ValueError("must be more than 0")
    return amount


def _text_schema(pattern: str, example: str) -> dict[str, Any]:
    substituted = r".*\$\{.*"
    return {"type": "string", "pattern": f"^({pattern}|{substituted})$", "examples": [example]}


DURATION_SCHEMA = _text_schema(_DURATION, "15m")
RATE_SCHEMA = _text_schema(_RATE, "100/min")
"""Their JSON Schemas, for short forms."""

Duration = Annotated[
    float, PlainValidator(parse_duration), PlainSerializer(format_duration), WithJsonSchema(DURATION_SCHEMA)
]
"""Seconds, at least 0."""

Timeout = Annotated[Duration, AfterValidator(_above_zero)]
"""Seconds, more than 0."""

Size = Annotated[
    int,
    PlainValidator(parse_size),
    AfterValidator(_above_zero),
    PlainSerializer(format_size),
    WithJsonSchema(_text_schema(_SIZE, "64KiB")),
]
"""Bytes, at least 1."""

RateText = Annotated[Rate, PlainValidator(parse_rate), PlainSerializer(format_rate), WithJsonSchema(RATE_SCHEMA)]
"""So many in any window."""

Share = Annotated[
    float,
    PlainValidator(parse_share),
    PlainSerializer(format_share),
    WithJsonSchema(_text_schema(_SHARE, "10%")),
]
"""A part of the whole, from 0 to 1."""

MomentText = Annotated[
    Moment,
    PlainValidator(parse_moment),
    PlainSerializer(format_moment),
    WithJsonSchema(_text_schema(_MOMENT, "2027-01-31")),
]
"""A date or a point in time."""

Listen = Annotated[
    Address, PlainValidator(parse_address), PlainSerializer(str), WithJsonSchema(_text_schema(_ADDRESS, ":8080"))
]
"""Where a server listens."""
