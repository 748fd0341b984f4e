"""The Server-Timing field."""

import pytest

from gateway.answers.server_timing import timing_line, timings_line


@pytest.mark.parametrize(
    ("hundredths", "shown"), [(0, "0.00"), (7, "0.07"), (250, "2.50"), (12_345_600, "123456.00"), (-1, "-0.01")]
)
def test_what_waited_for_nothing(hundredths: int, shown: str) -> None:
    assert timing_line("hit", hundredths) == f"Server-Timing: cache;desc=hit, total;dur={shown}\r\n".encode()


@pytest.mark.parametrize(
    ("upstream", "waited", "members"),
    [
        (0.0123, 0.0, "cache;desc=miss, upstream;dur=12.30, total;dur=13.00"),
        (0.0123, 0.0045, "cache;desc=miss, upstream;dur=12.30, waited;dur=4.50, total;dur=13.00"),
        (None, 0.0045, "cache;desc=miss, waited;dur=4.50, total;dur=13.00"),
        (None, 0.0, "cache;desc=miss, total;dur=13.00"),
    ],
    ids=["its own fetch", "another's fetch", "a fetch that had not begun", "no answer"],
)
def test_what_waited(upstream: float | None, waited: float, members: str) -> None:
    assert timings_line("miss", 0.013, upstream, waited) == f"Server-Timing: {members}\r\n".encode()
