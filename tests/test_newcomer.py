"""A newcomer's first minutes: clone into an empty home, and type the whole README, line by line.

Nothing is left out but what `ELSEWHERE` names, each with its reason. What is typed differs from what is read in this:

- `<URL>` is that of a repository with this checkout's files, and `https://api.example.com` a scripted upstream's;
- the ports are free ones: `make run` is told them, the gateway has them from GATEWAY_LISTEN and GATEWAY_ADMIN;
- a line that does not end by itself has a terminal to itself, and Ctrl-C is pressed when the next such line comes.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.addresses import HOST, free_port
from support.pages import FENCED, inline
from support.tools import skip_unless_tool
from support.typed import Block, Terminal, blocks, not_shown
from support.upstream import ScriptedUpstream

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
INSTALLATION = 300.0
KEPT = re.compile(r"(PIP|UV|SSL)_.*|.*_CA_BUNDLE|(HTTP|HTTPS|NO)_PROXY|LANG", re.IGNORECASE)
PORTS = ("PORT", "ADMIN_PORT", "UPSTREAM_PORT", "ORDERS_PORT")
STAYS = re.compile(r"make run\b|\.venv/bin/gateway serve\b")

CONFIG = "yaml"
ELSEWHERE = {
    "python": "a client: tests/snippets/test_snippets_readme.py runs it",
    "js": "a client: tests/snippets/test_snippets_readme.py runs it",
    "go": "a client: tests/snippets/test_snippets_readme.py runs it",
    "php": "a client: tests/snippets/test_snippets_readme.py runs it",
    "make run PORT=18080 ADMIN_PORT=19180 UPSTREAM_PORT=18081 ORDERS_PORT=18082": "it is typed with other ports",
    "make install": "`make run` begins with it",
    "gateway serve --workers N": "it needs a Redis: tests/workers/test_workers_on_redis.py has one",
    "make test": "it runs this",
    "make quick": "a part of `make test`",
    "make docs": "tests/scripts/test_bench_readme.py and test_config_reference.py hold what it writes to be current",
    "make bench": "ten minutes; tests/scripts/test_bench.py runs its parts",
    "make bench-quick": "the same in short",
}
"""What no newcomer here types: languages of blocks, and commands between backticks. The reason, in a line."""


class Reader:
    """Someone with an empty home, who reads the page from its top and types what stands there."""

    def __init__(self, folder: Path, url: str, api: str) -> None:
        self.home, self.checkout = folder / "home", folder / "home" / "gateway"
        self.home.mkdir()
        self._logs = folder
        self._opened = 0
        self._ports = [free_port() for _ in PORTS]
        ports = " ".join(f"{name}={port}" for name, port in zip(PORTS, self._ports, strict=True))
        self._said = {
            "<URL>": url,
            "https://api.example.com": api,
            "127.0.0.1:8080": f"{HOST}:{self._ports[0]}",
            "127.0.0.1:9180": f"{HOST}:{self._ports[1]}",
            "make run": f"make run {ports}",
        }
        self._open = ExitStack()
        self._left: Terminal | None = None
        self._second: Terminal | None = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def follow(self, block: Block) -> None:
        """Type a block, and see that what the page shows of it was printed."""
        if block.language == CONFIG:
            (self.checkout / "api.yaml").write_text(self._as_typed(block.text))
        elif block.language == "sh":
            printed = self._typed([self._as_typed(line) for line in block.lines])
            lacking = not_shown(self._as_typed(block.shown), printed)
            assert lacking is None, f"{lacking!r} was not printed by\n{block.text}\nbut\n{printed}"

    def stop(self) -> None:
        """Ctrl-C at what runs, if anything does."""
        if self._left is not None:
            self._left.interrupt()
            self._left = None

    def _typed(self, lines: list[str]) -> str:
        *first, last = lines
        if not STAYS.match(last):
            self._second = self._second or self._terminal()
            return "".join(map(self._second.type, lines))
        self.stop()
        self._left = self._terminal()
        for line in first:
            self._left.type(line)
        self._left.leave(last, "Ctrl-C" if last.startswith("make") else '"event":"serving"', INSTALLATION)
        return self._left.printed

    def _as_typed(self, text: str) -> str:
        for read, typed in self._said.items():
            text = text.replace(read, typed)
        return text

    def _terminal(self) -> Terminal:
        self._opened += 1
        folder = self.checkout if self.checkout.exists() else self.home
        return self._open.enter_context(Terminal(folder, self._environment(), self._logs / f"terminal-{self._opened}"))

    def _environment(self) -> Mapping[str, str]:
        """An empty home and none of this process's variables, but for how packages are reached."""
        path = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "activate").exists()]
        kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
        listening = {"GATEWAY_LISTEN": f"{HOST}:{self._ports[0]}", "GATEWAY_ADMIN": f"{HOST}:{self._ports[1]}"}
        cache = {"PIP_CACHE_DIR": str(Path.home() / ".cache/pip")}
        return cache | kept | listening | {"HOME": str(self.home), "PATH": os.pathsep.join(path)}


def _repository(folder: Path) -> str:
    """The URL of a repository with this checkout's files as they are now, committed or not."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    settings = ["-c", "user.name=newcomer", "-c", "user.email=newcomer@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], [*settings, "commit", "-q", "-m", "As it is"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder.as_uri()


@pytest.mark.slow
@pytest.mark.timeout(INSTALLATION + 120)
def test_everything_is_typed_and_shows_what_it_says(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    for tool in ("git", "make", "curl"):
        skip_unless_tool(tool)
    with Reader(tmp_path, _repository(tmp_path / "published"), upstream.url) as reader:
        for block in blocks(README):
            reader.follow(block)
        reader.stop()
    [call] = upstream.calls("/the/path/you/want")
    assert call.field("Authorization") == "Bearer the-one-you-pay-for"


@pytest.mark.parametrize("block", blocks(README), ids=lambda block: block.text.splitlines()[0])
def test_no_block_is_left_out_silently(block: Block) -> None:
    assert block.language in {"sh", CONFIG} or ELSEWHERE[block.language]


def test_no_block_is_without_a_language() -> None:
    """What opens without one would be read as no block at all."""
    assert len(re.findall(r"^\s*(?:```|~~~)", README, re.MULTILINE)) == 2 * len(FENCED.findall(README))


def test_no_command_between_backticks_is_left_out_silently() -> None:
    typed = "\n".join(line for block in blocks(README) if block.language == "sh" for line in block.lines)
    named = [span for span in inline(README) if re.match(r"(make|curl|docker|(\.venv/bin/)?gateway) ", span)]
    assert [command for command in named if command not in ELSEWHERE and command not in typed] == []


def test_nothing_is_excused_that_the_page_does_not_have() -> None:
    languages = {block.language for block in blocks(README)}
    assert [name for name in ELSEWHERE if name not in languages and f"`{name}`" not in README] == []
