"""The figures of docs/scaling.md: those of the last whole run of the benchmark, and no others."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

RUN = {
    "facts": {"date": "2026-01-31 10:00 UTC", "processor": "P", "memory": "24 GiB", "system": "S", "run": "rounds 5"},
    "parts": [
        {
            "title": "Hits: one",
            "columns": ["", "hits/s", "p99 ms", "CPU µs"],
            "rows": [["gateway", "150", "3.00", "12.0"], ["nginx", "100", "1.00", "9.0"]],
        },
        {
            "title": "Misses",
            "columns": ["", "misses/s", "CPU µs", "added ms"],
            "rows": [["upstream", "99", "14", "0.000"], ["gateway", "50", "800", "1.19"]],
        },
    ],
}


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("bench.scaling")


def test_it_is_current(scaling: Any) -> None:
    page = scaling.PAGE.read_text()

    assert scaling.written(page, json.loads(scaling.FIGURES.read_text())) == page, "run `make docs`"


def test_it_shows_the_gateways_own_figures_and_where_they_are_from(scaling: Any) -> None:
    told = scaling.section(RUN)

    assert "| hits, the same request each time | 150 | 12.0 | 3.00 |" in told
    assert "| misses: fetched, stored, charged | 50 | 800 | – |" in told
    assert "- A miss over one connection takes 1.19 ms longer" in told
    assert "Measured 2026-01-31 10:00 UTC on an P, 24 GiB, S:" in told


def test_what_a_run_left_out_is_left_out(scaling: Any) -> None:
    assert "herd" not in scaling.section(RUN)


def test_only_its_own_section_changes(scaling: Any) -> None:
    page = "# Scaling\n\n## What one process carries\n\nOld.\n\n## Memory\n\nLast.\n"
    written = scaling.written(page, RUN)

    assert "Old." not in written
    assert written.startswith("# Scaling\n\n## What one process carries\n\n<!-- Written by")
    assert written.endswith("repeats it.\n\n## Memory\n\nLast.\n")
    assert scaling.written(written, RUN) == written
