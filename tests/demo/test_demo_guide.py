"""What the demo prints: whole commands, and numbers that add up and are those of the repository's config."""

import io
import re
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from gateway.demo import guide
from gateway.demo.guide import Ports

STEPS = guide.STEPS + guide.BACKGROUND_STEPS
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lines() -> list[str]:
    console = Console(file=io.StringIO(), width=40, soft_wrap=True, highlight=False)
    guide.show(console, Ports(port=18080, admin_port=19180, upstream_port=18081, orders_port=18082))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_every_command_is_whole_on_a_line_of_its_own(lines: list[str]) -> None:
    commands = [line.strip() for line in lines if line.strip().startswith("curl ")]
    calls, looks = commands[: len(STEPS)], commands[len(STEPS) :]
    for command in calls:
        assert re.fullmatch(
            r'curl -i (-X POST )?-H "Authorization: Bearer rk_live_demo" "http://127.0.0.1:18080/\S+"', command
        )
    assert looks == [f"curl -s http://127.0.0.1:{rest}" for rest in ("19180/metrics", "18081/stats", "18082/stats")]
    assert any(re.fullmatch(r" +GATEWAY_ADMIN=127\.0\.0\.1:19180 \S*gateway refresh --list", line) for line in lines)


def test_the_tokens_are_the_seeds_and_add_up(lines: list[str]) -> None:
    found = [re.search(r"tokens.consumed:? (\d+), x?.?tokens.remaining:? (\d+)", line, re.IGNORECASE) for line in lines]
    tokens = [(int(match[1]), int(match[2])) for match in found if match]
    assert tokens[: len(guide.STEPS)] == [(1, 1999), (1, 1998), (6, 1992), (9, 1983), (9, 1974)]
    assert tokens[len(guide.STEPS) :] == [(1, 1973), (1, 1972), (3, 1969), (0, 1969), (1, 1968)]
    assert any("2,000 - 9 = 1,991" in line for line in lines)


def test_it_ends_with_where_to_look(lines: list[str]) -> None:
    assert lines[-2] == "Watch it in a browser: http://127.0.0.1:19180/"


def test_nothing_is_coloured_where_nobody_looks(lines: list[str]) -> None:
    assert "\x1b" not in "\n".join(lines)


def test_the_key_and_the_grant_are_the_configs() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert [key["key"] for key in config["keys"]] == [guide.KEY]
    assert config["plans"]["pro"]["tokens"]["grant"] == guide.GRANT


def test_a_gateway_with_tls_is_asked_by_https() -> None:
    console = Console(file=io.StringIO(), soft_wrap=True, highlight=False)
    guide.show(console, Ports(port=18080, admin_port=19180, upstream_port=18081, orders_port=18082), "https")
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert shown.count("https://127.0.0.1:18080") == len(STEPS) + 1
    assert "http://127.0.0.1:18080" not in shown
    assert "http://127.0.0.1:19180/metrics" in shown
