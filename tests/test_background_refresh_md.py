"""docs/background-refresh.md: its tables, stages, settings and commands are the code's."""

import re
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
import yaml
from pydantic import BaseModel
from support.config import config
from typer.testing import CliRunner

from gateway.admission.asking import asked
from gateway.admission.jobs import How, Stage, State
from gateway.admission.target import canonical
from gateway.background.accepting import policy
from gateway.cli import app
from gateway.config.background.sections import BackgroundRefresh
from gateway.config.compile import snapshot
from gateway.config.load import load
from gateway.errors import Problem, Reason

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "background-refresh.md").read_text()
WALL = 1_800_000_000.0


def section(title: str) -> str:
    found = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert found, title
    return found


def rows(text: str) -> list[list[str]]:
    """The cells of its one table, without the head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def block(kind: str, text: str) -> str:
    """The first block of this kind."""
    found = re.search(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


QUERIES = {
    "a value": "storeId=7",
    "nothing": "",
    "the same value": "storeId=7",
    "its own name (`storeId=storeId`), or nothing": "storeId=storeId",
    "no number, no date": "storeId=abc",
    "anything": "storeId=7",
}
CONTENTS: dict[str, object] = {
    "nothing": None,
    "a value": {"storeId": 8},
    "another one": {"storeId": 8},
    "the same value": {"storeId": 7},
    "anything": {"storeId": 8},
    "no number, no date": {"storeId": "abc"},
}
COUNTS = {"the query's": "7", "it": "7", "the content's": "8", "as if it were not in the query": "8", "400": None}


@pytest.mark.parametrize("row", rows(section("What a request may look like")), ids="/".join)
def test_what_counts(row: list[str]) -> None:
    query, content, counts = row
    sent = b"" if CONTENTS[content] is None else orjson.dumps(CONTENTS[content])
    assert read(QUERIES[query], sent) == COUNTS[counts]


def read(query: str, content: bytes) -> str | None:
    """The subject, None for a request that is refused."""
    entry = policy(snapshot(load(ROOT / "config.yaml")).routes[0])
    try:
        return asked(entry, canonical(f"/r?{query}").query, content, WALL).subject
    except Problem:
        return None


def test_the_reasons_are_the_codes() -> None:
    told = set[str]()
    for statuses, reasons, _ in rows(section("What is refused, for nothing")):
        named = set(re.findall(r"`(\w+)`", reasons))
        assert {str(Reason[name].status) for name in named} <= set(statuses.split(", "))
        told |= named
    assert {"bad_subject", "bad_since", "unknown_subject", "not_refreshable", "insufficient_scope"} <= told


def test_the_stages_and_states_are_the_codes() -> None:
    picture = block("text", section("The job"))
    for word in [*Stage, State.done, State.failed, State.cancelled]:
        assert re.search(rf"\b{word.value}\b", picture), word
    told = set(re.findall(r"X-Background-Refresh: (\w+)|\(`(\w+)`\)", section("The job")))
    assert {one or other for one, other in told} >= {how.value for how in How}


def names(model: Any) -> dict[str, Any]:
    """The keys of a section, by alias too, with what each holds."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in sections_in(part)]


# Files have a dot as well.
DOTTED = {key for key in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", PAGE) if key not in ("config.yaml", "config.md")}
KEYS = sorted(DOTTED | {"subjects", "trigger", "pages", "retry", "pace", "tags"})


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_named_is_one(key: str) -> None:
    found: list[Any] = [BackgroundRefresh]
    for part in key.split("."):
        held = [names(model)[part] for model in found if part in names(model)]
        assert held, key
        found = [model for annotation in held for model in sections_in(annotation)]
    assert f"`{key}" in PAGE


def test_the_routes_shown_are_valid(tmp_path: Path) -> None:
    shown = yaml.safe_load(block("yaml", section("What is fetched again")))
    whole = config("http://up.example", *shown["routes"], upstreams={"orders": {"url": "http://up.example"}})
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(whole | {"listen": "127.0.0.1:1", "admin": {"listen": "127.0.0.1:2"}}))
    assert [len(route.cache.tags) for route in snapshot(load(path)).routes if route.cache is not None] == [2, 1]


def test_the_answers_are_those_of_the_config_shown() -> None:
    entry = policy(snapshot(load(ROOT / "config.yaml")).routes[0])
    assert isinstance(entry.one, dict)
    answer = orjson.loads(block("json", PAGE))
    assert answer == entry.one | {"message": str(entry.one["message"]).format(subject=12345)}
    assert entry.status is not None
    assert isinstance(entry.status.answer, dict)
    told = orjson.loads(block("json", section("Looking, and taking it back")))
    assert list(told) == list(entry.status.answer)
    word = entry.status.words["running"]
    assert (told["refreshStatusId"], told["refreshStatus"]) == (word.id, word.text)


def test_the_commands_exist() -> None:
    shown = block("sh", section("Looking, and taking it back"))
    help_ = CliRunner().invoke(app, ["refresh", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    options = set(re.findall(r"--[a-z-]+", shown))
    assert options
    assert {option for option in options if option not in help_} == set()
