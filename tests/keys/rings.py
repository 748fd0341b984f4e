"""A store's keyring for the suites: a config with plans and organizations, a clock that stands still."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from fleet.doors import connected
from support.clock import FakeClock
from support.config import KEY, config, plan, product_route

from gateway.admission.snapshot import Account
from gateway.config.compile import snapshot
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.log import Log
from gateway.keys.database import KeyDatabase, MadeKey
from gateway.keys.directory import Directory
from gateway.keys.keyring import Keyring
from gateway.keys.made import Made, OnDisk
from gateway.keys.orders import Creation, Rotation, ordered
from gateway.keys.shared import SharedKeys

DAY = 86400.0


def loaded(folder: Path, **changes: Any) -> Config:
    """A config with account `alpha`, once `before`, with a plan `pro`, and organizations `acme` and `shared`."""
    whole = config(
        "http://up.example",
        product_route(),
        keys=[{"id": "alpha", "key": KEY, "plan": "pro", "formerly": "before"}],
        plans={"pro": plan(2000), "free": plan(10)},
        organizations={"acme": {"plan": "pro"}, "shared": {"plan": "pro", "balance": "organization"}},
    )
    path = folder / "gateway.yaml"
    ports = {"listen": "127.0.0.1:1", "admin": {"listen": "127.0.0.1:2"}}
    path.write_text(yaml.safe_dump(whole | ports | changes))
    return load(path)


def digest(key: str) -> bytes:
    """What a ring finds a key by."""
    return sha256(key.encode()).digest()


def create(**values: object) -> Creation:
    return ordered(Creation, values)


def overlap(text: str) -> Rotation:
    return ordered(Rotation, {"overlap": text})


class Disk:
    """A store's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self, _: AsyncExitStack) -> Made:
        """The made keys in it."""
        return OnDisk.open(self._folder)


class Shelf:
    """A fleet's Redis."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self, stack: AsyncExitStack) -> Made:
        """The made keys in it, as a node that joins has them."""
        return await joined(await stack.enter_async_context(connected(self._url)), stack)


async def joined(connection: Connection, stack: AsyncExitStack) -> SharedKeys:
    """The made keys of one more node, which hears of the others' changes."""
    await connection.ask("SET", names.EPOCH, connection.server)
    log = Log(connection)
    await log.rejoin()
    made = await SharedKeys.open(connection, log)
    following = asyncio.create_task(log.follow())
    stack.push_async_callback(asyncio.wait, [following])
    stack.callback(following.cancel)
    return made


class Ring:
    """A keyring over what a store keeps, its clock, and the accounts that it told of."""

    def __init__(self, made: Made, clock: FakeClock, config: Config, stack: AsyncExitStack) -> None:
        self.clock = clock
        self.config = config
        self.made = made
        self.keyring = Keyring(made, clock)
        self.told: list[Account] = []
        self.keyring.listen(self.told.append)
        self._stack = stack

    @classmethod
    async def open(cls, store: Disk | Shelf, clock: FakeClock, config: Config) -> "Ring":
        """The ring of the next process on `store`."""
        stack = AsyncExitStack()
        ring = cls(await store.open(stack), clock, config, stack)
        await ring.configure(config)
        return ring

    async def configure(self, config: Config) -> None:
        await self.keyring.configure(snapshot(config).keys, Directory(config))

    def holds(self, key: str) -> bool:
        """Whether a request with this key has an account that has not expired."""
        account = self.keyring.get(digest(key))
        return account is not None and (account.expires is None or self.clock.wall() < account.expires)

    async def all(self) -> list[MadeKey]:
        """Every key that was made."""
        return await self.made.read(KeyDatabase.listed)

    async def close(self) -> None:
        await self.keyring.close()
        await self._stack.aclose()


def file(ring: Ring) -> sqlite3.Connection:
    """The file that it keeps its keys in."""
    assert isinstance(ring.made, OnDisk)
    return ring.made._database._db
