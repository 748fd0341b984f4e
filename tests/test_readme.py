"""The pages for people: what they name exists, and what the README shows is what the gateway does."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from support.pages import FENCED, anchors, fenced, inline, section
from support.typed import not_shown
from typer.testing import CliRunner

from gateway.cli import app
from gateway.collapse import Unkept
from gateway.config.load import load
from gateway.config.schema import schema_json
from gateway.config.warnings import warnings
from gateway.demo import guide
from gateway.errors import Reason
from gateway.rfc9111.reuse import Detail, Fwd
from gateway.rfc9111.storing import Unstorable

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "deploy/README.md", "tests/snippets/README.md")
PAGES = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\]\(([^)#\s]*)#?([^)\s]*)\)")
PICTURE = re.compile(r'\bsrc(?:set)?="([^"]+)"')
SETTING = re.compile(r"([a-z_]+(?:\.[a-z_]+)+)(?:: .*)?")


def commands(page: Path) -> Iterator[str]:
    """Each line that a reader may type."""
    text = page.read_text()
    for block in [*fenced("sh", text), *inline(text)]:
        yield from (line.partition(" #")[0] for line in block.splitlines())


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.mark.slow
def test_every_command_exists_with_its_options(page: Path) -> None:
    for line in commands(page):
        # After `docker exec` it is a container's name, after -g a group's.
        if found := re.search(r"(?<!exec)(?<!-g)(?:^|[\s/])gateway ((?:keys |ledger )?[a-z]+)(.*)", line):
            shown = CliRunner().invoke(app, [*found[1].split(), "--help"], env={"COLUMNS": "200"})
            assert shown.exit_code == 0, line
            for option in re.findall(r"--[a-z-]+", found[2]):
                assert option in shown.output, line


def test_every_make_target_and_variable_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    for line in commands(page):
        if found := re.match(r"make ([a-z-]+)(.*)", line):
            assert found[1] in targets, line
            assert set(re.findall(r"([A-Z_]+)=", found[2])) <= variables, line


def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        if "://" not in path:
            target = page.parent / path if path else page
            assert target.exists(), path
            assert not anchor or anchor in anchors(target.read_text()), f"{path}#{anchor}"


def test_every_picture_is_there(page: Path) -> None:
    for path in PICTURE.findall(page.read_text()):
        assert (page.parent / path).is_file(), path


def test_every_setting_is_in_the_schema() -> None:
    known = set(_properties(schema_json()))
    for span in inline(README):
        setting = SETTING.fullmatch(span)
        if setting and not setting[1].endswith(".yaml"):
            assert set(setting[1].split(".")) <= known, span


def _properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from _properties(value)


def test_the_simplest_config_is_valid_and_six_lines(tmp_path: Path) -> None:
    [block] = fenced("yaml", README)
    path = tmp_path / "api.yaml"
    path.write_text(block)
    config = load(path, {name: f"the-{name}" for name in re.findall(r"\$\{(\w+)\}", block)})
    assert warnings(config) == []
    assert len(config.keys) == len(yaml.safe_load(block)["keys"]) == 1
    assert len(block.splitlines()) == 6


def test_the_demo_prints_what_is_shown() -> None:
    console = Console(file=io.StringIO(), soft_wrap=True, highlight=False)
    guide.show(console, guide.Ports(port=8080, admin_port=9180, upstream_port=8081, orders_port=8082))
    assert isinstance(console.file, io.StringIO)
    assert not_shown(fenced("text", README)[0], console.file.getvalue()) is None


def test_no_line_of_a_block_is_cut_off() -> None:
    """A code host shows so many columns of a front page's blocks without a scroll bar."""
    lines = [line for _, text in FENCED.findall(README) for line in text.splitlines()]
    assert [line for line in lines if len(line) > 96] == []


@pytest.mark.parametrize("name", ["README.md", "docs/answers.md"])
def test_every_field_is_one_of_the_code(name: str) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))
    for field in re.findall(r"\bX-[A-Za-z-]+", (ROOT / name).read_text()):
        assert field in sources, field


def test_every_member_of_cache_status_is_one() -> None:
    spans = inline(section("Why is it not a hit?", README))
    details = {reason.detail for kind in (Unstorable, Unkept) for reason in kind} | {detail.value for detail in Detail}
    assert {span.removeprefix("fwd=") for span in spans if span.startswith("fwd=")} <= {fwd.value for fwd in Fwd}
    assert {span.split('"')[1] for span in spans if span.startswith("detail=")} <= details


def test_every_reason_is_listed_under_its_status() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| ([^|]+) \|", section("Answers", README), re.MULTILINE)
    assert rows
    for statuses, names in rows:
        assert {str(Reason[name].status) for name in inline(names)} == set(statuses.split(", "))
