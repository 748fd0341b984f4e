"""Durations, sizes, rates and addresses."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.snapshot import Rate
from gateway.config.units import (
    Address,
    format_duration,
    format_moment,
    format_rate,
    format_size,
    parse_address,
    parse_duration,
    parse_moment,
    parse_rate,
    parse_size,
    wall_seconds,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30.0),
        ("15m", 900.0),
        ("1h", 3600.0),
        ("7d", 604800.0),
        ("0s", 0.0),
        ("36500d", 3.1536e9),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "15", "15 m", "-1s", "1.5h", "15M", "1m30s", "１５m", "36501d", None, 15, ["15m"]]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_durations_survive_their_spelling(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


def test_durations_are_spelled_in_their_largest_whole_unit() -> None:
    assert [format_duration(s) for s in (0, 0.25, 90, 900, 86400)] == ["0s", "250ms", "90s", "15m", "1d"]


@pytest.mark.parametrize(("text", "size"), [("512B", 512), ("64KiB", 65536), ("256MiB", 1 << 28), ("2GiB", 1 << 31)])
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "64", "64KB", "64kib", "1.5MiB", "-1B", None, {}])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=10**12 - 1))
def test_sizes_survive_their_spelling(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "rate"),
    [("10/s", Rate(10, 1)), ("100/min", Rate(100, 60)), ("1/h", Rate(1, 3600)), ("5/d", Rate(5, 86400))],
)
def test_rates(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate
    assert format_rate(rate) == text


@pytest.mark.parametrize("text", ["", "100", "0/min", "100/m", "100 / min", "-1/s", "1.5/s", None, []])
def test_what_is_no_rate(text: object) -> None:
    with pytest.raises(ValueError, match="must be a rate"):
        parse_rate(text)


@given(st.integers(min_value=1, max_value=10**9 - 1), st.sampled_from([1.0, 60.0, 3600.0, 86400.0]))
def test_rates_survive_their_spelling(count: int, seconds: float) -> None:
    assert parse_rate(format_rate(Rate(count, seconds))) == Rate(count, seconds)


@pytest.mark.parametrize(
    ("text", "timezone", "wall"),
    [
        ("2027-01-31", "UTC", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31", "Europe/Berlin", datetime(2027, 1, 30, 23, tzinfo=UTC)),
        ("2027-07-31", "America/New_York", datetime(2027, 7, 31, 4, tzinfo=UTC)),
        ("2018-11-04", "America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", "Europe/Berlin", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00Z", "UTC", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00+05:30", "UTC", datetime(2027, 1, 31, 6, 30, tzinfo=UTC)),
    ],
    ids=["UTC", "a date's own midnight", "in summer", "a midnight that is skipped", "Z", "no seconds", "an offset"],
)
def test_moments_are_seconds_since_the_epoch(text: str, timezone: str, wall: datetime) -> None:
    assert wall_seconds(parse_moment(text), timezone) == wall.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2027-1-31",
        "2027-02-30",
        "20270131",
        "2027-W05-1",
        "1969-12-31",
        "2027-01-31T12:00:00",
        "2027-01-31 12:00:00Z",
        "2027-01-31T25:00:00Z",
        "2027-01-31T12:00:00.5Z",
        "2027-01-31\n",
        "２027-01-31",
        "tomorrow",
        None,
        1_800_000_000,
    ],
)
def test_what_is_no_moment(text: object) -> None:
    with pytest.raises(ValueError, match="must be a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z"):
        parse_moment(text)


@given(st.dates(date(1970, 1, 1)) | st.integers(0, 2**37).map(lambda wall: datetime.fromtimestamp(wall, UTC)))
def test_moments_survive_their_spelling(moment: date | datetime) -> None:
    assert parse_moment(format_moment(moment)) == moment
    assert isinstance(wall_seconds(moment, "Pacific/Kiritimati"), float)


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080), True),
        ("127.9.9.9:1", Address("127.9.9.9", 1), True),
        ("localhost:0", Address("localhost", 0), True),
        ("[::1]:8080", Address("::1", 8080), True),
        ("[::]:8080", Address("::", 8080), False),
        ("0.0.0.0:8080", Address("0.0.0.0", 8080), False),
        (":8080", Address("", 8080), False),
        ("gateway.internal:65535", Address("gateway.internal", 65535), False),
    ],
)
def test_addresses(text: str, address: Address, loopback: bool) -> None:
    assert parse_address(text) == address
    assert address.loopback is loopback
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "8080", "127.0.0.1", "::1:8080", "[::1]", "[127.0.0.1]:80", "[:::]:80", "a:65536", "a:-1", "a b:80", None],
)
def test_what_is_no_address(text: object) -> None:
    with pytest.raises(ValueError, match="must be an address"):
        parse_address(text)
