"""Files read once each, and told apart by what they held."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gateway.config.sources import LARGEST, Files, Sources, TooLarge

_NOBODY = 65534


def test_a_file_is_read_once_and_is_what_was_digested(tmp_path: Path) -> None:
    path, files = tmp_path / "a", Files()
    path.write_text("one")
    assert files.read(path) == b"one"
    path.write_text("two")
    assert files.read(path) == b"one"
    assert files.sources == Sources({path: sha256(b"one").digest()})
    assert files.sources.now() == Sources({path: sha256(b"two").digest()})


def test_the_same_file_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("one")
    monkeypatch.chdir(tmp_path)
    files = Files()
    assert files.read(Path("a")) == files.read(tmp_path / "a")
    assert list(files.sources.files) == [tmp_path / "a"]


def test_a_missing_file_is_a_source_until_it_is_there(tmp_path: Path) -> None:
    path, files = tmp_path / "a", Files()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            files.read(path)
    assert files.sources == Sources({path: None}) == files.sources.now()
    path.write_text("")
    assert files.sources.now() != files.sources


def test_what_a_pattern_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.yaml", "a.yaml", ".c.yaml", "d.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "e.yaml").mkdir()
    monkeypatch.chdir(tmp_path)
    files = Files()
    assert files.matching(Path("*.yaml")) == (Path("a.yaml"), Path("b.yaml"))
    assert files.sources.patterns == {tmp_path / "*.yaml": (tmp_path / "a.yaml", tmp_path / "b.yaml")}
    assert files.sources.now() == files.sources
    (tmp_path / "a.yaml").unlink()
    assert files.sources.now().patterns == {tmp_path / "*.yaml": (tmp_path / "b.yaml",)}


def test_a_swapped_link_is_another_content(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    link, files = tmp_path / "link", Files()
    link.symlink_to("one")
    files.read(link)
    link.unlink()
    link.symlink_to("two")
    assert files.sources.now() != files.sources


def test_a_pipe_is_read_but_no_source(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"text")
    os.close(write)
    files = Files()
    assert files.read(Path(f"/dev/fd/{read}")) == b"text"
    os.close(read)
    assert files.sources == Sources()


def test_a_source_that_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    assert Sources({tmp_path / "a": b"text"}).now() == Sources({tmp_path / "a": None})


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    for name, size in (("a", 6), ("b", 4), ("c", 1)):
        (tmp_path / name).write_bytes(b"x" * size)
    files = Files(10)
    assert (files.limited, Files().limited) == (True, False)
    assert files.read(tmp_path / "a") + files.read(tmp_path / "b") + files.read(tmp_path / "a") == b"x" * 16
    with pytest.raises(TooLarge):
        files.read(tmp_path / "c")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TooLarge):
        Files(10).read(tmp_path / "pipe")


def gone(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/null")


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def too_large(path: Path) -> None:
    os.truncate(path, LARGEST + 1)


@pytest.mark.parametrize(
    "become", [gone, a_folder, a_device, a_link_to_itself, too_large], ids=lambda each: each.__name__
)
def test_a_source_that_became_what_cannot_be_read(tmp_path: Path, become: Callable[[Path], None]) -> None:
    """It is a source still, so that it is seen once it is a file again; and looking at it leaves nothing open."""
    path, files = tmp_path / "a", Files()
    path.write_text("one")
    become(path)
    before = len(list(Path("/dev/fd").iterdir()))
    with suppress(OSError):
        files.read(path)
    assert files.sources == Sources({path: None}) == files.sources.now()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_no_more_is_read_than_a_config_may_hold(tmp_path: Path) -> None:
    for name, size in (("most", LARGEST), ("more", LARGEST + 1)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)
    assert len(Files().read(tmp_path / "most")) == LARGEST
    for endless in (tmp_path / "more", Path("/dev/zero")):
        with pytest.raises(OSError, match="too large"):
            Files().read(endless)


@contextmanager
def without_privileges() -> Iterator[None]:
    """As somebody who is not let in everywhere, which root is."""
    former = os.geteuid()
    os.seteuid(former or _NOBODY)
    try:
        yield
    finally:
        os.seteuid(former)


def test_a_folder_that_may_be_listed_but_not_entered() -> None:
    # pytest's own folders are for their owner alone.
    with TemporaryDirectory() as place:
        folder = Path(place) / "routes.d"
        folder.mkdir()
        (folder / "a.yaml").touch()
        Path(place).chmod(0o755)
        folder.chmod(0o444)
        with without_privileges():
            assert Sources({folder / "a.yaml": b"text"}).now() == Sources({folder / "a.yaml": None})
            assert Files().matching(folder / "*.yaml") == (folder / "a.yaml",)
        folder.chmod(0o755)


@pytest.mark.parametrize("name", ["a\0b", "a" * 300])
def test_what_is_no_name_cannot_be_read(tmp_path: Path, name: str) -> None:
    files = Files()
    with pytest.raises(OSError, match=r"Invalid argument|too long"):
        files.read(tmp_path / name)
    assert files.matching(tmp_path / f"{name}*") == ()
    assert Sources({tmp_path / name: b"text"}).now() == Sources({tmp_path / name: None})
