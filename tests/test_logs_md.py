"""docs/logs.md: every event that the code logs is in its tables, and it names no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gateway.admission.breaker import State

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "logs.md").read_text()
LEVELS = frozenset({"debug", "info", "warning", "error"})
# Their names are put together where they are logged.
COMPOSED = {"key created", "key rotated", "log lines dropped", "library warning"}


def events() -> Iterator[str]:
    """The first argument of each call of a logger's level, where it is a text."""
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=log, attr=level), args=[ast.Constant(value=str() as event), *_]):
                    if level in LEVELS and re.search(r"log(\b|ger\b)", ast.unparse(log)):
                        yield event
                case _:
                    pass


def test_every_event_is_documented_and_no_other() -> None:
    told = {
        event
        for row in re.findall(r"^\| (`.*?`) \| (?:debug|info|warning|error) \|", PAGE, re.MULTILINE)
        for event in re.findall(r"`([^`]+)`", row)
    }
    states = {f"upstream {state.value}" for state in State}
    assert told | {"request"} == {*events()} | COMPOSED | states
