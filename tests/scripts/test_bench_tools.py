"""`make bench` on a machine where nothing may be installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench-tools.sh"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder with what the script itself needs, and an `id` that is not root's."""
    for tool in ("sh", "cat"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    _program(tmp_path, "id", "echo 1000")
    return tmp_path


def test_without_wrk_there_is_no_benchmark(path: Path) -> None:
    done = _run(path)

    assert done.returncode == 1
    assert "make bench: wrk is missing (apt install wrk)" in done.stderr


def test_without_a_peer_there_is_one(path: Path) -> None:
    _program(path, "wrk", "exit 0")

    assert _run(path).returncode == 0


def _program(folder: Path, name: str, line: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / name).chmod(0o755)


def _run(path: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": str(path)}
    return subprocess.run([path / "sh", SCRIPT], env=environment, capture_output=True, text=True, check=False)
