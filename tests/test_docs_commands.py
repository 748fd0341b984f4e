"""docs/: the commands of the pages work as they are typed, while the demo runs."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest
from demo.running import Demo, running
from support.addresses import HOST
from support.pages import fenced, inline, section
from support.tools import skip_unless_tool
from support.typed import Terminal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TYPED = ["background-refresh.md", "caching.md", "metering.md", "operations.md", "refresh.md"]
ELSEWHERE = {
    "promtool": "tests/prometheus runs it",
    "ssh": "it needs another machine",
}
"""What is not typed here, by its first word. The reason, in a line."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo in a folder that has what the pages name: the command, and a config that is to follow."""
    folder = tmp_path_factory.mktemp("demo")
    for name in ("config.yaml", "new.yaml"):
        shutil.copy(ROOT / "config.yaml", folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(ROOT / ".venv" / "bin")
    with running(folder / "config.yaml") as demo:
        demo.wait_until_ready()
        yield demo


def _environment(demo: Demo, folder: Path) -> Mapping[str, str]:
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "GATEWAY_ADMIN": f"{HOST}:{demo.ports[1]}"}


def _lines(page: str) -> list[str]:
    blocks = fenced("sh", (DOCS / page).read_text())
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line]


@pytest.mark.parametrize("page", TYPED)
def test_every_command_of_a_page_works(page: str, demo: Demo, tmp_path: Path) -> None:
    skip_unless_tool("curl")
    with Terminal(demo.folder, _environment(demo, demo.folder), tmp_path / "terminal") as terminal:
        for line in _lines(page):
            if line.split()[0] not in ELSEWHERE:
                clients, operators = (f"{HOST}:{port}" for port in demo.ports[:2])
                terminal.type(line.replace("127.0.0.1:8080", clients).replace("127.0.0.1:9180", operators))


def test_operations_tells_every_path_of_the_operators_api(demo: Demo) -> None:
    with urlopen(f"http://{HOST}:{demo.ports[1]}/-/openapi.json") as answer:
        served = set(json.load(answer)["paths"])
    table = section("The operators' API", (DOCS / "operations.md").read_text()).partition("\n| ")[2]
    assert {span for span in inline(table) if span.startswith("/-/")} == served


def test_every_page_with_commands_is_typed() -> None:
    """getting-started.md is typed from its top to its end in test_docs_pages.py."""
    assert {path.name for path in DOCS.glob("*.md") if _lines(path.name)} == {"getting-started.md", *TYPED}


def test_nothing_is_excused_that_no_page_has() -> None:
    assert set(ELSEWHERE) <= {line.split()[0] for page in TYPED for line in _lines(page)}
