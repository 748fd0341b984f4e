"""The config's way back in: what is swapped in, what is left alone, and what is told of either."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs
from support.clock import FakeClock
from support.config import KEY, config, plan, product_route
from support.polling import PATIENCE

from gateway import reload
from gateway.config.errors import ConfigError, ConfigInvalid
from gateway.config.load import Loaded, loaded
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.reload import Reloader

Logged = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    with capture_logs() as lines:
        yield lines


class Files:
    """A config file, and what becomes of what is read from it; `gate` holds the swap up where it is there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gateway.yaml"
        self.adopted: list[Config] = []
        self.refusal: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.write()

    def write(self, **changes: Any) -> None:
        keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
        whole = config("http://up.example", product_route(), keys=keys, plans={"pro": plan(2000)})
        ports = {"listen": "127.0.0.1:1", "admin": {"listen": "127.0.0.1:2"}}
        self.path.write_text(yaml.safe_dump(whole | ports | changes))

    async def read(self) -> Loaded:
        return loaded(self.path)

    async def adopt(self, loaded: Loaded) -> None:
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal
        self.adopted.append(loaded.config)

    def reloader(self, clock: FakeClock, read: Callable[[], Awaitable[Loaded]] | None = None) -> Reloader:
        return Reloader(read or self.read, self.adopt, loaded(self.path), clock)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def test_what_has_changed_is_swapped_in_and_told(files: Files, logged: Logged) -> None:
    clock = FakeClock()
    reloader = files.reloader(clock)
    began = clock.wall()
    files.write(plans={"pro": plan(3000)})
    clock.advance(60)
    status = await reloader.reload()
    assert [config.plans["pro"].tokens.grant for config in files.adopted] == [3000]
    assert (status.ok, status.errors, status.loaded_at) == (True, (), began + 60)
    assert [change for change in status.changes if "2000" in change and "3000" in change]
    assert status.files == (str(files.path),)
    assert [line["changes"] for line in logged if line["event"] == "config reloaded"] == [list(status.changes)]


@pytest.mark.parametrize("fails", [False, True], ids=["taken over", "fails"])
async def test_threads_give_the_interpreter_back_sooner_for_as_long_as_it_takes(files: Files, fails: bool) -> None:
    usual, during = sys.getswitchinterval(), list[float]()

    async def read() -> Loaded:
        during.append(sys.getswitchinterval())
        if fails:
            raise ZeroDivisionError
        return await files.read()

    assert (await files.reloader(FakeClock(), read).reload()).ok is not fails
    assert during[0] < usual / 5
    assert sys.getswitchinterval() == usual


async def test_each_change_is_held_against_the_config_before_it(files: Files) -> None:
    reloader = files.reloader(FakeClock())
    for grant in (3000, 4000):
        files.write(plans={"pro": plan(grant)})
        await reloader.reload()
    assert [change for change in reloader.status.changes if "3000" in change and "4000" in change]
    assert (await reloader.reload()).changes == ()


async def test_a_broken_file_changes_nothing_and_every_mistake_is_told_with_its_place(
    files: Files, logged: Logged
) -> None:
    clock = FakeClock()
    reloader = files.reloader(clock)
    began = clock.wall()
    files.write(log={"level": "loud"}, limits={"boddy": "1KiB"})
    clock.advance(60)
    status = await reloader.reload()
    assert not files.adopted
    assert (status.ok, status.loaded_at, status.attempted_at) == (False, began, began + 60)
    assert [(error.file, error.line > 0, error.column > 0) for error in status.errors] == [
        (str(files.path), True, True)
    ] * 2
    told = [line["error"] for line in logged if line["event"] == "config not reloaded"]
    assert told == [str(error) for error in status.errors]
    files.write()
    assert (await reloader.reload()).ok


@pytest.mark.parametrize("broken", [False, True], ids=["taken over", "refused"])
async def test_an_attempt_is_told_by_its_beginning(files: Files, broken: bool) -> None:
    clock = FakeClock()
    began = clock.wall()

    async def read() -> Loaded:
        clock.advance(60)
        return await files.read()

    reloader = files.reloader(clock, read)
    files.write(**({"log": {"level": "loud"}} if broken else {}))
    status = await reloader.reload()
    assert (status.ok, status.attempted_at) == (not broken, began)
    assert status.loaded_at == began + (0 if broken else 60)


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        pytest.param(BadStart("the key database cannot be read"), "the key database cannot be read", id="refused"),
        pytest.param(ZeroDivisionError("of ours"), "the gateway failed at it; see its log", id="a-bug"),
    ],
)
async def test_a_config_that_cannot_be_swapped_in_is_not_the_one_in_operation(
    files: Files, refusal: Exception, told: str
) -> None:
    reloader = files.reloader(FakeClock())
    files.write(plans={"pro": plan(3000)})
    files.refusal = refusal
    status = await reloader.reload()
    assert (status.ok, status.errors) == (False, (ConfigError("", 0, 0, told),))
    files.refusal = None
    status = await reloader.reload()
    assert status.ok
    assert [change for change in status.changes if "2000" in change]


async def test_who_asks_while_one_is_about_to_begin_gets_that_one(files: Files) -> None:
    """A hundred signals, or edits, are two reloads: the one under way, and one that sees the last of them."""
    reloader, files.gate = files.reloader(FakeClock()), asyncio.Event()
    first = asyncio.create_task(reloader.reload())
    await files.begun.wait()
    others = [asyncio.create_task(reloader.reload()) for _ in range(100)]
    await asyncio.sleep(0)
    files.gate.set()
    await asyncio.gather(first, *others)
    assert len(files.adopted) == 2


async def test_what_was_saved_and_asked_for_is_loaded_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher's own reload followed, and what had changed was no more to be seen in the status."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def changes(_: object) -> AsyncIterator[None]:
        await files.begun.wait()
        asked.set()
        yield
        over.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(reload, "changes", changes)
    reloader, files.gate = files.reloader(FakeClock()), asyncio.Event()
    files.write(plans={"pro": plan(3000)})
    watching, first = asyncio.create_task(reloader.watch()), asyncio.create_task(reloader.reload())
    await asyncio.wait_for(asked.wait(), PATIENCE)
    await asyncio.sleep(0)
    files.gate.set()
    await asyncio.wait_for(over.wait(), PATIENCE)
    watching.cancel()
    await asyncio.wait((watching,))
    assert len(files.adopted) == 1
    assert reloader.status.changes == (await first).changes != ()


async def test_one_goes_on_when_its_caller_leaves(files: Files) -> None:
    reloader, files.gate = files.reloader(FakeClock()), asyncio.Event()
    asked = asyncio.create_task(reloader.reload())
    await files.begun.wait()
    asked.cancel()
    await asyncio.wait((asked,))
    files.gate.set()
    assert (await reloader.reload()).ok
    assert len(files.adopted) == 2


async def test_nothing_is_swapped_in_after_the_end(files: Files) -> None:
    reloader, files.gate = files.reloader(FakeClock()), asyncio.Event()
    asked = asyncio.create_task(reloader.reload())
    await files.begun.wait()
    await reloader.close()
    assert asked.cancelled() or asked.done()
    assert not files.adopted


async def test_what_nobody_lived_to_tell_of_is_watched_as_it_was_known(files: Files, tmp_path: Path) -> None:
    """Once a process for it had died, what the config includes was watched no more."""
    included = tmp_path / "more.yaml"
    included.write_text("routes: []")
    files.write(include=["more.yaml"])

    async def read() -> Loaded:
        raise ConfigInvalid([ConfigError(str(files.path), 0, 0, "the process for it ended by signal 9")])

    reloader = files.reloader(FakeClock(), read)
    included.write_text("routes: [{name: more}]")
    assert not (await reloader.reload()).ok
    assert set(reloader._sources.files) == {files.path, included}
    assert reloader._sources == reloader._sources.now()


async def test_watching_goes_on_after_it_failed(files: Files, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """It ended for good, and nothing told of it."""
    attempts = 0

    async def changes(_: object) -> AsyncIterator[None]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise RuntimeError("can't start new thread")
        yield
        await asyncio.Event().wait()

    monkeypatch.setattr(reload, "changes", changes)
    monkeypatch.setattr(reload, "_AGAIN", 0)
    watching = asyncio.create_task(files.reloader(FakeClock()).watch())
    await asyncio.wait_for(files.begun.wait(), PATIENCE)
    watching.cancel()
    await asyncio.wait((watching,))
    assert [line["event"] for line in logged][:1] == ["config files not watched for a moment"]


async def test_without_a_file_there_is_nothing_to_read_again(files: Files) -> None:
    reloader = Reloader(None, files.adopt, loaded(files.path), FakeClock())
    await reloader.watch()
    status = await reloader.reload()
    assert (status.ok, [error.message for error in status.errors]) == (
        False,
        ["the gateway runs without a config file"],
    )
    assert not files.adopted
