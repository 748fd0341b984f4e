"""The whole demo: each call that it prints answers what it says, background refresh included."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo.running import ROOT, Demo, running
from support.polling import eventually
from support.tools import skip_unless_tool

from gateway.demo import guide
from gateway.demo.sales import BROUGHT, FIRST

pytestmark = pytest.mark.slow

STEP = re.compile(
    r"^ +(?P<command>curl -i .*)\n +expect: (?P<expected>.*) \.\.\. \S+ (?P<consumed>\d+), \S+ (?P<remaining>\d+)$",
    re.MULTILINE,
)


class Guided:
    """A reader who copies what the demo prints."""

    def __init__(self, demo: Demo) -> None:
        self.steps = list(STEP.finditer(demo.output))
        self._printed = [line.strip() for line in demo.output.splitlines()]
        self._port = demo.ports[0]

    def follow(self, step: re.Match[str]) -> Any:
        """What one call answers, once all that was said of it holds."""
        answer = _shell(step["command"])
        head, _, content = answer.partition("\n\n")
        assert step["expected"] in answer
        assert f"X-Tokens-Consumed: {step['consumed']}\n" in head
        assert f"X-Tokens-Remaining: {step['remaining']}\n" in head
        return json.loads(content)

    def look(self, ending: str) -> list[str]:
        """What those of the printed commands tell that end so."""
        return [_shell(line) for line in self._printed if line.endswith(ending)]

    def page(self) -> str:
        """The dashboard, as it is answered where the guide says that it is."""
        [url] = [line.partition("browser: ")[2] for line in self._printed if "browser: " in line]
        return _shell(f"curl -sSf {url}")

    def has_refreshed(self) -> bool:
        key = f'-H "Authorization: Bearer {guide.KEY}"'
        [told] = json.loads(_shell(f"curl -s {key} http://127.0.0.1:{self._port}/-/refreshes"))["refreshes"]
        assert told["state"] in ("pending", "running", "done"), told
        return bool(told["state"] == "done")


def _shell(command: str) -> str:
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def guided(tmp_path: Path) -> Iterator[Guided]:
    skip_unless_tool("curl")
    with running(Path(shutil.copy(ROOT / "config.yaml", tmp_path))) as demo:
        demo.wait_until_ready()
        yield Guided(demo)


def test_what_it_prints_is_what_happens(guided: Guided) -> None:
    assert len(guided.steps) == len(guide.STEPS + guide.BACKGROUND_STEPS)
    *first, last = guided.steps
    miss, hit, full, posted, forced, before, again, _, status = [guided.follow(step) for step in first]
    assert miss["current_price"] == hit["current_price"], "a hit is the stored response"
    assert len({told["current_price"] for told in (hit, full, posted, forced)}) == 4, "every fetch has its own price"
    assert posted["offers"], "a refresh asks for all of it"
    assert before == again
    assert status["storeId"] == FIRST

    eventually(guided.has_refreshed)
    after = guided.follow(last)
    assert after["total"] == before["total"] + BROUGHT
    assert {order["advancedOptions"]["customField1"] for order in after["orders"]} == {"import 1"}

    retailer, orders = map(json.loads, guided.look("/stats"))
    assert (retailer["calls"], retailer["forced"]) == (4, 2)
    assert (orders["imports"], orders["limited"]) == ({str(FIRST): 1}, 0)
    [listed] = guided.look("refresh --list")
    assert "done" in listed
    assert "<main" in guided.page()
