"""Clients of a listener with TLS, and the event loop that serves it."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any

import uvloop
from listener.doors import Door
from support.certificates import trusting

from gateway.config.paths import Tls
from gateway.listener.tls import Encryption, encryption
from gateway.messages import Request

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

Test = Callable[..., Coroutine[Any, Any, None]]


def on_uvloop(test: Test) -> Callable[..., None]:
    @wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def shown(tls: Tls) -> Encryption:
    found = await encryption(tls)
    assert found is not None
    return found


class Blocking:
    """A client that reads only when it is told to, in threads; its socket is closed with it."""

    def __init__(self, wire: ssl.SSLSocket) -> None:
        self.wire = wire

    @classmethod
    async def to(cls, opened: Door, context: ssl.SSLContext | None = None) -> "Blocking":
        def connected() -> ssl.SSLSocket:
            raw = socket.create_connection(opened.address, timeout=20)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
            wire = (context or trusting()).wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
            wire.settimeout(20)
            return wire

        return cls(await asyncio.to_thread(connected))

    def __enter__(self) -> "Blocking":
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(self.wire.sendall, data)

    async def all(self) -> bytes:
        """Everything up to the peer's close_notify; raises SSLError or OSError where the connection ends without."""

        def read() -> bytes:
            pieces = []
            while piece := self.wire.recv(1 << 16):
                pieces.append(piece)
            return b"".join(pieces)

        return await asyncio.to_thread(read)


class Bare:
    """A client whose every byte on the wire is the test's own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = trusting().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    @classmethod
    async def to(cls, opened: Door) -> "Bare":
        return cls(*await asyncio.open_connection(*opened.address))

    async def __aenter__(self) -> "Bare":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def due(self, step: Callable[[], object]) -> bytes:
        """What the client sends by taking a step as far as it goes."""
        with suppress(ssl.SSLWantReadError):
            step()
        return self.outgoing.read()

    def begin(self) -> None:
        """Send the ClientHello."""
        self.writer.write(self.due(self.tls.do_handshake))

    async def take(self) -> None:
        self.incoming.write(await self.reader.read(1 << 16))

    async def ended(self) -> None:
        """Return once the peer has closed or reset, whatever it says before."""
        with suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass


async def raced(client: Bare, *, begun: bool = False) -> bytes:
    """The answer to a request that is sent with the handshake's last message, whose first came byte by byte."""
    if not begun:
        for byte in client.due(client.tls.do_handshake):
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await client.take()
    finished = client.due(client.tls.do_handshake)
    client.writer.write(finished + client.due(lambda: client.tls.write(REQUEST)))
    found = bytearray()
    while b"\r\n\r\n" not in found:
        await client.take()
        with suppress(ssl.SSLWantReadError):
            found += client.tls.read(1 << 16)
    return bytes(found)


def always(answer: Any) -> Callable[[Request], Awaitable[Any]]:
    async def respond(request: Request) -> Any:
        return answer

    return respond
