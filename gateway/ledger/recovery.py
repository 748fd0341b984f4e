"""The start of a ledger: the folder's lock, the book and the journal's tail together, a dead process's reservations."""

import fcntl
import os
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import BadStart
from gateway.ledger.accounts import Accounts, lapses
from gateway.ledger.encoding import decode, encode
from gateway.ledger.journal import Journal, replay
from gateway.ledger.records import Forced, Joined, LedgerCorrupt, Position, Record, Release
from gateway.ledger.tables import Durability, Tables

BOOK, JOURNAL = "book.sqlite3", "journal"
"""Of the ledger's folder: the book's file, and the folder of the journal's segments."""

_LOCK = "lock"
# Seconds after which whoever only looked at the lock has let it go for certain.
_LOOK = 0.05


def lock(folder: Path) -> int:
    """The folder's lock, held as long as the returned file is open. Raises BadStart."""
    try:
        (folder / JOURNAL).mkdir(parents=True, exist_ok=True)
        file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadStart(f"the ledger's folder {folder} cannot be written: {error.strerror}") from error
    try:
        _take(file)
    except BlockingIOError as error:
        os.close(file)
        raise BadStart(f"the ledger in {folder} is in use by another process") from error
    return file


def free_lock(folder: Path) -> int | None:
    """As `lock`, and None where another process holds it. Raises BadStart for a folder that cannot be written."""
    try:
        return lock(folder)
    except BadStart as bad:
        if isinstance(bad.__cause__, BlockingIOError):
            return None
        raise


def held(folder: Path) -> bool:
    """Whether another process holds the folder's lock; True as well where that cannot be told. Makes no file."""
    try:
        file = os.open(folder / _LOCK, os.O_RDONLY)
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _take(file: int) -> None:
    """Raises BlockingIOError where another process keeps the lock; one that only looks lets it go at once."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    time.sleep(_LOOK)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def touch(path: Path) -> None:
    """The file, made for the process's own user alone where it is missing: SQLite would let everybody read."""
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))


def start(
    folder: Path, durability: Durability, segment: int, wall: float
) -> tuple[Tables, Accounts, tuple[Forced, ...], Journal]:
    """The book, what it and the journal's tail say together, and the journal to go on with, at `wall` seconds.

    What a dead process has reserved is released. Raises OSError, sqlite3.Error, LedgerCorrupt.
    """
    touch(folder / BOOK)
    tables = Tables(folder / BOOK, durability)
    try:
        migrate(tables, folder / JOURNAL, wall)
        accounts, forced, journal = restore(tables, folder / JOURNAL, segment)
        release_open(accounts, journal, wall)
        if durability == "power":
            journal.sync()
    except (OSError, sqlite3.Error, LedgerCorrupt):
        tables.close()
        raise
    return tables, accounts, forced, journal


def migrate(tables: Tables, journal: Path, wall: float) -> None:
    """Brings a book of the former version to the present one, at `wall` seconds.

    Raises LedgerCorrupt, and then nothing was changed, where the journal still holds what only the former version can
    read; sqlite3.Error.
    """
    if not tables.outdated:
        return
    try:
        for _, payload in replay(journal, tables.applied):
            decode(payload)
    except LedgerCorrupt as error:
        raise LedgerCorrupt(
            f"{journal}: holds groups of the former version that its book has not applied ({error}); "
            "start the former version once and stop it, then this one"
        ) from error
    tables.migrate(wall)


def restore(tables: Tables, folder: Path, segment: int) -> tuple[Accounts, tuple[Forced, ...], Journal]:
    """What book and journal tail in `folder` say together, and the journal to go on with.

    Raises OSError, sqlite3.Error, LedgerCorrupt, and the latter where the balances are a fleet's.
    """
    accounts, forced, last, fleet = tables.load(), list(tables.forced()), tables.applied, tables.fleet
    for sequence, payload in replay(folder, last):
        last = sequence
        for record, count in decode(payload):
            accounts.apply(record, count)
            if isinstance(record, Forced):
                forced.extend([record] * count)
            if isinstance(record, Joined):
                fleet = record.fleet
    if fleet:
        raise LedgerCorrupt("its balances have moved to Redis, so `store` must be of kind redis")
    return accounts, tuple(forced), Journal(folder, last, segment)


@dataclass(slots=True)
class Standpoint:
    """Up to where a book and its journal's tail follow a fleet's ledger; `fleet` is empty where they follow none.

    `places` are the entry's id and its number by shard, `homes` the shards by holder, and `last` the last group's
    number.
    """

    fleet: str
    places: dict[int, tuple[str, int]]
    homes: dict[str, int]
    last: int

    def take(self, record: Record) -> None:
        """Takes in what a record says of it."""
        match record:
            case Joined(fleet):
                self.fleet, self.places, self.homes = fleet, {}, {}
            case Position(shard, id_, number, homes):
                self.places[shard] = id_, number
                self.homes.update(dict.fromkeys(homes, shard))
            case _:
                pass


def standpoint(tables: Tables, journal: Path) -> Standpoint:
    """What book and journal tail say together. Raises OSError, sqlite3.Error, LedgerCorrupt."""
    found = Standpoint(tables.fleet, *tables.following(), tables.applied)
    for sequence, payload in replay(journal, found.last):
        found.last = sequence
        for record, _ in decode(payload):
            found.take(record)
    return found


def release_open(accounts: Accounts, journal: Journal, wall: float) -> None:
    """Ends what a dead process left open, at `wall` seconds: free. Raises OSError."""
    releases = [
        Release(reserve, lapses(reserve, accounts.balance(reserve.holder)), "abandoned", wall)
        for reserve in accounts.open.values()
    ]
    if releases:
        journal.append(encode((release, 1) for release in releases))
    for release in releases:
        accounts.apply(release)
