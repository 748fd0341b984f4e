"""`gateway check` as it is typed: what it prints, and when it ends with 0 or 2."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app

VALID = """\
upstreams: {api: {url: http://api}}
keys: [{id: me, key: k}]
routes: [{name: all, price: 1}]
"""
DOUBTFUL = VALID.replace("http://api}", "http://api}, spare: {url: http://spare}").replace(
    "name:", "upstream: api, name:"
)
BROKEN = "upstreams: {api: {url: http://api, timout: 1s}}\nroutes: [{cache: 15}]\n"

SPARE = "gateway.yaml:1:37: upstreams.spare: no route goes to it"
MISTAKES = [
    "gateway.yaml:1:36: upstreams.api: unknown key `timout`, did you mean `timeout`?",
    "gateway.yaml:2:18: routes[0].cache.ttl: must be a duration such as 250ms, 30s, 15m, 1h or 7d",
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(text: str, *options: str, old: str | None = None) -> Result:
    Path("gateway.yaml").write_text(text)
    if old is not None:
        Path("kept").mkdir()
        Path("kept", "old.yaml").write_text(old)
        options = (*options, "--diff", "kept/old.yaml")
    return CliRunner().invoke(app, ["check", "--config", "gateway.yaml", *options])


def as_json(ended: Result) -> Any:
    assert ended.stderr == ""
    return json.loads(ended.stdout)


def test_a_valid_config() -> None:
    ended = run(VALID)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "gateway.yaml is valid\n", "")


def test_warnings_leave_it_valid() -> None:
    ended = run(DOUBTFUL)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "gateway.yaml is valid\n", f"warning: {SPARE}\n")


def test_every_error_at_once() -> None:
    ended = run(BROKEN)
    assert (ended.exit_code, ended.stdout, ended.stderr.splitlines()) == (2, "", MISTAKES)


def test_what_changes() -> None:
    ended = run(VALID.replace("price: 1", "price: 2"), old=VALID)
    changed = "route `all`: price.base 1 → 2, for requests that begin from now on"
    assert (ended.exit_code, ended.stdout) == (0, f"gateway.yaml is valid\n{changed}\n")


def test_nothing_changes_where_the_old_one_was_kept_elsewhere() -> None:
    ended = run(VALID, old=VALID)
    assert (ended.exit_code, ended.stdout) == (0, "gateway.yaml is valid\nnothing changes\n")


@pytest.mark.parametrize("path", ["/elsewhere", "other"])
def test_another_folder_for_the_store_is_told(path: str) -> None:
    ended = run(VALID, old=f"{VALID}store: {{path: {path}}}\n")
    assert f"{path} → " in ended.stdout
    assert ended.stdout.endswith("var, needs a restart\n")


def test_an_old_one_that_is_broken() -> None:
    ended = run(DOUBTFUL, old=BROKEN)
    mistakes = [mistake.replace("gateway.yaml", "kept/old.yaml") for mistake in MISTAKES]
    assert (ended.exit_code, ended.stderr.splitlines()) == (2, [*mistakes, f"warning: {SPARE}"])
    assert ended.stdout == ""


def test_as_json() -> None:
    ended = run(DOUBTFUL, "--format", "json", old=DOUBTFUL)
    warning = {"file": "gateway.yaml", "line": 1, "column": 37, "message": "upstreams.spare: no route goes to it"}
    assert ended.exit_code == 0
    assert as_json(ended) == {"valid": True, "errors": [], "warnings": [warning], "changes": []}


def test_errors_as_json() -> None:
    ended = run(BROKEN, "--format", "json")
    found = as_json(ended)
    assert ended.exit_code == 2
    assert (found["valid"], [error["line"] for error in found["errors"]], found["warnings"]) == (False, [1, 2], [])
    assert "changes" not in found
