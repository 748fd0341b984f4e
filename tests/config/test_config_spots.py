"""Where something must happen for a config's files to become others."""

from pathlib import Path

import pytest

from gateway.config.sources import Sources
from gateway.config.spots import Spots, spots


def of(*files: Path, patterns: tuple[Path, ...] = ()) -> Spots:
    return spots(Sources(dict.fromkeys(files), dict.fromkeys(patterns, ())))


@pytest.mark.parametrize(
    ("missing", "first"),
    [("config.yaml", "config.yaml"), ("a/config.yaml", "a"), ("a/b/c/config.yaml", "a")],
    ids=["a file", "its folder", "folders above it"],
)
def test_of_what_is_missing_the_first_part(tmp_path: Path, missing: str, first: str) -> None:
    found = of(tmp_path / missing)
    assert found.names == {tmp_path / first}
    assert found.folders == {tmp_path}


def test_every_link_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "data" / "now").mkdir(parents=True)
    (tmp_path / "etc" / "gateway").symlink_to("../data")
    (tmp_path / "data" / "config.yaml").symlink_to("now/config.yaml")
    folder = tmp_path / "etc" / ".." / "data"
    assert of(tmp_path / "etc" / "gateway" / "config.yaml").names == {
        tmp_path / "etc" / "gateway",
        folder / "config.yaml",
        folder / "now" / "config.yaml",
    }


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert of(tmp_path / "a").folders == {tmp_path}


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "is_symlink", refused)
    assert of(tmp_path / "config.yaml") == Spots(frozenset(), frozenset(), frozenset())


@pytest.mark.parametrize(
    ("pattern", "name", "concerned"),
    [
        ("routes.d/*.yaml", "routes.d/a.yaml", True),
        ("routes.d/*.yaml", "routes.d/a.txt", False),
        ("routes.d/*.yaml", "a.yaml", False),
        ("*.d/[ab].yaml", "keys.d", True),
        ("none.d/*.yaml", "none.d", True),
    ],
)
def test_what_a_pattern_may_match(tmp_path: Path, pattern: str, name: str, concerned: bool) -> None:
    (tmp_path / "routes.d").mkdir()
    assert of(patterns=(tmp_path / pattern,)).concerns(str(tmp_path / name)) is concerned


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "config[1].yaml"
    assert of(path).concerns(str(path))


def test_another_folder_at_the_place_of_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    before = of(folder / "config.yaml")
    folder.rename(tmp_path / "aside")
    folder.mkdir()
    after = of(folder / "config.yaml")
    assert after.names == before.names
    assert after != before
