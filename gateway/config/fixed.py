"""What a running gateway cannot change: where it listens and whether with TLS, where and how it keeps its books."""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.config.document import SettingPath
from gateway.config.errors import ConfigError
from gateway.config.schema import Config
from gateway.config.store import Store
from gateway.config.units import Address

_STORE = ("kind", "path", "disk", "durability", "url", "username", "password", "timeout", "on_failure")


@dataclass(slots=True, frozen=True)
class Fixed:
    """The values in use of what needs a restart."""

    listen: Address
    tls: bool
    admin_listen: Address
    store: Store

    @classmethod
    def of(cls, config: Config) -> "Fixed":
        """The values in a config."""
        store = config.store.model_copy(update={"path": config.store.path.absolute()})
        return cls(config.listen, config.tls is not None, config.admin.listen, store)

    def moved_to(self, other: "Fixed") -> Iterator[SettingPath]:
        """Where `other` has another value."""
        if self.listen != other.listen:
            yield ("listen",)
        if self.tls != other.tls:
            yield ("tls",)
        if self.admin_listen != other.admin_listen:
            yield ("admin", "listen")
        for name in _STORE:
            if getattr(self.store, name) != getattr(other.store, name):
                yield ("store", name)


def moved(config: Config, fixed: Fixed) -> Iterator[ConfigError]:
    """An error for each setting that is no longer what is in use; one that is invalid anyway is not told again."""
    for path in fixed.moved_to(Fixed.of(config)):
        if not config.document.is_damaged(path):
            yield config.document.error("needs a restart: the running gateway has another value", path)
