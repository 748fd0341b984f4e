"""The machine's clocks."""

import time

import pytest

from gateway.clock import SystemClock


def test_steady_time_begins_at_the_wall_clocks_and_follows_the_monotonic_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    clock = SystemClock()
    assert (clock.steady(), clock.wall()) == (1_000_000.0, 1_000_000.0)
    monkeypatch.setattr(time, "time", lambda: 5.0)
    monkeypatch.setattr(time, "monotonic", lambda: 60.0)
    assert (clock.steady(), clock.wall()) == (1_000_010.0, 5.0)
