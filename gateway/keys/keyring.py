"""All API keys by their digest, the config's and the made ones, and every change to the latter.

A change is written first, and only then holds in memory, where it does at once.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from gateway.admission.snapshot import Account
from gateway.errors import BadStart
from gateway.keys.database import KeyDatabase, MadeAccount, MadeKey
from gateway.keys.directory import Directory
from gateway.keys.listing import Row, rows
from gateway.keys.made import Made, OnDisk
from gateway.keys.orders import Creation, Rotation, Unavailable
from gateway.keys.planning import Below, Planned, creation, revocation, rotation
from gateway.ports import Clock

Listener = Callable[[Account], None]


@dataclass(slots=True, frozen=True)
class Reread:
    """What a keyring holds under one config; `found` are all keys. `changes` counts those that held before."""

    configured: Mapping[bytes, Account]
    directory: Directory
    made: dict[str, MadeAccount]
    found: dict[bytes, Account]
    changes: int = 0


class Keyring(Mapping[bytes, Account]):
    """The account of each valid API key by its SHA-256 digest. Used from one event loop, from `configure` on.

    Revoked keys are not in it. Those past their end are, with an account that expires then: each request looks.
    """

    def __init__(self, made: Made, clock: Clock, below: Below = secrets.randbelow) -> None:
        self._kept = made
        self._clock = clock
        self._below = below
        self._listeners: list[Listener] = []
        self._changing = set[asyncio.Task[Planned]]()
        self._changes = 0
        self._meanwhile: list[Planned] = []
        self._free = asyncio.Event()
        self._free.set()
        self._configured: Mapping[bytes, Account] = {}
        self._directory: Directory | None = None
        self._made: dict[str, MadeAccount] = {}
        self._found: dict[bytes, Account] = {}
        made.listen(self._adopt, self._renew)

    @classmethod
    def open(cls, folder: Path, clock: Clock) -> "Keyring":
        """The ring over the key database in the store's folder, which this process holds. Raises BadStart."""
        return cls(OnDisk.open(folder), clock)

    async def configure(self, keys: Mapping[bytes, Account], directory: Directory) -> None:
        """Takes over a config's keys, whatever is changed meanwhile. Raises BadStart."""
        with self.held():
            self.adopt(await self.reread(keys, directory))

    async def reread(self, keys: Mapping[bytes, Account], directory: Directory) -> Reread:
        """What `adopt` would take over: a config's keys, which win over made ones, and those made.

        Raises BadStart where these are not what was written.
        """
        changes = self._changes
        try:
            read = await self._kept.read(partial(_reread, keys, directory))
        except (Unavailable, ValueError) as error:
            raise BadStart(f"the key database cannot be read: {error}") from error
        return replace(read, changes=changes)

    def adopt(self, read: Reread) -> bool:
        """Take over what was reread, at once; False, and nothing is, where a key has changed meanwhile."""
        if read.changes != self._changes and self._free.is_set():
            return False
        self._configured, self._directory, self._made = read.configured, read.directory, read.made
        self._found = read.found
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Has what is reread here be adopted here: changes asked for meanwhile wait, and others' hold once more after.

        They hold at once as well.
        """
        self._free.clear()
        self._meanwhile.clear()
        try:
            yield
        finally:
            self._free.set()
            for planned in self._meanwhile:
                self._hold(planned)

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
        return self._known.account(id_, self._made.get(id_))

    def ids(self) -> Iterable[str]:
        """The ids of all accounts: the config's, and those made, some of which may stand for nobody now, or be both."""
        # A set of 100,000 would take the loop twenty milliseconds.
        return chain(self._known.configured, self._made)

    async def create(self, order: Creation) -> Planned:
        """Makes a key. Raises Refused or Unavailable, and so do the two below."""
        return await self._change(lambda made, known, wall: creation(made, known, order, self._below, wall))

    async def rotate(self, id_: str, order: Rotation) -> Planned:
        """Makes a key in place of the account's others."""
        return await self._change(lambda made, known, wall: rotation(made, known, id_, order, self._below, wall))

    async def revoke(self, name: str) -> Planned:
        """Revokes all keys of an account, or the one with this number or hint."""
        return await self._change(lambda made, known, wall: revocation(made, known, name, wall))

    async def listed(self, after: int, most: int) -> list[Row]:
        """The made keys as `listing.rows` gives them. Raises Unavailable."""
        wall = self._clock.wall()
        return await self._kept.read(lambda made: rows(made, self._known, wall, after, most))

    async def close(self) -> None:
        """Ends once every change under way is written."""
        if self._changing:
            await asyncio.wait(self._changing)
        await self._kept.close()

    @property
    def _known(self) -> Directory:
        if self._directory is None:
            raise RuntimeError("the keyring has no config yet")
        return self._directory

    async def _change(self, plan: Callable[[KeyDatabase, Directory, float], Planned]) -> Planned:
        while not self._free.is_set():
            await self._free.wait()
        # Whoever asked may leave: what is written must hold here as well.
        change = self._kept.change(lambda made: plan(made, self._known, self._clock.wall()))
        changing = asyncio.ensure_future(change)
        self._changing.add(changing)
        changing.add_done_callback(self._changed)
        return await asyncio.shield(changing)

    def _changed(self, change: "asyncio.Task[Planned]") -> None:
        self._changing.discard(change)
        # Who asked may have left, and an exception that nobody looks at is told of.
        if not change.cancelled():
            change.exception()

    def _adopt(self, planned: Planned) -> None:
        self._changes += 1
        if not self._free.is_set():
            self._meanwhile.append(planned)
        self._hold(planned)

    def _hold(self, planned: Planned) -> None:
        if self._directory is None:
            return
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

    async def _renew(self) -> None:
        """Hold what is written, whatever was heard of it. Raises BadStart."""
        while True:
            await self._free.wait()
            directory, former = self._directory, self._found.copy()
            if directory is None:
                return
            read = await self.reread(self._configured, directory)
            others = await asyncio.to_thread(_others, former, read.found)
            if self._free.is_set() and directory is self._directory and self.adopt(read):
                break
        for account in others:
            for listener in self._listeners:
                listener(account)

    def _drop(self, digest: bytes) -> None:
        if digest not in self._configured:
            self._found.pop(digest, None)


def _reread(keys: Mapping[bytes, Account], directory: Directory, database: KeyDatabase) -> Reread:
    made = database.accounts()
    found = dict(_found(database, directory, made))
    return Reread(keys, directory, made, found | dict(keys))


def _others(former: Mapping[bytes, Account], found: Mapping[bytes, Account]) -> list[Account]:
    """The accounts of all keys that are gone, new, or stand for something else: as they are now, if they still are."""
    gone = [account for digest, account in former.items() if digest not in found]
    new = [account for digest, account in found.items() if former.get(digest) != account]
    return list({account.id: account for account in (*gone, *new)}.values())


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
