"""docs/: its index has every page, its configs load, its settings exist, and what a newcomer types there works."""

import ast
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.addresses import HOST, free_port
from support.certificates import chain, issued, key
from support.pages import fenced, inline, section
from support.tools import skip_unless_tool
from support.typed import Block, Terminal, blocks, not_shown
from support.upstream import ScriptedUpstream

from gateway.config.load import load
from gateway.config.schema import schema_json
from gateway.config.warnings import warnings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
INDEX = DOCS / "README.md"
DECISIONS = DOCS / "decisions"
LINK = re.compile(r"\[([^]]+)\]\(([^)]+)\)")
SETTING = re.compile(r"([a-z_]+(?:\.(?:\*|[a-z_]+))+)(?:: .*)?")
# Files and metrics' labels look like settings, and so do names of other programs'.
NO_SETTING = re.compile(r"\S+\.(md|yaml|yml|json|py|toml|sqlite3|svg)|net\.\S+|config\.load")


def named(page: Path) -> str:
    return str(page.relative_to(DOCS))


@pytest.fixture(params=PAGES, ids=named)
def page(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text()


def test_the_index_has_every_page() -> None:
    linked = {target for _, target in LINK.findall(INDEX.read_text()) if "/" not in target}
    assert linked == {page.name for page in PAGES} - {INDEX.name}


def test_the_decisions_are_all_listed_once_by_their_titles() -> None:
    listed = [(target, title) for title, target in re.findall(r"^- \[(.+)\]\((.+)\)$", _decisions(), re.MULTILINE)]
    files = [path for path in DECISIONS.glob("*.md") if path.name != INDEX.name]
    assert sorted(listed) == sorted((path.name, path.read_text().splitlines()[0].removeprefix("# ")) for path in files)


def _decisions() -> str:
    return (DECISIONS / INDEX.name).read_text()


def test_the_contents_of_a_page_are_its_sections(page: str) -> None:
    """Of pages that have them: links to sections, in a paragraph of nothing else."""
    head = page.partition("\n## ")[0]
    contents = [part for part in head.split("\n\n") if re.fullmatch(r"(\[[^]]+\]\(#[^)]+\)[ ·\n]*)+", part)]
    if contents:
        titles = re.findall(r"^## (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
        assert [title for title, _ in LINK.findall(contents[0])] == titles


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "config.md"], ids=named)
def test_every_setting_is_in_the_schema(path: Path) -> None:
    known = set(_properties(schema_json()))
    for span in inline(path.read_text()):
        setting = SETTING.fullmatch(span)
        if setting and not NO_SETTING.fullmatch(span):
            assert set(setting[1].split(".")) - {"*"} <= known, span


def _properties(schema: Any) -> Iterator[str]:
    match schema:
        case dict():
            yield from schema.get("properties", {})
            for value in schema.values():
                yield from _properties(value)
        case list():
            for value in schema:
                yield from _properties(value)
        case _:
            pass


CERTIFIED = {"cert": chain, "key": key}
# The reference shows mistakes, and a scrape is another program's.
CONFIGS = [
    pytest.param(block, id=f"{path.name}: {block.splitlines()[0]}")
    for path in PAGES
    if path.name != "config.md"
    for block in fenced("yaml", path.read_text())
    if "scrape_configs" not in block
]


@pytest.mark.parametrize("block", CONFIGS)
def test_every_config_is_valid_and_meant(block: str, tmp_path: Path) -> None:
    shown, leaf = yaml.safe_load(block), issued()
    for name, content in CERTIFIED.items() if "tls" in shown else ():
        file = tmp_path / shown["tls"][name]
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content(leaf))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(_whole(shown)))
    config = load(path, {name: f"the-{name}" for name in re.findall(r"\$\{(\w+)", path.read_text())})
    assert warnings(config) == []


def _whole(shown: dict[str, Any]) -> dict[str, Any]:
    """What a page shows a part of: with a key, and the upstreams that its routes go to."""
    routes: list[dict[str, Any]] = shown.get("routes", [])
    upstreams = {route.get("upstream", "api"): {"url": "https://api.example.com"} for route in routes or [{}]}
    left_out: dict[str, Any] = {"upstreams": upstreams, "keys": [{"id": "me", "key": "mine"}], "routes": [{}]}
    return {**left_out, **shown}


def test_getting_started_tells_every_key_of_the_config() -> None:
    table = section("A whole config", (DOCS / "getting-started.md").read_text())
    told = [key for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(schema_json()["properties"])


def test_architecture_tells_the_pipelines_steps() -> None:
    told = re.findall(r"^\d\. \*\*(\w+)\.\*\*", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    stated = ast.get_docstring(ast.parse((ROOT / "gateway" / "pipeline.py").read_text())) or ""
    assert f"step by step: {', '.join(told[1:]).lower()}." in stated
    assert told[0] == "Read"


def test_architecture_tells_the_layers_as_they_are_enforced() -> None:
    layers = (ROOT / ".importlinter").read_text().partition("layers =\n")[2].partition("\n\n")[0].splitlines()
    heights = {module: height for height, line in enumerate(layers) for module in re.findall(r"\w+", line)}
    told = fenced("text", section("Layers", (DOCS / "architecture.md").read_text()))[0].splitlines()
    lines = [re.findall(r"\w+", line.partition("  ")[0]) for line in told]
    found = [{heights[name] for name in line} for line in lines]
    assert [len(height) for height in found] == [1] * len(told)
    assert found == sorted(found, key=min)


class Newcomer:
    """Who follows docs/getting-started.md where the gateway is installed: `make run` is what it runs, on free ports."""

    def __init__(self, folder: Path, api: str) -> None:
        self._folder = folder / "gateway"
        (self._folder / ".venv").mkdir(parents=True)
        (self._folder / ".venv" / "bin").symlink_to(ROOT / ".venv" / "bin")
        (self._folder / "config.yaml").write_text((ROOT / "config.yaml").read_text())
        self._logs = folder
        self._ports = [free_port() for _ in range(4)]
        ports = zip(("port", "admin-port", "upstream-port", "orders-port"), self._ports, strict=True)
        demo = " ".join(f"--{name} {port}" for name, port in ports)
        self._said = {
            "make run": f".venv/bin/gateway demo --config config.yaml {demo}",
            "https://api.example.com": api,
            "127.0.0.1:8080": f"{HOST}:{self._ports[0]}",
        }
        self._open = ExitStack()
        self._left: Terminal | None = None
        self._second = self._terminal("second")

    def __enter__(self) -> "Newcomer":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def follow(self, block: Block) -> None:
        """Type a block, and see that what the page shows of it was printed."""
        if block.language == "yaml":
            (self._folder / "api.yaml").write_text(self._as_typed(block.text))
        elif block.language == "sh":
            printed = self._typed([self._as_typed(line) for line in block.lines if "git clone" not in line])
            lacking = not_shown(block.shown, printed)
            assert lacking is None, f"{lacking!r} was not printed by\n{block.text}\nbut\n{printed}"

    def stop(self) -> None:
        """Ctrl-C at what runs, if anything does."""
        if self._left is not None:
            self._left.interrupt()
            self._left = None

    def _typed(self, lines: list[str]) -> str:
        *first, last = lines
        if not re.match(r"\.venv/bin/gateway (demo|serve)\b", last):
            return "".join(map(self._second.type, lines))
        self.stop()
        self._left = self._terminal("first")
        for line in first:
            self._left.type(line)
        self._left.leave(last, "Ctrl-C" if " demo " in last else '"event":"serving"')
        return self._left.printed

    def _as_typed(self, text: str) -> str:
        for read, typed in self._said.items():
            text = text.replace(read, typed)
        return text

    def _terminal(self, name: str) -> Terminal:
        log = self._logs / f"{name}-{len(list(self._logs.iterdir()))}"
        return self._open.enter_context(Terminal(self._folder, self._environment(), log))

    def _environment(self) -> Mapping[str, str]:
        listening = {"GATEWAY_LISTEN": f"{HOST}:{self._ports[0]}", "GATEWAY_ADMIN": f"{HOST}:{self._ports[1]}"}
        return {"PATH": os.environ["PATH"], "HOME": str(self._logs)} | listening


@pytest.mark.slow
def test_getting_started_works_as_it_is_typed(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    skip_unless_tool("curl")
    with Newcomer(tmp_path, upstream.url) as newcomer:
        for block in blocks((DOCS / "getting-started.md").read_text()):
            newcomer.follow(block)
        newcomer.stop()
    [call] = upstream.calls("/the/path/you/want")
    assert call.field("Authorization") == "Bearer the-one-you-pay-for"
