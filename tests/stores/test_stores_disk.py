"""Disk: what a process trusts of what an earlier one left, after a kill, a power cut, with another clock or none."""

from collections.abc import Callable
from pathlib import Path

import pytest
from stores.fetches import StillClock
from stores.samples import sample
from stores.second_tier_contract import KEY

from gateway.stores.disk import file
from gateway.stores.disk.disk import Disk, forget
from gateway.stores.disk.notes import Notes

LIMIT = 16 << 20


class Clock(StillClock):
    """Time as one process sees it, `at` seconds after the first began; the machine's clock is ahead by `set`."""

    def __init__(self, at: float = 0.0, boot: str = "boot", ahead: float = 0.0) -> None:
        super().__init__()
        self.now += at + ahead
        self._up = (boot, at)

    def uptime(self) -> tuple[str, float]:
        return self._up


def opened(folder: Path, clock: Clock) -> Disk:
    disk = Disk.open(folder, LIMIT, clock, lambda _: False)
    assert disk is not None
    return disk


def kill(disk: Disk) -> None:
    """Let it be as after kill -9, as far as the file knows: SQLite's closing writes what is in the log before it."""
    disk.tier._closing = True
    with disk.tier._ready:
        disk.tier._ready.notify()
    disk.tier._thread.join()
    disk.tier._db.close()


async def left(folder: Path, clock: Clock, *, killed: bool) -> None:
    disk = opened(folder, clock)
    await disk.tier.save(sample(KEY, began=clock.now))
    if killed:
        kill(disk)
    else:
        await disk.close(settled=True)


@pytest.mark.parametrize(
    ("killed", "clock", "found"),
    [
        pytest.param(False, Clock(60), 1, id="ended"),
        pytest.param(True, Clock(60), 1, id="killed"),
        pytest.param(False, Clock(60, "other"), 1, id="ended-before-a-boot"),
        pytest.param(True, Clock(60, "other"), 0, id="power-cut"),
        pytest.param(True, Clock(60, ""), 0, id="killed-on-a-machine-that-names-no-boot"),
        pytest.param(False, Clock(60, ahead=3600), 1, id="clock-set-forward"),
        pytest.param(False, Clock(60, ahead=-3600), 0, id="clock-set-back"),
        pytest.param(False, Clock(7200, ahead=-3600), 0, id="clock-set-back-by-less-than-it-was-down"),
        pytest.param(False, Clock(60, "other", -3600), 0, id="clock-set-back-before-a-boot"),
    ],
)
async def test_what_is_trusted(tmp_path: Path, killed: bool, clock: Clock, found: int) -> None:
    await left(tmp_path, Clock(), killed=killed)
    disk = opened(tmp_path, clock)
    assert len(await disk.tier.load(KEY)) == found
    assert disk.latest == (1001.0 if found else 0.0)
    await disk.close(settled=True)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _spoil(path: Path) -> None:
    path.write_bytes(b"?" * path.stat().st_size)


SPOILT: dict[str, Callable[[Path], object]] = {
    "no-notes": lambda folder: (folder / file.NOTES).unlink(),
    "empty-notes": lambda folder: (folder / file.NOTES).write_bytes(b""),
    "notes-of-another-process": lambda folder: Notes(folder / file.NOTES, "other"),
    "no-file": lambda folder: (folder / file.FILE).unlink(),
    "empty-file": lambda folder: (folder / file.FILE).write_bytes(b""),
    "short-file": lambda folder: _truncate(folder / file.FILE),
    "no-database": lambda folder: _spoil(folder / file.FILE),
    "another-version": lambda folder: _version(folder, 99),
    "no-such-table": lambda folder: _execute(folder, "DROP TABLE listed"),
    "purges-that-cannot-be-read": lambda folder: _execute(folder, "INSERT INTO told VALUES ('purges', x'00')"),
}


def _execute(folder: Path, statement: str) -> None:
    db = file._connected(folder, LIMIT)
    db.execute(statement)
    db.close()


def _version(folder: Path, version: int) -> None:
    _execute(folder, f"PRAGMA user_version = {version}")


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
async def test_what_cannot_be_trusted_is_made_anew_and_told_once(
    tmp_path: Path, spoil: Callable[[Path], object], capfd: pytest.CaptureFixture[str]
) -> None:
    await left(tmp_path, Clock(), killed=False)
    spoil(tmp_path)
    disk = opened(tmp_path, Clock(60))
    assert await disk.tier.load(KEY) == ()
    await disk.tier.save(sample(KEY))
    assert len(await disk.tier.load(KEY)) == 1
    await disk.close(settled=True)
    assert capfd.readouterr().out.count("made anew") <= 1


async def test_an_older_copy_of_the_file_alone_is_not_trusted(tmp_path: Path) -> None:
    await left(tmp_path, Clock(), killed=False)
    copy = (tmp_path / file.FILE).read_bytes()
    disk = opened(tmp_path, Clock(60))
    await disk.tier.drop(("group",), 1050.0, None)
    await disk.close(settled=True)
    (tmp_path / file.FILE).write_bytes(copy)
    disk = opened(tmp_path, Clock(120))
    assert await disk.tier.load(KEY) == ()
    await disk.close(settled=True)


async def test_a_folder_that_takes_no_file_is_done_without(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert Disk.open(tmp_path / "missing", LIMIT, Clock(), lambda _: False) is None
    assert capfd.readouterr().out.count("cannot be used") == 1


async def test_who_keeps_nothing_on_disk_leaves_nothing_there(tmp_path: Path) -> None:
    await left(tmp_path, Clock(), killed=True)
    forget(tmp_path)
    assert not any((tmp_path / name).exists() for name in file._LEFT)
