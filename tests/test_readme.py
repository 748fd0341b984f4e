"""The pages for people: what they name exists, and what they show is what the gateway does."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from support.in_process import no_gauges
from typer.testing import CliRunner

from gateway.admission.charge import Charge
from gateway.answers.limits import token_lines
from gateway.answers.problem import problem_body
from gateway.cli import app
from gateway.collapse import Unkept
from gateway.config.load import load
from gateway.config.schema import schema_json
from gateway.config.warnings import warnings
from gateway.demo import guide
from gateway.errors import Problem, Reason
from gateway.metrics import Metrics
from gateway.rfc9111.reuse import Detail, Fwd
from gateway.rfc9111.storing import Unstorable

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#\s]*)#?([^)\s]*)\)")
SETTING = re.compile(r"([a-z_]+(?:\.[a-z_]+)+)(?:: .*)?")
# Only what answers a GET is ever judged, and what answers a POST in the place of one.
NEVER_SEEN = {Unstorable.method.detail}


def fenced(language: str, text: str = README) -> list[str]:
    return [block for found, block in FENCED.findall(text) if found == language]


def inline(text: str) -> list[str]:
    return [re.sub(r"\s+", " ", span) for span in INLINE.findall(FENCED.sub("", text))]


def commands(page: Path) -> Iterator[str]:
    """Each line that a reader may type."""
    text = page.read_text()
    for block in [*fenced("sh", text), *inline(text)]:
        yield from (line.partition(" #")[0] for line in block.splitlines())


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_command_exists_with_its_options(page: Path) -> None:
    for line in commands(page):
        if found := re.search(r"(?:^|[\s/])gateway ((?:keys |ledger )?[a-z]+)(.*)", line):
            shown = CliRunner().invoke(app, [*found[1].split(), "--help"], env={"COLUMNS": "200"})
            assert shown.exit_code == 0, line
            for option in re.findall(r"--[a-z-]+", found[2]):
                assert option in shown.output, line


def test_every_make_target_and_variable_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    for line in commands(page):
        if found := re.match(r"make ([a-z]+)(.*)", line):
            assert found[1] in targets, line
            assert set(re.findall(r"([A-Z_]+)=", found[2])) <= variables, line


def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for path, anchor in LINK.findall(text):
        if "://" not in path:
            assert (page.parent / path).exists(), path
            assert not anchor or anchor in anchors, anchor


@pytest.mark.parametrize("name", ["README.md", "docs/errors.md"])
def test_every_setting_is_in_the_schema(name: str) -> None:
    known = set(_properties(schema_json()))
    for span in inline((ROOT / name).read_text()):
        setting = SETTING.fullmatch(span)
        if setting and not setting[1].endswith(".yaml"):
            assert set(setting[1].split(".")) <= known, span


def _properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from _properties(value)


CONFIGS = [block for block in fenced("yaml") if "scrape_configs" not in block]


@pytest.mark.parametrize("block", CONFIGS, ids=lambda block: block.splitlines()[0])
def test_every_config_is_valid(block: str, tmp_path: Path) -> None:
    whole = {**yaml.safe_load(CONFIGS[0]), **yaml.safe_load(block)}
    path = tmp_path / "config.yaml"
    path.write_text(block if block == CONFIGS[0] else yaml.safe_dump(whole))
    config = load(path, {name: f"the-{name}" for name in re.findall(r"\$\{(\w+)\}", path.read_text())})
    assert warnings(config) == []
    assert len(config.keys) == len(whole["keys"])


def test_the_simplest_config_is_six_lines() -> None:
    assert len(CONFIGS[0].splitlines()) == 6


def test_the_demo_prints_what_is_shown() -> None:
    console = Console(file=io.StringIO(), soft_wrap=True, highlight=False)
    guide.show(console, guide.Ports(port=8080, admin_port=9180, upstream_port=8081, orders_port=8082))
    assert isinstance(console.file, io.StringIO)
    assert fenced("text")[0] in console.file.getvalue()


def test_every_metric_is_listed_and_no_other() -> None:
    counted = {family.name for family in Metrics(no_gauges(), "0").collect()}
    listed = set(re.findall(r"\bgateway_[a-z_]+", README))
    assert {re.sub("_(total|info)$", "", name) for name in listed} == counted


def test_every_field_is_one_of_the_code() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))
    for name in re.findall(r"\bX-[A-Za-z-]+", README):
        assert name in sources, name


def test_every_token_field_is_listed() -> None:
    charge = Charge(1, 1999, 2000, 2_592_000, 1_796_083_200.0, 600, 60, 599, 1)
    sent = [line.partition(":")[0] for line in token_lines(charge, 1_795_306_601.0).decode().splitlines()]
    assert len(sent) == 8
    assert set(sent) <= set(inline(section("Answer fields")))


def test_every_detail_of_cache_status_is_explained() -> None:
    page = inline(section("Why is it not a hit?"))
    details = [reason.detail for kind in (Unstorable, Unkept) for reason in kind] + [detail.value for detail in Detail]
    assert {detail for detail in details if detail not in page} == NEVER_SEEN
    # `fwd-status` is a member of its own.
    assert {span.removeprefix("fwd=") for span in page if span.startswith("fwd=")} == {fwd.value for fwd in Fwd}


def test_every_reason_is_listed_under_its_status() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| ([^|]+) \|", section("Errors"), re.MULTILINE)
    assert rows
    for statuses, names in rows:
        for name in INLINE.findall(names):
            assert str(Reason[name].status) in statuses.split(", "), name


def test_the_problem_shown_is_one() -> None:
    shown = json.loads(fenced("json")[0])
    _, body = problem_body(Problem(Reason[shown["reason"]]), shown["request_id"], None)
    assert json.loads(body) == shown
