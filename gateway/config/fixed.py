"""What a running gateway cannot change: where it listens, and where and how it keeps its books."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config.document import SettingPath
from gateway.config.errors import ConfigError
from gateway.config.schema import Config
from gateway.config.units import Address


@dataclass(slots=True, frozen=True)
class Fixed:
    """The values in use of what needs a restart."""

    listen: Address
    admin_listen: Address
    store_kind: Literal["embedded", "redis"]
    store_path: Path
    store_durability: Literal["process", "power"]

    @classmethod
    def of(cls, config: Config) -> "Fixed":
        """The values in a config."""
        store = config.store
        return cls(config.listen, config.admin.listen, store.kind, store.path.absolute(), store.durability)


_SETTINGS: tuple[tuple[str, SettingPath], ...] = (
    ("listen", ("listen",)),
    ("admin_listen", ("admin", "listen")),
    ("store_kind", ("store", "kind")),
    ("store_path", ("store", "path")),
    ("store_durability", ("store", "durability")),
)


def moved(config: Config, fixed: Fixed) -> Iterator[ConfigError]:
    """An error for each setting that is no longer what is in use; one that is invalid anyway is not told again."""
    wanted = Fixed.of(config)
    for name, path in _SETTINGS:
        if getattr(wanted, name) != getattr(fixed, name) and not config.document.is_damaged(path):
            yield config.document.error("needs a restart: the running gateway has another value", path)
