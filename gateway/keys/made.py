"""Where made keys are kept: read and changed by one at a time, off the event loop."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.keys.database import KeyDatabase
from gateway.keys.orders import Unavailable
from gateway.keys.planning import Planned

T = TypeVar("T")

Plan = Callable[[KeyDatabase], Planned]
"""Reads, and decides what is to be changed; it may have to do so again. Raises Refused."""

Adopt = Callable[[Planned], None]
Renew = Callable[[], Awaitable[None]]


class Made(Protocol):
    """The made keys, and the accounts that were made with them."""

    def listen(self, adopt: Adopt, renew: Renew) -> None:
        """Have `adopt` called with each change, in their order and once, when it is written and before it is answered.

        Where it is not known what has changed `renew` is called instead: whatever was read before may be untrue.
        """

    async def read(self, query: Callable[[KeyDatabase], T]) -> T:
        """What `query` finds. Raises Unavailable, and what it raises."""

    async def change(self, plan: Plan) -> Planned:
        """Write what `plan` decides, with its new key's number. Raises Refused and Unavailable."""

    async def close(self) -> None:
        """Let go; no change is under way."""


class OnDisk:
    """`Made` in a SQLite file of this process's own."""

    def __init__(self, database: KeyDatabase) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, "keys")
        self._adopt: list[Adopt] = []

    @classmethod
    def open(cls, folder: Path) -> "OnDisk":
        """Over the database in the store's folder, which this process holds. Raises BadStart."""
        return cls(KeyDatabase.open(folder))

    def listen(self, adopt: Adopt, _: Renew) -> None:
        """Nobody else changes the file."""
        self._adopt.append(adopt)

    async def read(self, query: Callable[[KeyDatabase], T]) -> T:
        """In the order asked for, as changes are."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, told, query, self._database)

    async def change(self, plan: Plan) -> Planned:
        """On the disk itself once it returns."""
        planned = await self.read(lambda database: _written(database, plan))
        for adopt in self._adopt:
            adopt(planned)
        return planned

    async def close(self) -> None:
        """Closes the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._database.close()


def told(query: Callable[[KeyDatabase], T], database: KeyDatabase) -> T:
    """What `query` finds. Raises Unavailable for what SQLite says."""
    try:
        return query(database)
    except sqlite3.Error as error:
        raise Unavailable(str(error)) from error


def _written(database: KeyDatabase, plan: Plan) -> Planned:
    planned = plan(database)
    number = database.apply(planned.change)
    return planned if planned.key is None else replace(planned, key=planned.key._replace(number=number))
