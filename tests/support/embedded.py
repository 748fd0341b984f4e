"""What a gateway in this process keeps by itself, where a test looks into it."""

from gateway.app import Gateway
from gateway.ledger.ledger import Ledger
from gateway.storage.embedded import Embedded


def ledger_of(gateway: Gateway) -> Ledger:
    """The embedded ledger."""
    storage = gateway._storage
    assert isinstance(storage, Embedded)
    return storage.ledger
