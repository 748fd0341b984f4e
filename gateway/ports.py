"""Every seam that can be swapped, as a Protocol with one contract test suite each."""

from typing import Protocol

from gateway.messages import Outgoing, Stream
from gateway.rfc9111.stored import StoredResponse


class Clock(Protocol):
    """Time as the gateway sees it, in seconds since the epoch."""

    def steady(self) -> float:
        """For intervals: starts at the wall clock's time and never jumps after."""

    def wall(self) -> float:
        """For calendars: what the machine's clock says now."""

    def uptime(self) -> tuple[str, float]:
        """The machine's boot by name, and seconds on a clock that runs through every process of it without jumps."""


class SecondTier(Protocol):
    """Stored responses behind the memory tier. Every method may fail; the cache then goes on without it."""

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant stored under `key`, outdated ones left out; empty for a miss."""

    async def save(self, stored: StoredResponse) -> None:
        """Keep `stored` in place of the variant with the same selecting header fields; an outdated one removes that."""

    async def drop(self, groups: tuple[str, ...], before: float, keep: str | None) -> None:
        """Outdate what belongs to one of `groups` and began before `before` (steady seconds), but for key `keep`."""

    async def purge(self, selection: tuple[str, ...], before: float, *, hard: bool) -> None:
        """Leave out from now on what `selection` (as `stores.selection` writes it) takes and began before `before`.

        Unless `hard` it is still found, and says when it was `purged`.
        """


class Upstream(Protocol):
    """One upstream as the pipeline sees it."""

    async def send(self, outgoing: Outgoing) -> Stream:
        """One exchange up to the response's head, retried once where that is safe.

        Raises `errors.Problem` with an `upstream_…` reason.
        """

    async def close(self) -> None:
        """Close every connection; no exchange is under way."""
