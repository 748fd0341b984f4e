"""The README's clients as they stand, against the demo: only its port is another."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.running import ROOT, Demo, running
from snippets.runtimes import Client, interpreted
from support.typed import Block, blocks

pytestmark = pytest.mark.slow

CLIENTS = [
    block for block in blocks((ROOT / "README.md").read_text()) if block.language in {"python", "js", "go", "php"}
]
RUNTIMES = {
    "python": Client("client.py", interpreted(sys.executable), ()),
    "js": Client("client.mjs", interpreted("node"), ("node",), ("nodejs",)),
    "go": Client("client.go", interpreted("go", "run"), ("go",), ("golang-go",)),
    "php": Client("client.php", interpreted("php"), ("php", "/usr/lib/php/*/curl.so"), ("php-cli", "php-curl")),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo with the repository's config in a folder of its own, for the store lies beside it."""
    with running(Path(shutil.copy(ROOT / "config.yaml", tmp_path_factory.mktemp("demo")))) as demo:
        demo.wait_until_ready()
        yield demo


def _name(block: Block) -> str:
    return next(word for word in ("requests", "httpx", block.language) if word in block.text or word == block.language)


@pytest.mark.parametrize("block", CLIENTS, ids=_name)
def test_a_client_prints_the_title_and_the_tokens_left(demo: Demo, block: Block, tmp_path: Path) -> None:
    client = RUNTIMES[block.language]
    client.skip_unless_runnable()

    printed = client.run_text(tmp_path, block.text.replace("127.0.0.1:8080", f"127.0.0.1:{demo.ports[0]}"))

    assert re.fullmatch(r"Cooks Essentials EP-PC8 Pressure Cooker (199\d)\n", printed)


def test_every_language_has_its_client() -> None:
    assert [_name(block) for block in CLIENTS] == ["requests", "httpx", "js", "go", "php"]
