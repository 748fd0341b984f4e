"""What a connection within TLS is handed at once, and so keeps room for until it ends."""

import asyncio
import socket
from asyncio import constants
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from listener.doors import door, echo
from support.addresses import HOST
from support.certificates import issued, place, trusting

from gateway.config.paths import Tls
from gateway.listener import handshake
from gateway.listener.connection import Connection
from gateway.listener.pieces import Pieces
from gateway.listener.tls import encryption

PIECE = 16 << 10


class Recorded(asyncio.BufferedProtocol):
    """Has room for `room` bytes, and records what is read into it."""

    def __init__(self, room: int) -> None:
        self.room = memoryview(bytearray(room))
        self.read: list[bytes] = []
        self.heard: list[object] = []

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        self.read.append(bytes(self.room[:nbytes]))

    def eof_received(self) -> bool:
        self.heard.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append(exc)

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")


@pytest.mark.parametrize("room", [256 << 10, 1000], ids=["more", "less"])
def test_no_more_is_read_at_once_than_a_piece(room: int) -> None:
    tls = Recorded(room)
    assert len(Pieces(tls).get_buffer(1 << 16)) == min(room, PIECE)


@pytest.mark.parametrize("room", [256 << 10, 1000], ids=["more", "less"])
@pytest.mark.parametrize("size", [1, PIECE, PIECE + 1, 100_000])
def test_what_was_read_before_is_handed_over_in_pieces(size: int, room: int) -> None:
    tls, data = Recorded(room), bytes(range(251)) * (size // 251 + 1)
    Pieces(tls).feed(data[:size])
    assert b"".join(tls.read) == data[:size]
    assert max(map(len, tls.read)) <= min(room, PIECE)


def test_all_else_passes() -> None:
    tls, lost = Recorded(1), OSError()
    pieces = Pieces(tls)
    pieces.pause_writing()
    pieces.resume_writing()
    assert pieces.eof_received()
    pieces.connection_lost(lost)
    assert tls.heard == ["pause", "resume", "eof", lost]


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    cert, key = place(tmp_path, issued())
    return Tls.model_construct(cert=cert, key=key)


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_large_content_comes_in_pieces_and_waits_in_the_socket(
    tls: Tls, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Else each of the connections that a client may have would hold a megabyte, for as long as it stays."""
    sizes = []

    class Counting(Pieces):
        def buffer_updated(self, nbytes: int) -> None:
            sizes.append(nbytes)
            super().buffer_updated(nbytes)

    monkeypatch.setattr(handshake, "Pieces", Counting)

    async def run() -> None:
        content = bytes(range(256)) * (1 << 12)
        async with door(echo, await encryption(tls)) as opened, await opened.connect(trusting()) as client:
            client.request("POST", "/a", f"Content-Length: {len(content)}", body=content)
            assert (await client.answer()).body == content
            assert sum(sizes) > len(content)
            assert max(sizes) <= PIECE
            (connection,) = opened.listener._protocols.connections
            assert isinstance(connection, Connection)
            assert connection.transport.get_read_buffer_limits()[1] <= 64 << 10  # type: ignore[union-attr]

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


def test_a_handshake_has_as_long_as_a_head_and_no_minute_of_the_loops(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "SSL_HANDSHAKE_TIMEOUT", 1e-6)

    def answered(address: tuple[str, int]) -> bytes:
        with socket.create_connection(address, 20) as raw, trusting().wrap_socket(raw, server_hostname=HOST) as wire:
            wire.sendall(b"GET /-/livez HTTP/1.1\r\nHost: a\r\n\r\n")
            return wire.recv(12)

    async def run() -> None:
        async with door(echo, await encryption(tls), head_timeout=20) as opened:
            assert await asyncio.to_thread(answered, opened.address) == b"HTTP/1.1 200"

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(run())
