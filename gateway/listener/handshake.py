"""A connection before it is encrypted: it counts as one, and has as long for its handshake as a head may take."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from gateway.answers.head import phrase, render
from gateway.errors import Problem, Reason
from gateway.listener.pieces import Pieces
from gateway.listener.tls import Encryption

if TYPE_CHECKING:
    from gateway.listener.server import Listener

# Seconds for a handshake that is under way when the gateway stops: many times what one takes.
_LAST = 1.0
# Bytes that a connection may have unsent before the client counts as slow: what one without encryption may have.
_UNSENT = 64 * 1024
# Bytes that may wait, still encrypted, until the connection reads on; the rest waits in the socket.
_UNREAD = 32 * 1024
# The type of the record that a ClientHello comes in (RFC 8446 §5.1).
_RECORD = 0x16
_NO_TLS = "This port speaks TLS: the URL begins with https."


class Handshake(asyncio.Protocol):
    """Waits for the first bytes, so that who sends none costs little, and one who speaks no TLS is told.

    Then it is the protocol within TLS as well, until that stands and a `Connection` takes its place.
    """

    def __init__(self, listener: "Listener", encryption: Encryption) -> None:
        self._listener = listener
        self._encryption = encryption
        self._loop = asyncio.get_running_loop()
        self._address = ""
        self._early = b""
        self._shaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in, or close it at once where a limit is reached."""
        self._wire = wire = cast("asyncio.Transport", transport)
        listener, peer = self._listener, wire.get_extra_info("peername")
        self._address = peer[0] if peer else ""
        if not listener.admits(self._address):
            wire.abort()
            return
        listener.handshakes.add(self)
        listener.census.arrive(self._address)
        seconds = _LAST if listener.draining else listener.limits.head_timeout
        self._deadline = self._loop.call_later(seconds, wire.abort)

    def data_received(self, data: bytes) -> None:
        """The first bytes, encrypted or not; once TLS stands, what is in it."""
        if self._shaking is not None:
            self._early += data
        elif data[0] == _RECORD:
            self._wire.pause_reading()
            self._shaking = self._loop.create_task(self._shake())
            # Behind the task's first step, which puts TLS in this protocol's place.
            self._loop.call_soon(_feed, self._wire, data)
        else:
            self._refuse()

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Count it out; the protocol within TLS is told as well, where that fails."""
        self._end()

    def hurry(self) -> None:
        """The gateway stops."""
        self._deadline.cancel()
        self._deadline = self._loop.call_later(_LAST, self._wire.abort)

    async def _shake(self) -> None:
        limits = self._listener.limits
        try:
            encrypted = await self._loop.start_tls(
                self._wire,
                self,
                self._encryption.context,
                server_side=True,
                # Never the first to end it; left out, it is a minute.
                ssl_handshake_timeout=limits.head_timeout,
                ssl_shutdown_timeout=limits.write_timeout,
            )
        except OSError as error:
            # Whoever scans the port has this happen, as often as they like.
            self._listener.log.debug("TLS handshake failed", error=getattr(error, "reason", None) or str(error))
            return
        finally:
            self._end()
        # A connection that was aborted meanwhile is no error to the event loop.
        if encrypted is not None and not encrypted.is_closing():
            self._hand_over(encrypted)

    def _hand_over(self, encrypted: asyncio.Transport) -> None:
        encrypted.set_write_buffer_limits(_UNSENT)
        # Only what TLS is spoken over has such limits.
        cast("Any", encrypted).set_read_buffer_limits(_UNREAD)
        connection = self._listener.connection()
        connection.beneath = self._wire
        encrypted.set_protocol(connection)
        connection.connection_made(encrypted)
        if self._early:
            connection.data_received(self._early)

    def _refuse(self) -> None:
        answer = self._listener.pipeline.refuse_unread(Problem(Reason.malformed_request, _NO_TLS))
        head = render(answer.status, phrase(answer.status), (answer.lines,), len(answer.body), close=True)
        self._wire.write(head + answer.body)
        self._wire.close()

    def _end(self) -> None:
        if self in self._listener.handshakes:
            self._listener.handshakes.remove(self)
            self._listener.census.leave(self._address)
            self._deadline.cancel()


def _feed(wire: asyncio.Transport, data: bytes) -> None:
    """Give TLS what arrived before it was there."""
    if wire.is_closing():
        return
    pieces = Pieces(cast("asyncio.BufferedProtocol", wire.get_protocol()))
    wire.set_protocol(pieces)
    pieces.feed(data)
