"""HTTP/1.1 framing (RFC 9112) by hand, for both ends of the tests: what no well-behaved library would send or show."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

Fields = tuple[tuple[str, str], ...]

READ_LIMIT = 1 << 20
DEADLINE = 20.0
NO_LINGER = struct.pack("ii", 1, 0)


def values(fields: Fields, name: str) -> list[str]:
    """Every value of `name`, compared without case, in the order received."""
    return [value for field, value in fields if field.lower() == name.lower()]


async def read_head(reader: asyncio.StreamReader) -> tuple[str, Fields]:
    """The start line and the field lines as received; raises `IncompleteReadError` where the peer ends instead."""
    raw = await reader.readuntil(b"\r\n\r\n")
    start, *lines = raw[:-4].decode("latin-1").split("\r\n")
    split = (line.partition(":") for line in lines)
    return start, tuple((name, value.strip()) for name, _, value in split)


async def read_chunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The decoded chunks of a chunked body; the trailer section is read and dropped."""
    while size := int((await reader.readuntil(b"\n")).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()).strip():
        pass


async def read_content(reader: asyncio.StreamReader, fields: Fields) -> AsyncIterator[bytes]:
    """The content that `fields` announce; nothing where they announce none."""
    if "chunked" in values(fields, "Transfer-Encoding"):
        async for chunk in read_chunked(reader):
            yield chunk
        return
    left = int(next(iter(values(fields, "Content-Length")), "0"))
    while left:
        chunk = await reader.read(min(left, 1 << 16))
        if not chunk:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(chunk)
        yield chunk


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a TCP reset instead of an orderly close."""
    endpoint: socket.socket = writer.get_extra_info("socket")
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    writer.transport.abort()


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came over the wire; `complete` is False where the connection ended too soon."""

    status: int
    fields: Fields
    body: bytes
    complete: bool = True

    def field(self, name: str) -> str | None:
        """The only value of `name`, None where it is absent."""
        found = values(self.fields, name)
        assert len(found) < 2, f"{name} is repeated: {found}"
        return found[0] if found else None

    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.body)


class Connection:
    """A client connection that sends bytes exactly as given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, address: tuple[str, int], context: ssl.SSLContext | None = None) -> "Connection":
        return cls(*await asyncio.open_connection(*address, limit=READ_LIMIT, ssl=context))

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    def request(self, method: str, target: str, *lines: str, body: bytes = b"") -> None:
        """Send one request with `Host` and the given field lines; Content-Length is the caller's business."""
        host = "{}:{}".format(*self.writer.get_extra_info("peername")[:2])
        head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""])
        self.send(head.encode("latin-1") + body)

    async def head(self) -> tuple[int, Fields]:
        """The next response's status and fields, interim ones included."""
        start, fields = await asyncio.wait_for(read_head(self.reader), DEADLINE)
        return int(start.split()[1]), fields

    async def answer(self, method: str = "GET") -> Answer:
        """The next final response, whole."""
        status, fields = await self.head()
        while status < 200:
            status, fields = await self.head()
        if method == "HEAD" or status in (204, 304):
            return Answer(status, fields, b"")
        return await self.with_content(status, fields)

    async def with_content(self, status: int, fields: Fields) -> Answer:
        body = bytearray()
        try:
            async with asyncio.timeout(DEADLINE):
                if not values(fields, "Content-Length") and not values(fields, "Transfer-Encoding"):
                    return Answer(status, fields, await self.reader.read())
                async for chunk in read_content(self.reader, fields):
                    body += chunk
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return Answer(status, fields, bytes(body), complete=False)
        return Answer(status, fields, bytes(body))

    async def ended(self) -> bytes:
        """What still comes until the peer closes or resets."""
        try:
            return await asyncio.wait_for(self.reader.read(), DEADLINE)
        except ConnectionError:
            return b""

    def finish(self) -> None:
        """Send no more, but go on reading."""
        self.writer.write_eof()

    def hang_up(self) -> None:
        """Leave without a word, as a client that crashed."""
        reset(self.writer)


async def exchange(address: tuple[str, int], raw: bytes) -> Answer:
    """Send `raw` on a connection of its own and read the answer."""
    async with await Connection.open(address) as connection:
        connection.send(raw)
        return await connection.answer()
