"""A store's keyring for the suites: a config with plans and organizations, a clock that stands still."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from support.clock import FakeClock
from support.config import KEY, config, plan, product_route

from gateway.admission.snapshot import Account
from gateway.config.compile import snapshot
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.keys.database import KeyDatabase
from gateway.keys.directory import Directory
from gateway.keys.keyring import Keyring
from gateway.keys.orders import Creation, Rotation, ordered

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


class Ring:
    """A keyring of a folder, its clock, and the accounts that it told of."""

    def __init__(self, folder: Path, clock: FakeClock, config: Config) -> None:
        self.clock = clock
        self.config = config
        self.database = KeyDatabase.open(folder)
        self.keyring = Keyring(self.database, clock)
        self.told: list[Account] = []
        self.keyring.listen(self.told.append)
        self.configure(config)

    def configure(self, config: Config) -> None:
        self.keyring.configure(snapshot(config).keys, Directory(config))

    def holds(self, key: str) -> bool:
        """Whether a request with this key has an account that has not expired."""
        account = self.keyring.get(digest(key))
        return account is not None and (account.expires is None or self.clock.wall() < account.expires)
