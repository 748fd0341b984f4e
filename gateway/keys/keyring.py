"""All API keys by their digest, the config's and the made ones, and every change to the latter.

A change is written by a thread of the database's own and only then holds in memory, where it does at once.
"""

import asyncio
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.admission.snapshot import Account
from gateway.errors import BadStart
from gateway.keys.database import KeyDatabase, MadeAccount, MadeKey
from gateway.keys.directory import Directory
from gateway.keys.listing import Row, rows
from gateway.keys.orders import Creation, Rotation, Unavailable
from gateway.keys.planning import Below, Planned, creation, revocation, rotation
from gateway.ports import Clock

Listener = Callable[[Account], None]


@dataclass(slots=True, frozen=True)
class Reread:
    """What a keyring holds under one config; `found` are all keys. `ordered` counts the changes asked for before."""

    configured: Mapping[bytes, Account]
    directory: Directory
    made: dict[str, MadeAccount]
    found: dict[bytes, Account]
    ordered: int = 0


class Keyring(Mapping[bytes, Account]):
    """The account of each valid API key by its SHA-256 digest. Used from one event loop, from `configure` on.

    Revoked keys are not in it. Those past their end are, with an account that expires then: each request looks.
    """

    def __init__(self, database: KeyDatabase, clock: Clock, below: Below = secrets.randbelow) -> None:
        self._database = database
        self._clock = clock
        self._below = below
        self._thread = ThreadPoolExecutor(1, "keys")
        self._listeners: list[Listener] = []
        self._ordered = 0
        self._free = asyncio.Event()
        self._free.set()
        self._configured: Mapping[bytes, Account] = {}
        self._made: dict[str, MadeAccount] = {}
        self._found: dict[bytes, Account] = {}

    @classmethod
    def open(cls, folder: Path, clock: Clock) -> "Keyring":
        """The ring over the key database in the store's folder, which this process holds. Raises BadStart."""
        return cls(KeyDatabase.open(folder), clock)

    def configure(self, keys: Mapping[bytes, Account], directory: Directory) -> None:
        """Takes over a config's keys, as `reread` and `adopt` do; no change may be under way. Raises BadStart."""
        self._take(self._reread(keys, directory))

    async def reread(self, keys: Mapping[bytes, Account], directory: Directory) -> Reread:
        """What `adopt` would take over: a config's keys, which win over made ones, and the database's.

        Raises BadStart for a database that does not hold what was written.
        """
        ordered = self._ordered
        read = await asyncio.get_running_loop().run_in_executor(self._thread, self._reread, keys, directory)
        return replace(read, ordered=ordered)

    def adopt(self, read: Reread) -> bool:
        """Take over what was reread, at once; False, and nothing is, where a key has been changed meanwhile."""
        if read.ordered != self._ordered:
            return False
        self._take(read)
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Has changes that are asked for meanwhile wait, so that what is reread here can be adopted here."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def _reread(self, keys: Mapping[bytes, Account], directory: Directory) -> Reread:
        try:
            made = self._database.accounts()
            found = dict(_found(self._database, directory, made))
        except (sqlite3.Error, ValueError) as error:
            raise BadStart(f"the key database cannot be read: {error}") from error
        return Reread(keys, directory, made, found | dict(keys))

    def _take(self, read: Reread) -> None:
        self._configured, self._directory, self._made = read.configured, read.directory, read.made
        self._found = read.found

    def __getitem__(self, digest: bytes) -> Account:
        return self._found[digest]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def listen(self, listener: Listener) -> None:
        """Has `listener` called with the account whenever its keys have changed, before the change is answered."""
        self._listeners.append(listener)

    def account(self, id_: str) -> Account | None:
        """The account of this id, whatever keys it has."""
        return self._directory.account(id_, self._made.get(id_))

    def ids(self) -> Iterable[str]:
        """The id of each account, the config's and those made, once; some of the latter may stand for nobody now."""
        return self._directory.configured.keys() | self._made.keys()

    async def create(self, order: Creation) -> Planned:
        """Makes a key. Raises Refused or Unavailable, and so do the two below."""
        return await self._change(lambda wall: creation(self._database, self._directory, order, self._below, wall))

    async def rotate(self, id_: str, order: Rotation) -> Planned:
        """Makes a key in place of the account's others."""
        return await self._change(lambda wall: rotation(self._database, self._directory, id_, order, self._below, wall))

    async def revoke(self, name: str) -> Planned:
        """Revokes all keys of an account, or the one with this number or hint."""
        return await self._change(lambda wall: revocation(self._database, self._directory, name, wall))

    async def listed(self, after: int, most: int) -> list[Row]:
        """The made keys as `listing.rows` gives them. Raises Unavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, after, most)

    async def close(self) -> None:
        """Ends once every change under way is written."""
        await asyncio.to_thread(self._thread.shutdown)
        self._database.close()

    async def _change(self, plan: Callable[[float], Planned]) -> Planned:
        while not self._free.is_set():
            await self._free.wait()
        self._ordered += 1
        written = asyncio.get_running_loop().run_in_executor(self._thread, self._written, plan)
        # Whoever asked may leave: what is on the disk must hold here as well.
        written.add_done_callback(self._adopt)
        return await asyncio.shield(written)

    def _written(self, plan: Callable[[float], Planned]) -> Planned:
        try:
            planned = plan(self._clock.wall())
            number = self._database.apply(planned.change)
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error
        return planned if planned.key is None else replace(planned, key=planned.key._replace(number=number))

    def _read(self, after: int, most: int) -> list[Row]:
        try:
            return rows(self._database, self._directory, self._clock.wall(), after, most)
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    def _adopt(self, written: asyncio.Future[Planned]) -> None:
        if written.cancelled() or written.exception() is not None:
            return
        planned = written.result()
        if planned.made is not None:
            self._made[planned.account] = planned.made
        account = self.account(planned.account)
        for key in planned.revoked:
            self._drop(key.digest)
        if account is None:
            return
        for key in (*planned.ending, *([planned.key] if planned.key else [])):
            if key.digest not in self._configured:
                self._found[key.digest] = _standing_for(key, account)
        for listener in self._listeners:
            listener(account)

    def _drop(self, digest: bytes) -> None:
        if digest not in self._configured:
            self._found.pop(digest, None)


def _found(
    database: KeyDatabase, directory: Directory, made: Mapping[str, MadeAccount]
) -> Iterator[tuple[bytes, Account]]:
    """Every key that is not revoked; those of accounts that the config has dropped are left out."""
    accounts: dict[str, Account | None] = {}
    for key in database.unrevoked():
        if key.account not in accounts:
            accounts[key.account] = directory.account(key.account, made.get(key.account))
        account = accounts[key.account]
        if account is not None:
            yield key.digest, _standing_for(key, account)


def _standing_for(key: MadeKey, account: Account) -> Account:
    """The account as this key stands for it: until the earlier end, and free if it is a test key."""
    if not key.test and key.expires is None:
        return account
    return replace(account, test=key.test, expires=key.end(account.expires))
