"""A node's own register of the fleet's refreshes: in memory, and changed by nothing but the rounds of the fleet.

It notes how far it has come in a table of its own, in the same transaction as what a round has changed.
"""

import sqlite3
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import structlog

from gateway.jobs import commands, owning
from gateway.jobs.schema import SCHEMA, VERSION, WORKSPACE
from gateway.jobs.transactions import Transactions

T = TypeVar("T")

REMEMBERED = 10_000
"""Rounds whose ids are kept: by so much may Redis have lost what a node has, and be told so."""

_ROUNDS = "CREATE TABLE rounds (number INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT"
_LATEST = "SELECT number, id FROM rounds ORDER BY number DESC LIMIT 1"

# What fails everywhere: the command is at fault. Any other error of SQLite's is this machine's: a register that
# has met one does not go past it.
_EVERYWHERE = (
    OverflowError,
    UnicodeError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


@dataclass(slots=True, frozen=True)
class Round:
    """What one node has asked for in one call: batches of commands, `led` those that only a leader may ask for.

    `number` is its place among all rounds, `previous` the id of the round before it.
    """

    number: int
    id: str
    previous: str
    free: bytes
    led: bytes


@dataclass(slots=True, frozen=True)
class Failed:
    """A command that has changed nothing, on any node."""

    error: Exception


@dataclass(slots=True, frozen=True)
class Performed:
    """A round, and what came of each of its commands: what its method returns, or `Failed`."""

    id: str
    free: tuple[Any, ...]
    led: tuple[Any, ...]


class Halt(Enum):
    """Why a register does not go on with the rounds that it was given."""

    apart = "apart"
    """Another round belongs before them, or this register holds one that the fleet has lost."""

    unknown = "unknown"
    """One of them cannot be read: a newer gateway has written it, or it is damaged."""


@dataclass(slots=True, frozen=True)
class Standing:
    """How far a register has come: the `number` and `id` of the latest round, 0 and "" before the first."""

    number: int = 0
    id: str = ""


@dataclass(slots=True, frozen=True)
class Advance:
    """Where applying rounds has led to, and why not to the last of them."""

    standing: Standing
    performed: tuple[Performed, ...]
    halt: Halt | None


class Replica:
    """`content` is what `copy` gave, None for a register that nothing has happened to. Raises ValueError for others."""

    def __init__(self, content: bytes | None = None) -> None:
        db = _register(content)
        self.standing = _standing(db)
        self._transactions = Transactions(db)

    async def apply(self, rounds: Sequence[Round]) -> Advance:
        """Perform what is new of `rounds`, in order. Raises Problem(jobs_unavailable), and nothing has changed."""
        advance = await self._transactions.run(lambda db: _apply(db, rounds))
        self.standing = advance.standing
        return advance

    async def read(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """What `action` finds, which changes nothing. Raises Problem(jobs_unavailable)."""
        return await self._transactions.run(action)

    async def holds(self, standing: Standing) -> bool:
        """Whether this register's history is that one, and perhaps more. Raises Problem(jobs_unavailable)."""
        query = "SELECT 1 FROM rounds WHERE number = ? AND id = ?"
        row = (standing.number, standing.id)
        return standing == Standing() or await self.read(lambda db: db.execute(query, row).fetchone() is not None)

    async def among(self, ids: Collection[str]) -> frozenset[str]:
        """Those of these rounds that have been performed, of the latest 10,000. Raises Problem(jobs_unavailable)."""

        def found(db: sqlite3.Connection) -> frozenset[str]:
            return frozenset([id_ for (id_,) in db.execute("SELECT id FROM rounds")]).intersection(ids)

        return await self.read(found) if ids else frozenset()

    async def copy(self) -> tuple[bytes, Standing]:
        """The whole register, as it stands in between two rounds. Raises Problem(jobs_unavailable)."""
        return await self.read(lambda db: (db.serialize(), _standing(db)))

    async def close(self) -> None:
        """Perform what is asked for already, and forget everything."""
        await self._transactions.close()


def condensed(content: bytes) -> bytes:
    """A copy, without the room that nothing takes any more, packed. To be called in a thread."""
    db = sqlite3.connect(":memory:")
    try:
        db.deserialize(content)
        db.execute("VACUUM")
        return zlib.compress(db.serialize(), 1)
    finally:
        db.close()


def expanded(packed: bytes) -> bytes:
    """What `condensed` has packed. Raises ValueError for anything else."""
    try:
        return zlib.decompress(packed)
    except zlib.error as error:
        raise ValueError(f"no copy of a register: {error}") from None


def _register(content: bytes | None) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        if content is not None:
            db.deserialize(content)
        else:
            db.executescript(SCHEMA)
            db.execute(_ROUNDS)
            db.execute(owning.TABLE)
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise ValueError(f"the register of refreshes has version {version}, and this gateway reads {VERSION}")
        db.execute(WORKSPACE)
    except (sqlite3.Error, ValueError) as error:
        db.close()
        raise ValueError(f"no register of refreshes: {error}") from error
    return db


def _standing(db: sqlite3.Connection) -> Standing:
    row = db.execute(_LATEST).fetchone()
    return Standing() if row is None else Standing(*row)


def _apply(db: sqlite3.Connection, rounds: Sequence[Round]) -> Advance:
    standing, performed = _standing(db), list[Performed]()
    for round_ in rounds:
        if round_.number <= standing.number:
            continue
        if (round_.number - 1, round_.previous) != (standing.number, standing.id):
            return Advance(standing, tuple(performed), Halt.apart)
        try:
            free, led = commands.unpacked(round_.free), commands.unpacked(round_.led)
        except ValueError:
            return Advance(standing, tuple(performed), Halt.unknown)
        performed.append(Performed(round_.id, _performed(db, free), _performed(db, led)))
        standing = Standing(round_.number, round_.id)
        db.execute("INSERT INTO rounds VALUES (?, ?)", (standing.number, standing.id))
        db.execute("DELETE FROM rounds WHERE number <= ?", (standing.number - REMEMBERED,))
    return Advance(standing, tuple(performed), None)


def _performed(db: sqlite3.Connection, batch: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    return tuple([_outcome(db, command) for command in batch])


def _outcome(db: sqlite3.Connection, command: Sequence[Any]) -> Any:
    db.execute("SAVEPOINT command")
    try:
        outcome = commands.perform(db, command)
    except _EVERYWHERE as error:
        outcome = _undone(db, error)
    except (sqlite3.Error, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a bug of ours, which must not keep the fleet at this command for ever
        structlog.get_logger("gateway.jobs").error("command failed", command=command[0], exc_info=error)
        outcome = _undone(db, error)
    db.execute("RELEASE command")
    return outcome


def _undone(db: sqlite3.Connection, error: Exception) -> Failed:
    db.execute("ROLLBACK TO command")
    return Failed(error)
