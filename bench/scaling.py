"""docs/scaling.md's section on what one process carries, made of the last whole run: `python -m bench.scaling`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from bench.report import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
FIGURES = RESULTS / "full.json"

_BEGIN, _END = "## What one process carries\n", "\n## "
# A table of the run, the column that counts, and what the load is.
_LOADS = {
    "Hits: one": ("hits/s", "hits, the same request each time"),
    "Hits: gzip": ("hits/s", "… from a client that accepts gzip"),
    "Hits: mixed": ("hits/s", "… 1,000 keys and 1,000 URLs, ten for each key"),
    "Hits: new heads": ("hits/s", "… a new `traceparent` and `X-Request-Id` each time"),
    "Hits: new pairs": ("hits/s", "… any of 1,000 keys for any of many URLs"),
    "Misses": ("misses/s", "misses: fetched, stored, charged"),
}
# A table of the run, its row and column, and what they tell; FIGURE stands for what is found there.
_FACTS = (
    (
        "Misses",
        "gateway",
        "added ms",
        "A miss over one connection takes FIGURE ms longer than asking the upstream itself.",
    ),
    (
        "Herd",
        "gateway",
        "ms until all are answered",
        "A herd is answered FIGURE ms after the upstream, by one call to it.",
    ),
    (
        "Memory",
        "as it came",
        "besides the body",
        "A stored response has the process grow by FIGURE bytes besides its body.",
    ),
    (
        "Pause",
        "gateway",
        "longest ms",
        "The longest pause under load, with scrapes, reloads and evictions, was FIGURE ms.",
    ),
    (
        "Reloads",
        "reloads",
        "median s",
        "A config with all the run's keys is in use FIGURE s after it was saved.",
    ),
)

_WIDTH = 150
_TEXT = f"""{_BEGIN}
<!-- Written by `make docs` from bench/results/full.json, which `make bench` writes; words: bench/scaling.py. -->

{{setting}}

{{loads}}

{{facts}}

[bench/results/full.md](../bench/results/full.md) has all of it, beside other servers; `make bench` repeats it.
"""

_SETTING = """
One process uses one core. Measured {date} on an {processor}, {memory}, {system}: the gateway on one core, the load and
the upstream on the other, a JSON object of 1.7 KB, every answer metered and its charge in the journal. The run: {run}.
"""

Run = Mapping[str, Any]
"""What bench/results/full.json holds."""


def section(run: Run) -> str:
    """The section, its heading included."""
    tables = {part["title"]: part for part in run["parts"]}
    setting = fill(_SETTING.format(**run["facts"]).strip(), _WIDTH, break_on_hyphens=False)
    return _TEXT.format(setting=setting, loads="\n".join(_loads(tables)), facts="\n".join(_facts(tables)))


def written(page: str, run: Run) -> str:
    """The page with the section in its place."""
    before, heading, rest = page.partition(f"\n{_BEGIN}")
    assert heading, "docs/scaling.md has no section on what one process carries"
    _, following, after = rest.partition(_END)
    return f"{before}\n{section(run)}{following}{after}"


def _loads(tables: Mapping[str, Any]) -> Iterator[str]:
    yield "| load | a second | CPU µs for each | p99 ms |"
    yield "| --- | ---: | ---: | ---: |"
    for title, (column, words) in _LOADS.items():
        if title in tables:
            row = _row(tables[title], "gateway")
            yield f"| {words} | {row[column]} | {row['CPU µs']} | {row.get('p99 ms', '–')} |"


def _facts(tables: Mapping[str, Any]) -> Iterator[str]:
    for title, name, column, words in _FACTS:
        if title in tables:
            yield f"- {words.replace('FIGURE', _row(tables[title], name)[column])}"


def _row(part: Mapping[str, Any], name: str) -> dict[str, str]:
    return next(dict(zip(part["columns"], row, strict=True)) for row in part["rows"] if row[0] == name)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), json.loads(FIGURES.read_text())))
