"""When a config's files have changed: each way in which they do, told by the file system or found by looking."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from watchfiles._rust_notify import RustNotify

from gateway.config import watching
from gateway.config.sources import Sources
from gateway.config.watching import changes

pytestmark = pytest.mark.slow

NEVER = 3600.0
"""Seconds between two looks: who finds something sooner was told by the file system."""
PATIENCE = 20.0


class Follower:
    """Follows files and takes over what they hold each time that it is told; `idle` once it has looked and waits."""

    def __init__(self, sources: Sources, every: float) -> None:
        self.sources = sources.now()
        self.idle = asyncio.Event()
        self.looks = 0
        self._told = changes(lambda: self.sources, every)

    async def after(self, change: Callable[[], object]) -> Sources:
        """What the files hold when it is told of `change`, which is made while it waits."""
        telling = await self.waiting()
        change()
        await asyncio.wait_for(telling, PATIENCE)
        self.sources = self.sources.now()
        return self.sources

    async def waiting(self) -> asyncio.Future[None]:
        """Done when it is told."""
        self.idle.clear()
        telling = asyncio.ensure_future(anext(self._told))
        await asyncio.wait_for(self.idle.wait(), PATIENCE)
        return telling

    async def told(self) -> None:
        await asyncio.wait_for(anext(self._told), PATIENCE)

    async def close(self) -> None:
        await self._told.aclose()


Follow = Callable[..., Follower]


@pytest.fixture
async def follow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Follow]:
    """Follow files, and what patterns match; by default told by the file system alone."""
    followers: list[Follower] = []
    wait: Callable[[asyncio.Event, float], Awaitable[None]] = watching._wait

    async def noted(woken: asyncio.Event, seconds: float) -> None:
        followers[-1].idle.set()
        followers[-1].looks += 1
        await wait(woken, seconds)

    def start(*files: Path, patterns: tuple[Path, ...] = (), every: float = NEVER) -> Follower:
        sources = Sources(dict.fromkeys(files), dict.fromkeys(patterns, ()))
        followers.append(Follower(sources, every))
        return followers[-1]

    monkeypatch.setattr(watching, "_wait", noted)
    yield start
    for follower in followers:
        await follower.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    save(path, "old")
    return path


def save(path: Path, text: str) -> None:
    path.write_text(text)


def renamed(path: Path) -> None:
    """As editors save."""
    beside = path.with_name("new~")
    beside.write_text("new")
    beside.replace(path)


def replaced(path: Path) -> None:
    """The folder is another one."""
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_text("new")


def overlaid(path: Path) -> None:
    """As a mount that came too early leaves it."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_text("new"), renamed, Path.unlink, replaced, overlaid],
    ids=["saved in place", "saved by rename", "removed", "in another folder of the name", "a folder in its place"],
)
async def test_a_file_that_changes(follow: Follow, config: Path, change: Callable[[Path], object]) -> None:
    follower = follow(config)
    before = follower.sources
    assert await follower.after(lambda: change(config)) != before


@pytest.mark.parametrize("missing", ["config.yaml", "folder/config.yaml", "a/b/config.yaml"])
async def test_a_file_that_comes(follow: Follow, tmp_path: Path, missing: str) -> None:
    path = tmp_path / missing
    follower = follow(path)

    def come() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("new")

    assert list((await follower.after(come)).files.values()) != [None]


async def test_a_mounted_folder_is_swapped(follow: Follow, tmp_path: Path) -> None:
    """As Kubernetes mounts config maps: the file is a link through another one, which is what is swapped."""
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(name)
    data, path = tmp_path / "..data", tmp_path / "config.yaml"
    data.symlink_to("first")
    path.symlink_to("..data/config.yaml")
    follower = follow(path)
    for name in ("second", "third"):

        def swap(name: str = name) -> None:
            (tmp_path / "..tmp").symlink_to(name)
            (tmp_path / "..tmp").replace(data)

        before = follower.sources
        assert await follower.after(swap) != before


async def test_what_a_link_leads_to(follow: Follow, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real.yaml"
    target.write_text("old")
    (tmp_path / "config.yaml").symlink_to(target)
    follower = follow(tmp_path / "config.yaml")
    before = follower.sources
    assert await follower.after(lambda: target.write_text("new")) != before


async def test_one_more_that_a_pattern_matches(follow: Follow, tmp_path: Path) -> None:
    (tmp_path / "routes.d").mkdir()
    follower = follow(patterns=(tmp_path / "routes.d" / "*.yaml",))
    found = await follower.after((tmp_path / "routes.d" / "one.yaml").touch)
    assert list(found.patterns.values()) == [(tmp_path / "routes.d" / "one.yaml",)]


async def test_what_changed_before_anybody_looked(follow: Follow, config: Path) -> None:
    follower = follow(config)
    save(config, "new")
    await follower.told()


async def test_what_changed_while_it_was_taken_over(follow: Follow, config: Path) -> None:
    follower = follow(config)
    await follower.after(lambda: config.write_text("new"))
    save(config, "newer")
    await follower.told()


async def test_what_the_file_system_does_not_tell(follow: Follow, config: Path, tmp_path: Path) -> None:
    """Written through another name of the file, in a folder that nobody watches."""
    (tmp_path / "aside").mkdir()
    other = tmp_path / "aside" / "other"
    other.hardlink_to(config)
    follower = follow(config, every=0.01)
    before = follower.sources
    assert await follower.after(lambda: other.write_text("new")) != before


async def test_a_file_system_that_tells_nothing(follow: Follow, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> RustNotify:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("watchfiles.main.RustNotify", refused)
    with capture_logs() as logged:
        follower = follow(config, every=0.01)
        await follower.after(lambda: config.write_text("new"))
        await follower.after(lambda: config.write_text("newer"))
    assert [(line["event"], line["error"]) for line in logged] == [
        ("config folders not watched, their files are compared instead", "OS file watch limit reached")
    ]


async def test_what_is_not_taken_over_is_told_once(follow: Follow, config: Path) -> None:
    follower = follow(config)
    save(config, "new")
    await follower.told()
    telling = await follower.waiting()
    assert not telling.done()
    save(config, "newer")
    await asyncio.wait_for(telling, PATIENCE)


async def test_what_goes_back_to_what_was_told_is_told(follow: Follow, config: Path) -> None:
    follower = follow(config)
    await follower.after(lambda: config.write_text("new"))
    await follower.after(lambda: config.write_text("old"))
    await follower.after(lambda: config.write_text("new"))


async def test_other_files_beside_it_wake_nobody(follow: Follow, config: Path) -> None:
    """A log in the same folder, say."""
    follower = follow(config)

    def both() -> None:
        config.with_name("log").write_text("line\n")
        config.write_text("new")

    await follower.after(both)
    assert follower.looks == 1


@pytest.mark.parametrize(
    ("pieces", "settled"),
    [
        ([b"old"], b"old"),
        ([b"n", b"ne", b"new", b"new"], b"new"),
        ([b"n", b"old"], b"old"),
        ([bytes([number]) for number in range(99)], bytes([watching._LOOKS])),
    ],
    ids=["nothing new", "in pieces", "as it was in the end", "never still"],
)
async def test_a_file_is_read_once_it_is_still(
    pieces: list[bytes], settled: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look finds the next of `pieces`."""
    path, found = Path("/config.yaml"), iter(pieces)
    monkeypatch.setattr(Sources, "now", lambda _: Sources({path: next(found)}))
    monkeypatch.setattr(watching, "_STILL", 0)
    assert await watching._settled(Sources({path: b"old"})) == Sources({path: settled})


async def test_closing_leaves_no_task_behind(follow: Follow, config: Path) -> None:
    follower = follow(config)
    telling = await follower.waiting()
    telling.cancel()
    await asyncio.wait([telling])
    await follower.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
