"""The folder's lock: who holds it, and who only looks."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import BadStart
from gateway.ledger.recovery import held, lock


def test_a_lock_is_seen_for_as_long_as_it_is_held(tmp_path: Path) -> None:
    file = lock(tmp_path / "var")
    assert held(tmp_path / "var")
    with pytest.raises(BadStart, match="in use by another process"):
        lock(tmp_path / "var")
    os.close(file)
    assert not held(tmp_path / "var")
    os.close(lock(tmp_path / "var"))


@pytest.mark.parametrize("folder", ["none", "file"])
def test_where_no_ledger_is_nobody_holds_it_and_nothing_is_made(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("no folder")
    assert not held(tmp_path / folder)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_those_who_look_are_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One looks just then, and has let it go by the second try."""
    os.close(lock(tmp_path))
    looking = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not held(tmp_path)
    monkeypatch.setattr("gateway.ledger.recovery.time.sleep", lambda _: os.close(looking))
    os.close(lock(tmp_path))


def denied(*_: object) -> int:
    raise PermissionError(13, "Permission denied")


def without_locks(*_: object) -> int:
    raise OSError(37, "No locks available")


@pytest.mark.parametrize(
    ("name", "call"), [("os.open", denied), ("fcntl.flock", without_locks)], ids=["a file", "locks"]
)
def test_whoever_may_not_look_cannot_rule_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: Callable[..., int]
) -> None:
    os.close(lock(tmp_path))
    with monkeypatch.context() as refusing:
        refusing.setattr(name, call)
        assert held(tmp_path)
