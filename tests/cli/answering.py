"""An admin port by script, for the commands that ask one."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import repeat
from typing import Any

from support.addresses import HOST


@dataclass(frozen=True)
class Reply:
    """One answer; `length` is what it says of its content's size, None for what that is."""

    content: bytes
    status: int = 200
    length: int | None = None


@contextmanager
def answering(content: bytes, status: int = 200, length: int | None = None) -> Iterator[tuple[int, list[Any]]]:
    """An admin port that answers so, and what it was asked."""
    with answering_in_turn(repeat(Reply(content, status, length))) as asked:
        yield asked


@contextmanager
def answering_in_turn(replies: Iterable[Reply]) -> Iterator[tuple[int, list[Any]]]:
    """An admin port that gives one answer after the other, and what it was asked."""
    asked: list[Any] = []
    left = iter(replies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked.append((self.command, self.path, dict(self.headers), body))
            reply = next(left)
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(reply.content) if reply.length is None else reply.length))
            self.end_headers()
            self.wfile.write(reply.content)

        def do_DELETE(self) -> None:
            self.do_POST()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Nothing."""

    with HTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()
