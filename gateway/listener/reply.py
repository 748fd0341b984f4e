"""An answer on its way out: our own bytes on the transport, under the write deadline."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion10

from gateway.answers.head import phrase, render
from gateway.errors import Problem
from gateway.messages import Answer

if TYPE_CHECKING:
    from gateway.listener.connection import Connection

_SLICE = 256 * 1024
_JOIN = 64 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)


class Reply(web.StreamResponse):
    """What aiohttp's protocol asks of a response: `prepare`, `write_eof`, `keep_alive`.

    aiohttp would build every head from a multidict again; the answer's head is bytes already.
    """

    def __init__(self, answer: Answer, *, close: bool, write_timeout: float) -> None:
        # Deliberately not super().__init__(): nothing of its state is used.
        self._answer = answer
        self._ends = close or answer.last
        self._write_timeout = write_timeout

    @property
    def keep_alive(self) -> bool:
        """Whether the connection is good for another request."""
        return not self._ends

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the whole answer."""
        connection = cast("Connection", request.protocol)
        await self.send(connection, chunks=request.version > HttpVersion10)
        # The client may have sent its last while this was on its way.
        self._ends = self._ends or (connection.eof and not connection.pipelined)
        return None

    async def send(self, connection: "Connection", *, chunks: bool) -> None:
        """The whole answer; `chunks` says whether the client knows chunked content. Raises ConnectionResetError."""
        answer, transport = self._answer, connection.transport
        try:
            if transport is None:
                raise ConnectionResetError
            if answer.chunks is None:
                await self._send_whole(connection, transport, answer.body)
            else:
                await self._send_stream(connection, transport, answer.chunks, chunked=chunks)
        finally:
            if answer.close is not None:
                await answer.close()

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""

    async def _send_whole(self, protocol: web.RequestHandler, transport: asyncio.Transport, body: bytes) -> None:
        head = self._head(length=len(body) if self._has_length() else None)
        if self._answer.bodiless:
            transport.write(head)
        elif len(body) <= _JOIN:
            transport.write(head + body)
        else:
            transport.write(head)
            for start in range(0, len(body), _SLICE):
                transport.write(body[start : start + _SLICE])
                await self._drained(protocol, transport)
        if protocol.writing_paused:
            await self._drained(protocol, transport)

    async def _send_stream(
        self, connection: "Connection", transport: asyncio.Transport, chunks: AsyncIterator[bytes], *, chunked: bool
    ) -> None:
        answer = self._answer
        chunked = chunked and answer.length is None and self._has_length()
        self._ends = self._ends or (answer.length is None and self._has_length() and not chunked)
        framing = b"Transfer-Encoding: chunked\r\n" if chunked else b""
        transport.write(self._head(framing, answer.length if self._has_length() else None))
        if not answer.bodiless:
            await self._send_chunks(connection, transport, chunks, chunked=chunked)

    async def _send_chunks(
        self, connection: "Connection", transport: asyncio.Transport, chunks: AsyncIterator[bytes], *, chunked: bool
    ) -> None:
        connection.sending = True
        try:
            async for chunk in chunks:
                if chunk:
                    transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                    await self._drained(connection, transport)
            if chunked:
                transport.write(b"0\r\n\r\n")
        except BaseException as error:
            # The head has gone: only an abort tells the client that this content is not whole.
            _cut(transport, reset=self._answer.length is None and not chunked)
            self._ends = True
            if not isinstance(error, Problem):
                raise
        finally:
            connection.sending = False

    async def _drained(self, protocol: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Wait until the client has read enough; one that reads nothing for the write timeout is cut off."""
        if transport.is_closing():
            raise ConnectionResetError
        if not protocol.writing_paused:
            return
        try:
            async with asyncio.timeout(self._write_timeout):
                await protocol._drain_helper()  # noqa: SLF001 - the only awaitable for flow control there is
        except TimeoutError:
            transport.abort()
            raise ConnectionResetError from None

    def _has_length(self) -> bool:
        """RFC 9110 §8.6: no Content-Length with 1xx and 204; a 304's would be the 200's."""
        return self._answer.status not in (204, 304) and self._answer.status >= 200

    def _head(self, framing: bytes = b"", length: int | None = None) -> bytes:
        answer = self._answer
        reason = answer.reason or phrase(answer.status)
        return render(answer.status, reason, (answer.lines, framing), length, close=self._ends)


def _cut(transport: asyncio.Transport, *, reset: bool) -> None:
    """Close at once; `reset` where the content ends with the connection, as an orderly close would make it whole."""
    endpoint = transport.get_extra_info("socket")
    if reset and endpoint is not None:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
