"""The second tier on disk as a whole, the tier and the notes beside it: opened at the start, closed at the end."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from gateway.ports import Clock
from gateway.stores.disk import file, notes
from gateway.stores.disk.notes import Note, Notes
from gateway.stores.disk.shelf import Shelf
from gateway.stores.disk.tier import DiskTier


class Disk:
    """`tier` keeps what is stored, `notes` what it has yet to be told; all they know of was before `latest`."""

    def __init__(self, tier: DiskTier, noted: Notes) -> None:
        self.tier = tier
        self.notes = noted
        self.latest = max(tier.latest, _latest(noted.earlier))

    @classmethod
    def open(cls, folder: Path, limit: int | None, clock: Clock, holds: Callable[[str], bool]) -> "Disk | None":
        """What is in `folder`, made anew where it cannot be trusted; None, which is logged, where that fails too.

        The folder is this process's alone; without a `limit` nothing is kept or left there. `holds`: of a cache key,
        whether memory has it, asked in another thread.
        """
        if limit is None:
            forget(folder)
            return None
        try:
            return cls._open(folder, limit, clock, holds)
        except (OSError, sqlite3.Error) as error:
            _log(folder, error).warning("responses on disk cannot be used")
        forget(folder)
        return None

    @classmethod
    def _open(cls, folder: Path, limit: int, clock: Clock, holds: Callable[[str], bool]) -> "Disk":
        hour, name = file.Hour.of(clock), file.new_name()
        db, earlier = _trusted(folder, limit, hour) or (file.made(folder, limit), ())
        try:
            noted = Notes(folder / file.NOTES, name, earlier)
            # A file that notes of another name lie beside is not trusted.
            file.begin(db, hour, name)
            return cls(DiskTier(db, folder, limit, holds, partial(_renewed, folder, limit, hour, name)), noted)
        except (OSError, sqlite3.Error):
            db.close()
            raise

    async def close(self, *, settled: bool) -> None:
        """Once nothing asks any more; `settled`: the tier has been told everything."""
        await self.tier.close(whole=settled)
        self.notes.close()


def forget(folder: Path) -> None:
    """Leave nothing on disk: nobody there would hear of what is outdated from now on."""
    try:
        if file.remove(folder):
            structlog.get_logger("gateway.disk").info("responses on disk removed", folder=str(folder))
    except OSError as error:
        _log(folder, error).error("responses on disk cannot be removed")


def _trusted(folder: Path, limit: int, hour: file.Hour) -> tuple[sqlite3.Connection, Sequence[Note]] | None:
    name, earlier = notes.read(folder / file.NOTES) or (None, ())
    db = None
    try:
        if _latest(earlier) > hour.now + 1:
            raise file.Untrusted("the clock was set back")
        db = file.opened(folder, limit, name, hour)
        Shelf(db, limit, lambda _: False)
    except Exception as why:  # noqa: BLE001 - whatever is read may be damaged in any way
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()
        if (folder / file.FILE).exists():
            _log(folder, why).warning("responses on disk cannot be trusted: made anew")
        return None
    return db, earlier


def _renewed(folder: Path, limit: int, hour: file.Hour, name: str) -> sqlite3.Connection:
    db = file.made(folder, limit)
    file.begin(db, hour, name)
    return db


def _latest(noted: Sequence[Note]) -> float:
    return max([part for note in noted for part in note if isinstance(part, float)], default=0.0)


def _log(folder: Path, error: Exception) -> structlog.BoundLogger:
    reason = getattr(error, "sqlite_errorname", None) or str(error)
    log: structlog.BoundLogger = structlog.get_logger("gateway.disk").bind(file=str(folder / file.FILE), reason=reason)
    return log
