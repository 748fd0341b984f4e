"""The config reference: current, and complete."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.schema import described

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "config.md").read_text()
SCHEMA = described()


@pytest.fixture(scope="module")
def script() -> Any:
    found = importlib.util.spec_from_file_location("config_reference", ROOT / "scripts" / "config_reference.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_it_is_current(script: Any) -> None:
    assert script.page() == PAGE, "run `make docs`"


def test_the_schema_for_editors_is_current(script: Any) -> None:
    assert script.schema() == (ROOT / "config.schema.json").read_text(), "run `make docs`"


def sections() -> dict[str, str]:
    """Heading -> what stands under it."""
    parts = re.split(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def settings(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key, names and list items left out."""
    if isinstance(schema, list):
        for item in schema:
            yield from settings(item, path)
    elif isinstance(schema, dict):
        if "$ref" in schema:
            yield from settings(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], path)
        for key, value in schema.get("properties", {}).items():
            yield (*path, key)
            if (*path, key) == ("defaults", "route"):
                continue  # its keys have their rows under `routes`
            yield from settings(value, (*path, key))
        for within in ("anyOf", "items", "additionalProperties"):
            yield from settings(schema.get(within), path)


ALL = sorted(set(settings(SCHEMA)))


def test_there_are_settings_to_look_for() -> None:
    assert {("listen",), ("routes", "price", "options", "when", "query_any")} <= set(ALL)


@pytest.mark.parametrize("path", ALL, ids=".".join)
def test_every_key_has_its_row(path: tuple[str, ...]) -> None:
    *section, key = path
    found = sections()[": ".join(section) or "Top level"]
    rows = re.findall(rf"^\| `{key}` \| (.+?) \| (.+?) \| (.+) \|$", found, re.MULTILINE)
    assert len(rows) == 1
    assert all(cell.strip() for cell in rows[0])


def test_every_section_is_one_of_the_schema() -> None:
    holders = {": ".join(path[:-1]) for path in ALL} - {""} | {"defaults: route"}
    assert set(sections()) - {"Config reference", "Values", "Top level"} == holders
