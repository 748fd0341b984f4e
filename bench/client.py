"""Requests over plain sockets, for what wrk cannot measure."""

import re
import socket
from time import perf_counter

from bench.load import key
from bench.processes import HOST, Server

PATIENCE = 30.0
"""Seconds without a byte after which an answer is given up."""

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


def request(target: str) -> bytes:
    """The bytes of a GET with the first API key."""
    return f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key(0)}\r\n\r\n".encode()


def whole(data: bytes | bytearray) -> bool:
    """Whether `data` is an answer with all its body; fails on any but a 200."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    assert head.startswith(b"HTTP/1.1 200"), head
    if length := _LENGTH.search(head + b"\r\n"):
        return len(body) >= int(length[1])
    return body.endswith(b"0\r\n\r\n")


class Client:
    """One connection that asks for the same thing again and again."""

    def __init__(self, server: Server, target: str) -> None:
        self._socket = socket.create_connection((HOST, server.port), PATIENCE)
        self._request = request(target)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self) -> float:
        """Milliseconds until the whole answer was there."""
        began = perf_counter()
        self._socket.sendall(self._request)
        data = bytearray()
        while not whole(data):
            received = self._socket.recv(65536)
            assert received, "the connection was closed without an answer"
            data += received
        return (perf_counter() - began) * 1000
