"""The tables of a run: printed, and kept with the machine's facts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Goal:
    """What the gateway should reach, what it does, and whether that is enough."""

    wanted: str
    found: str
    reached: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One part's outcome. `note` says what was asked; every cell is text as shown."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal] = field(default=())

    def text(self) -> str:
        """The table in Markdown, its columns aligned."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        rule = ["-" * width for width in widths]
        lines = [_line(cells, widths) for cells in (self.columns, rule, *self.rows)]
        goals = [f"- {'reached' if g.reached else 'MISSED'}: {g.wanted} ({g.found})" for g in self.goals]
        return "\n".join([f"## {self.title}", "", self.note, "", *lines, *([""] if goals else []), *goals, ""])


def at_least(what: str, found: float, least: float, form: str = ".2f") -> Goal:
    """Reached when `found` is `least` or more."""
    return Goal(f"{what} at least {least:{form}}", f"{found:{form}}", found >= least)


def at_most(what: str, found: float, most: float, form: str = ".2f") -> Goal:
    """Reached when `found` is `most` or less."""
    return Goal(f"{what} at most {most:{form}}", f"{found:{form}}", found <= most)


def keep(name: str, facts: Mapping[str, object], tables: Sequence[Table]) -> Path:
    """Write `bench/results/<name>.md` and `.json`; the former's path."""
    RESULTS.mkdir(exist_ok=True)
    page = RESULTS / f"{name}.md"
    told = "\n".join(f"- {fact}: {value}" for fact, value in facts.items())
    page.write_text("\n".join([f"# {name}", "", told, "", *(table.text() for table in tables)]))
    kept = {"facts": dict(facts), "parts": [asdict(table) for table in tables]}
    page.with_suffix(".json").write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    return page


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *rest])} |"
