"""The picture of a request's way: current, whole, and refused where the code goes another way than it can tell."""

import importlib
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = (
    "pipeline.py",
    "concluding.py",
    "fastlane/lane.py",
    "fastlane/planning.py",
    "listener/connection.py",
    "listener/server.py",
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("scripts.request_way")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The code that is read, to be changed."""
    for name in READ:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "gateway" / name, tmp_path / name)
    return tmp_path


def changed(package: Path, file: str, old: str, new: str) -> None:
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))


def test_it_is_current(script: Any) -> None:
    assert script.picture(script.way()) == script.PICTURE.read_text(), "run `make docs`"


def test_the_steps_are_the_pipelines(script: Any) -> None:
    assert script.way().steps == ["read", "prepare", "load", "decide", "admit", "fetch", "settle", "answer"]


def test_every_arm_ends_with_an_answer(script: Any) -> None:
    way = script.way()
    assert list(way.arms) == ["Reuse", "ReuseWhileRevalidating", "Refuse", "Validate | Fetch"]
    assert all(calls["answer"] for calls in way.arms.values())
    assert [arm for arm, calls in way.arms.items() if "settlement.reserve" in calls["admit"]] == ["Validate | Fetch"]


def test_what_is_only_for_another_arm_is_left_out(script: Any) -> None:
    arms = script.way().arms
    assert "revalidation.anticipate" in arms["Reuse"]["fetch"]
    assert arms["ReuseWhileRevalidating"]["fetch"] == ["revalidation.start"]


def test_it_is_text_with_a_title_and_no_script(script: Any) -> None:
    root = ET.fromstring(script.PICTURE.read_text())
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert set(script.CALLS) <= texts
    assert root.findtext(f"{SVG}title")
    assert root.findtext(f"{SVG}desc")
    assert {element.tag for element in root.iter()} & {f"{SVG}script", f"{SVG}image", f"{SVG}foreignObject"} == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        pytest.param(
            "pipeline.py", "self._settlement.reserve(op)", "True", "nothing calls settlement.reserve", id="lost"
        ),
        pytest.param("pipeline.py", "self._once.answer(", "self._twice.answer(", "twice.answer", id="a new step"),
        pytest.param("pipeline.py", "case Refuse():", "case Refuse() | None:", "tells Reuse", id="another arm"),
        pytest.param("concluding.py", "case Private():", "case Secret():", "Secret", id="another end"),
        pytest.param("pipeline.py", "prepare, load, decide,", "prepare, decide,", "load", id="a step less"),
        pytest.param("pipeline.py", "def _refuse(", "def _decline(", "no method _refuse", id="a method less"),
    ],
)
def test_code_that_goes_another_way_is_refused(
    script: Any, package: Path, file: str, old: str, new: str, told: str
) -> None:
    changed(package, file, old, new)
    with pytest.raises(script.CodeMoved, match=told):
        script.way(package)


def test_a_step_that_moved_is_drawn_there(script: Any, package: Path) -> None:
    changed(package, "pipeline.py", "while True:", "if True:")
    assert script.way().again
    assert not script.way(package).again
