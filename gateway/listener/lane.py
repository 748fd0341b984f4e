"""What a connection asks of the fast lane."""

from typing import TYPE_CHECKING, Protocol

from aiohttp.http_parser import RawRequestMessage

if TYPE_CHECKING:
    from gateway.listener.connection import Connection


class Lane(Protocol):
    """What may answer a request before aiohttp hears of it."""

    def take(self, connection: "Connection", data: bytes) -> bool:
        """Whether it answers what `data` holds, by one `connection.send` after this call; else nothing has happened.

        Where it finds that it cannot after all, it calls `connection.decline` instead, or `fail` once it has charged.
        """

    def learn(self, connection: "Connection", data: bytes, message: RawRequestMessage) -> None:
        """aiohttp's parser made `message`, which has no content, of `data`; nothing was before or is behind it."""
