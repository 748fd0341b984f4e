"""Journals of charges that Redis does not have yet: each in a folder of its own, by an id that no other one has.

Who has the lock on a folder writes it, or applies it and then removes it; the end of a process lets go of all locks.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from gateway.errors import BadStart
from gateway.ledger import encoding
from gateway.ledger.journal import Journal, replay
from gateway.ledger.records import Charge, LedgerCorrupt

FOLDER = "deferred"
"""Where they are, in the store's folder."""

Group = tuple[int, list[tuple[Charge, int]]]
"""The number of a group, from 1, and how often each charge stands in it."""


class Deferred:
    """One journal, whose lock this process has until it lets go; made by `begun` and `left`."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.id = folder.name
        self._folder = folder
        self._lock = lock
        self._journal = Journal(folder, 0)

    @property
    def sequence(self) -> int:
        """The number of the latest group that was appended here; 0 while none was."""
        return self._journal.sequence

    def append(self, payload: bytes) -> None:
        """Writes one group. Raises OSError, and then nothing was written."""
        self._journal.append(payload)

    def groups(self, after: int) -> Iterator[Group]:
        """Those after number `after`, in order. Raises LedgerCorrupt where something else is there than was written."""
        for number, payload in replay(self._folder, after):
            yield number, [_charge(record, count) for record, count in encoding.decode(payload)]

    def remove(self) -> None:
        """Redis has all of it. Raises OSError."""
        self._journal.close()
        # Under this name nobody finds what is left of it where the process ends meanwhile.
        gone = self._folder.rename(self._folder.with_name(f".{self.id}"))
        shutil.rmtree(gone)
        self.let_go()

    def let_go(self) -> None:
        """Leave it to whoever starts here next."""
        self._journal.close()
        os.close(self._lock)


def begun(store: Path) -> Deferred:
    """A new one in the store's folder. Raises OSError."""
    name = uuid4().hex
    made = store / FOLDER / f".{name}"
    made.mkdir(0o700, parents=True)
    lock = _locked(made)
    if lock is None:
        raise OSError(f"{made} is locked")
    # Locked before anybody can find it.
    return Deferred(made.rename(made.with_name(name)), lock)


def left(store: Path) -> list[Deferred]:
    """Those that processes left behind which have ended. Raises BadStart."""
    found = list[Deferred]()
    try:
        for folder in (store / FOLDER).glob("*/"):
            lock = _locked(folder)
            if lock is not None and folder.name.startswith("."):
                shutil.rmtree(folder)
                os.close(lock)
            elif lock is not None:
                found.append(Deferred(folder, lock))
    except OSError as error:
        raise BadStart(f"charges left in {store / FOLDER} cannot be read: {error}") from error
    return found


def _locked(folder: Path) -> int | None:
    """None where another process has the lock, or has removed the folder."""
    with suppress(FileNotFoundError):
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return file
    return None


def _charge(record: object, count: int) -> tuple[Charge, int]:
    if not isinstance(record, Charge):
        raise LedgerCorrupt(f"a journal of charges holds something else: {record!r}")
    return record, count
