"""`gateway serve`: what it refuses before it starts anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app


def test_more_workers_than_one_are_refused_without_a_store_that_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, ["serve", "--workers", "2", "--upstream", "http://127.0.0.1:9"])
    assert ended.exit_code == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("gateway: --workers 2: one process owns the journal and the book")
    assert "store: {kind: redis}" in line
    assert not [*tmp_path.iterdir()]


def test_a_mistake_in_the_config_is_told_before_any_worker_is_started(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["serve", "--workers", "2", "--config", str(tmp_path / "missing.yaml")])
    assert (ended.exit_code, ended.stderr.splitlines()) == (
        2,
        [f"{tmp_path}/missing.yaml: cannot be read: No such file or directory"],
    )


def test_fewer_than_one_are_a_mistake_in_the_command() -> None:
    ended = CliRunner().invoke(app, ["serve", "--workers", "0"])
    assert (ended.exit_code, "--workers" in ended.stderr) == (2, True)


def test_one_is_as_if_it_were_left_out(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["serve", "--workers", "1", "--config", str(tmp_path / "missing.yaml")])
    assert (ended.exit_code, ended.stderr.splitlines()) == (
        2,
        [f"{tmp_path}/missing.yaml: cannot be read: No such file or directory"],
    )
