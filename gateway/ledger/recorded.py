"""What was recorded, to be read: whoever keeps the balances, the same book."""

from typing import Protocol, TypeVar

from gateway.ledger.reading import Query

T = TypeVar("T")


class Recorded(Protocol):
    """The book of what was charged, and how it agrees with the balances."""

    @property
    def healthy(self) -> bool:
        """Whether what is charged is written, in the ledger and in the book."""

    async def read(self, query: Query[T]) -> T:
        """What `query` finds in a book that holds everything charged before this call.

        Raises Problem(ledger_unavailable) when that cannot be had within a second, or too many wait for it.
        """

    async def booked(self) -> None:
        """Returns once the book holds everything charged before this call. Raises Problem(ledger_unavailable)."""

    async def drift(self) -> int:
        """Tokens that balances and book differ by while nothing is under way; 0 in a sound ledger."""

    def size(self) -> int:
        """Bytes on disk."""

    def keep(self, seconds: float) -> None:
        """Keep the book's records that long from now on."""

    async def close(self) -> None:
        """Write what is under way, and close."""
