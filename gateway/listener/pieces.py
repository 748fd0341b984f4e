"""What stands between the socket and TLS: it keeps room for the most that it was ever handed at once."""

import asyncio

# Bytes: as many as a record holds (RFC 8446 §5.1). An event loop hands over 256 KiB, which each connection would keep.
_PIECE = 16 * 1024


class Pieces(asyncio.BufferedProtocol):
    """Has `tls` read in small pieces; all else passes."""

    def __init__(self, tls: asyncio.BufferedProtocol) -> None:
        self._tls = tls

    def get_buffer(self, sizehint: int) -> memoryview:
        """The beginning of TLS's own buffer, whose rest is then never touched."""
        return memoryview(self._tls.get_buffer(sizehint))[:_PIECE]

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read."""
        self._tls.buffer_updated(nbytes)

    def feed(self, data: bytes) -> None:
        """Hand over what was read before TLS was there."""
        while data:
            room = self.get_buffer(len(data))
            piece, data = data[: len(room)], data[len(room) :]
            room[: len(piece)] = piece
            self.buffer_updated(len(piece))

    def eof_received(self) -> bool | None:
        """The client has ended its side."""
        return self._tls.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket has gone."""
        self._tls.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._tls.pause_writing()

    def resume_writing(self) -> None:
        """It reads on."""
        self._tls.resume_writing()
