"""What a command only looks at: told by the gateway that runs on the store, else read from the store's files."""

from collections.abc import Callable
from typing import TypeVar

from gateway.cli.remote import Unreachable
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.ledger.recovery import held

T = TypeVar("T")


def looked(config: Config, told: Callable[[], T], read: Callable[[], T]) -> T:
    """What `told` returns, which asks the gateway, else what `read` does; either may raise BadStart or ValueError.

    The files can be read while a gateway runs, so its refusals count only where they cannot. Raises BadStart.
    """
    if not held(config.store.path):
        return read()
    try:
        return told()
    except (Unreachable, ValueError):
        return read()
    except BadStart as refused:
        try:
            return read()
        except BadStart:
            raise refused from None
