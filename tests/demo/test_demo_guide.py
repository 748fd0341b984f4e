"""What the demo prints: whole commands, and numbers that add up and are those of the repository's config."""

import io
import re
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from gateway.demo import guide
from gateway.demo.guide import Ports

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lines() -> list[str]:
    console = Console(file=io.StringIO(), width=40, soft_wrap=True, highlight=False)
    guide.show(console, Ports(port=18080, admin_port=19180, upstream_port=18081))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_every_command_is_whole_on_a_line_of_its_own(lines: list[str]) -> None:
    commands = [line.strip() for line in lines if line.strip().startswith("curl ")]
    assert len(commands) == len(guide.STEPS) + 2
    for command in commands[: len(guide.STEPS)]:
        assert re.fullmatch(
            r'curl -i (-X POST )?-H "Authorization: Bearer rk_live_demo" "http://127.0.0.1:18080/v1/\S+"', command
        )
    assert commands[-2:] == ["curl -s http://127.0.0.1:19180/metrics", "curl -s http://127.0.0.1:18081/stats"]


def test_the_tokens_are_the_seeds_and_add_up(lines: list[str]) -> None:
    found = [re.search(r"tokens_consumed (\d+), tokens_remaining (\d+)", line) for line in lines]
    tokens = [(int(match[1]), int(match[2])) for match in found if match]
    assert tokens == [(1, 1999), (1, 1998), (6, 1992), (9, 1983), (9, 1974)]
    assert any("2,000 - 9 = 1,991" in line for line in lines)


def test_nothing_is_coloured_where_nobody_looks(lines: list[str]) -> None:
    assert "\x1b" not in "\n".join(lines)


def test_the_key_and_the_grant_are_the_configs() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert [key["key"] for key in config["keys"]] == [guide.KEY]
    assert config["plans"]["pro"]["tokens"]["grant"] == guide.GRANT
