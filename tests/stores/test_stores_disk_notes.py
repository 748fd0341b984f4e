"""Notes: what is read back, and what is not trusted; a disk that takes nothing."""

import os
from pathlib import Path

import pytest
from stores.fetches import GROUPS, KEY, OTHER, StillClock, fetch, refresh
from stores.gated import Gated

from gateway.cache import Cache
from gateway.stores.disk import notes as module
from gateway.stores.disk.notes import Notes, read
from gateway.stores.memory import MemoryTier
from gateway.stores.selection import Everything

NOTE = ("drop", ("group",), 1.5, 2.5, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "marks"


def test_what_was_noted_is_read_by_the_next(path: Path) -> None:
    noted = Notes(path, "name", [NOTE])
    noted.add(("purge", ("everything",), 3.0, True))
    assert read(path) == ("name", (NOTE, ("purge", ("everything",), 3.0, True)))


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_file_cut_short_is_not_trusted(path: Path, cut: int) -> None:
    Notes(path, "name", [NOTE])
    path.write_bytes(path.read_bytes()[:-cut])
    assert read(path) is None


def test_a_damaged_one_is_not_trusted(path: Path) -> None:
    Notes(path, "name", [NOTE])
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert read(path) is None


@pytest.mark.parametrize("content", [None, b""], ids=["none", "empty"])
def test_one_that_says_nothing_is_not_trusted(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    assert read(path) is None


def test_what_the_tier_was_told_goes_once_it_is_much(path: Path) -> None:
    noted = Notes(path, "name")
    noted.add(NOTE)
    noted.settled()
    assert read(path) == ("name", (NOTE,))
    while path.stat().st_size <= module.KEPT:
        noted.add(NOTE)
    noted.settled()
    assert read(path) == ("name", ())


def test_more_than_may_wait_is_not_trusted_until_it_was_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 200)
    noted = Notes(path, "name")
    for _ in range(10):
        noted.add(NOTE)
    assert read(path) is None
    noted.settled()
    noted.add(NOTE)
    assert read(path) == ("name", (NOTE,))


@pytest.mark.parametrize("written", [0, 5], ids=["nothing", "a-part"])
def test_a_disk_that_takes_no_note_leaves_nothing_to_trust(
    path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    noted = Notes(path, "name")
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, content: write(file, content[:written]))
        noted.add(NOTE)
        noted.settled()
    assert read(path) is None
    noted.add(NOTE)
    assert read(path) is None
    noted.settled()
    assert read(path) == ("name", ())


def test_one_that_allows_nothing_at_all_is_asked_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    noted = Notes(path, "name")
    with monkeypatch.context() as closed:
        closed.setattr(os, "write", refuse)
        closed.setattr(os, "ftruncate", refuse)
        noted.add(NOTE)
    assert "responses on disk may be outdated" in capfd.readouterr().out
    noted.add(NOTE)
    assert read(path) is None


@pytest.mark.parametrize("what", ["refresh", "unsafe-method", "purge", "one", "untold"])
async def test_what_the_tier_was_not_told_holds_in_the_next_process(
    path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "untold":
        monkeypatch.setattr("gateway.stores.behind.UNTOLD", 0)
    clock, tier = StillClock(), Gated()
    cache = Cache(MemoryTier(1 << 20), tier, clock, Notes(path, "first"))
    stored = fetch(cache, OTHER)
    await cache.close()
    tier.broken = True
    match what:
        case "refresh" | "untold":
            refresh(cache, KEY)
        case "unsafe-method":
            cache.invalidate(GROUPS)
        case "purge":
            await cache.purge(Everything(), hard=True)
        case _:
            cache.outdate_one(stored)
    await cache.close()
    assert not cache.settled
    tier.broken = False
    assert len(await tier.tier.load(OTHER)) == 1
    [_, earlier] = read(path) or ("", ())
    after = Cache(MemoryTier(1 << 20), tier, clock, Notes(path, "second", earlier), 2000.0)
    assert await after.load(OTHER) == ()
    await after.close()
    assert after.settled
    assert await tier.tier.load(OTHER) == ()
