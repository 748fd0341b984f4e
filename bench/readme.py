"""The README's section on speed, made of the last whole run's figures: `python -m bench.readme`, by `make docs`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from bench.report import RESULTS
from bench.settings import Settings

README = Path(__file__).parents[1] / "README.md"
FIGURES = RESULTS / "full.json"

_BEGIN, _END = "## How fast is it?\n", "\n## "
# A table of the run, the column that is shown of it, and what that says.
_ROWS = {
    "Hits: one": ("hits/s", "hits/s, the same request each time"),
    "Hits: gzip": ("hits/s", "… from a client that accepts gzip"),
    "Hits: one connection": ("hits/s", "… over one connection instead of 32"),
    "Hits: mixed": ("hits/s", "… 1,000 keys, 1,000 URLs, ten for each key"),
    "Hits: new heads": ("hits/s", "… a new `traceparent` and `X-Request-Id` each time"),
    "Hits: new pairs": ("hits/s", "… any of 1,000 keys for any of many URLs"),
    "Misses": ("misses/s", "misses/s"),
    "Herd": ("ms until all are answered", "herd: ms after the upstream's answer until all have it"),
}

_WIDTH = 150
_TEXT = f"""{_BEGIN}
<!-- Written by `make docs` from bench/results/full.json, which `make bench` writes; words: bench/readme.py. -->

{{rows}}

{{paragraphs}}
"""
_SETTING = """
{date}, {processor}; {system}; {versions}. One core for the server, the other for the load; a JSON object of 1.7 KB.
Medians of rounds in turn; in brackets how many times as fast the gateway is.
"""
_COMPARED = """
Only the gateway and nginx + Lua look at API keys and count. What nginx counts is in memory alone; an answer of the
gateway's leaves once its charge is in the journal, which survives `kill -9`, and has tokens in its body and all
[fields](docs/answers.md).
"""
_REPEATED = """
`make bench` repeats it in less than ten minutes, `make bench-quick` a part of it in less than 90 seconds; `make docs`
shows it here. All tables, each goal and the run's settings are in [bench/results/full.md](bench/results/full.md); how
they are made is in [docs/decisions/benchmark.md](docs/decisions/benchmark.md).
"""

Run = Mapping[str, Any]
"""What bench/results/full.json holds."""


def section(run: Run) -> str:
    """The section, its heading included."""
    tables = {part["title"]: part for part in run["parts"]}
    told = [_SETTING.format_map(run["facts"]), _COMPARED, _goals(run["parts"]), _REPEATED]
    return _TEXT.format(rows="\n".join(_rows(tables)), paragraphs="\n\n".join(map(_filled, told)))


def written(page: str, run: Run) -> str:
    """The README with the section in its place."""
    before, heading, rest = page.partition(f"\n{_BEGIN}")
    assert heading, "README.md has no section on speed"
    _, following, after = rest.partition(_END)
    return f"{before}\n{section(run)}{following}{after}"


def _rows(tables: Mapping[str, Any]) -> Iterator[str]:
    peers = Settings().peers
    yield _line(["", *peers])
    yield _line(["---", *["---:"] * len(peers)])
    for title, (column, shown) in _ROWS.items():
        if title in tables:
            yield _line([shown, *_cells(tables[title], column, peers)])


def _cells(part: Mapping[str, Any], column: str, peers: Sequence[str]) -> Iterator[str]:
    """What each peer has in this column, and the gateway's part of it where the run says that."""
    columns = part["columns"]
    found = {row[0]: dict(zip(columns, row, strict=True)) for row in part["rows"]}
    for peer in peers:
        row = found.get(peer)
        if row is None:
            yield "–"
        elif peer == peers[0] or "gateway ÷ it" not in row:
            yield str(row[column])
        else:
            yield f"{row[column]} ({row['gateway ÷ it']})"


def _goals(parts: Sequence[Run]) -> str:
    """How many goals are reached, and where one is not."""
    met = [goal["reached"] for part in parts for goal in part["goals"]]
    missed = [f"*{part['title']}*" for part in parts if not all(goal["reached"] for goal in part["goals"])]
    reached = f"{sum(met)} of {len(met)} goals were reached."
    return f"{reached} **Missed** in whole or in part: {', '.join(missed)}." if missed else reached


def _filled(paragraph: str) -> str:
    return fill(paragraph.strip(), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    README.write_text(written(README.read_text(), json.loads(FIGURES.read_text())))
