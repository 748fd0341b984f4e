"""What requests with an Idempotency-Key were answered with, as it was charged; and who answers one right now."""

import asyncio
from typing import NamedTuple, Protocol
from weakref import WeakValueDictionary

from gateway.ledger import kept as book
from gateway.ledger.recorded import Recorded
from gateway.ledger.records import Kept

# Of one account at once: another's repeats must find room among the ledger's readers.
_MOST_READS = 16


class Asked(NamedTuple):
    """A request by its account and its key; `key` and `fingerprint` are digests in hexadecimal."""

    organization: str
    account: str
    key: str
    fingerprint: str


class Found(NamedTuple):
    """What is kept, and the tokens that remained after its charge, where the content does not say that."""

    kept: Kept
    remaining: int | None = None


class Answered(Protocol):
    """The kept answers; all that is charged before it is asked is there."""

    async def earlier(self, asked: Asked, *, claim: bool) -> Found | None:
        """What is kept for it, if anything, past its `until` as well; None where it is this caller's to answer.

        With `claim` it is, for the whole fleet, until `end`. Raises Problem: ledger_unavailable; request_in_progress
        and idempotency_key_reused while another node answers one with its key.
        """

    def end(self, asked: Asked) -> None:
        """Nobody answers it any more. Idempotent."""


class Booked:
    """`Answered` in the book of a gateway that is alone: who claims a key in this process has it."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def earlier(self, asked: Asked, *, claim: bool) -> Found | None:  # noqa: ARG002 - nobody else could claim it
        """Nothing in memory may answer for the book: it would not know of what was charged before the last start."""
        turns = self._turns.setdefault(asked.account, asyncio.Semaphore(_MOST_READS))
        async with turns:
            kept = await self._recorded.read(lambda db: book.kept(db, asked.account, asked.key))
        return None if kept is None else Found(kept)

    def end(self, asked: Asked) -> None:
        """This process knows."""
