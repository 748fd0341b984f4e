"""What must not start: one clear line, exit 2, and nothing half started."""

import re
from pathlib import Path
from typing import Any

import pytest
from support.config import KEY, UPSTREAM_SECRET, Config, config, route
from support.gateway import RunningGateway
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow


def without(whole: Config, *names: str) -> Config:
    return {name: value for name, value in whole.items() if name not in names}


def simple() -> Config:
    return config("http://127.0.0.1:9", route("/{rest:.*}", "all"))


BROKEN: dict[str, tuple[Config | str, list[str]]] = {
    "unknown key": (simple() | {"rotues": []}, ["gateway.yaml:", "rotues", "routes"]),
    "no upstreams": (without(simple(), "upstreams"), ["upstreams"]),
    "yaml": ("routes: [", ["gateway.yaml:"]),
    "unset variable": (simple() | {"keys": [{"id": "a", "key": "${NOT_SET_ANYWHERE}"}]}, ["NOT_SET_ANYWHERE"]),
    "two mistakes": (simple() | {"timezone": "Mars/Base", "colour": "red"}, ["timezone", "colour"]),
}


def fails_to_start(folder: Path, whole: Config | str) -> tuple[RunningGateway, str]:
    broken = RunningGateway(folder, whole)
    ended = broken.refused()
    assert ended.status == 2, ended.output
    assert "Traceback" not in ended.output
    return broken, ended.output


@pytest.mark.parametrize(("whole", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_config_ends_with_what_is_wrong(tmp_path: Path, whole: Config | str, words: list[str]) -> None:
    _, output = fails_to_start(tmp_path, whole)
    assert all(word in output for word in words), output
    assert all(re.match(r"\S*gateway\.yaml:\d+:\d+: \S", line) for line in output.splitlines()), output
    assert not (tmp_path / "var").exists()


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    broken = RunningGateway(tmp_path, simple())
    broken.path.unlink()
    ended = broken.refused()
    assert (ended.status, "gateway.yaml" in ended.output) == (2, True)


@pytest.mark.parametrize("taken", ["client port", "admin port"])
def test_a_taken_port_is_named_and_nothing_is_half_started(
    tmp_path: Path, upstream: ScriptedUpstream, taken: str
) -> None:
    broken = RunningGateway(tmp_path, config(upstream.url, route("/{rest:.*}", "all")))
    if taken == "client port":
        broken.port = upstream.port
    else:
        broken.admin_port = upstream.port
    ended = broken.refused()
    assert ended.status == 2, ended.output
    assert str(upstream.port) in ended.output
    assert "Traceback" not in ended.output
    assert len(ended.output.strip().splitlines()) == 1, ended.output
    assert not upstream.requests


@pytest.mark.parametrize("kind", ["file", "no right"])
def test_an_unwritable_store_is_named(tmp_path: Path, kind: str) -> None:
    path = "gateway.yaml/var" if kind == "file" else "/proc/gateway"
    _, output = fails_to_start(tmp_path, simple() | {"store": {"path": path}})
    assert path in output
    assert len(output.strip().splitlines()) == 1, output


def test_a_secret_in_a_broken_config_is_not_printed(tmp_path: Path) -> None:
    broken: dict[str, Any] = simple() | {"keys": [{"id": "a", "key": KEY, "colour": "red"}]}
    _, output = fails_to_start(tmp_path, broken)
    assert KEY not in output
    assert UPSTREAM_SECRET not in output
