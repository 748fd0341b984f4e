"""The README's section on speed: what the last whole run of the benchmark has found, and nothing else."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

RUN = {
    "facts": {
        "date": "2026-01-31 10:00 UTC",
        "processor": "P",
        "system": "S",
        "versions": "nginx 1",
        "load average at the start": "0.10",
        "run": "rounds 5",
    },
    "parts": [
        {
            "title": "Hits: one",
            "columns": ["", "hits/s", "gateway ÷ it"],
            "rows": [["gateway", "150", "1.00"], ["nginx + Lua", "100", "1.50"]],
            "goals": [
                {"wanted": "hits ÷ nginx + Lua at least 1.30", "found": "1.50", "reached": True},
                {"wanted": "hits ÷ HAProxy at least 1.00", "found": "0.90", "reached": False},
            ],
        },
        {
            "title": "Herd",
            "columns": ["", "upstream calls", "ms until all are answered"],
            "rows": [["gateway", "1", "50"], ["nginx + Lua", "1", "500"]],
            "goals": [],
        },
    ],
}


@pytest.fixture
def readme(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("bench.readme")


def test_it_is_current(readme: Any) -> None:
    page = readme.README.read_text()

    assert readme.written(page, json.loads(readme.FIGURES.read_text())) == page, "run `make docs`"


def test_it_shows_each_peer_and_what_the_gateway_has_of_it(readme: Any) -> None:
    lines = readme.section(RUN).splitlines()

    assert "| hits/s, the same request each time | 150 | 100 (1.50) | – | – | – | – |" in lines
    assert "| herd: ms after the upstream's answer until all have it | 50 | 500 | – | – | – | – |" in lines


def test_it_says_what_was_missed(readme: Any) -> None:
    lines = readme.section(RUN).splitlines()

    assert "1 of 2 goals were reached. **Missed** in whole or in part: *Hits: one*." in lines


def test_it_says_when_and_where_it_was_measured(readme: Any) -> None:
    told = " ".join(readme.section(RUN).splitlines())

    assert "2026-01-31 10:00 UTC, P; S; nginx 1." in told


def test_only_its_own_section_changes(readme: Any) -> None:
    page = "# gateway\n\n## How fast is it?\n\nAs ever.\n\n## What it does not do\n\nLast.\n"

    written = readme.written(page, RUN)

    assert written.startswith("# gateway\n\n## How fast is it?\n\n<!-- Written by")
    assert written.endswith(".\n\n## What it does not do\n\nLast.\n")
    assert "As ever." not in written
    assert readme.written(written, RUN) == written
