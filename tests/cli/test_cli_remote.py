"""Orders to a running gateway: what is sent, and every way that it can go wrong as one clear line."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from keys.rings import loaded
from support.addresses import HOST, free_port

from gateway.cli.remote import Call, ask
from gateway.errors import BadStart


@contextmanager
def answering(content: bytes, status: int = 200, length: int | None = None) -> Iterator[tuple[int, list[Any]]]:
    """An admin port that answers so, and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked.append((self.command, self.path, dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            self.wfile.write(content)

        def do_DELETE(self) -> None:
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


def asked_of(folder: Path, port: int, call: Call, host: str = HOST) -> dict[str, Any]:
    return ask(loaded(folder, admin={"listen": f"{host}:{port}", "token": "tökén"}), call)


@pytest.mark.parametrize("host", [HOST, "", "0.0.0.0", "localhost"])
def test_what_is_sent(tmp_path: Path, host: str) -> None:
    with answering(b'{"a": 1}', 201) as (port, asked):
        call = Call("POST", ("keys", "a@b…/c", "rotate"), {"overlap": "1h"})
        assert asked_of(tmp_path, port, call, host) == {"a": 1}
    ((method, path, fields, body),) = asked
    assert (method, path) == ("POST", "/-/keys/a%40b%E2%80%A6%2Fc/rotate")
    assert fields["Content-Type"] == "application/json"
    assert fields["Authorization"].encode("latin-1").decode() == "Bearer tökén"
    assert json.loads(body) == {"overlap": "1h"}


def test_a_call_without_content(tmp_path: Path) -> None:
    with answering(b"{}") as (port, asked):
        ask(loaded(tmp_path, admin={"listen": f"{HOST}:{port}"}), Call("DELETE", ("keys", "7")))
    ((method, path, fields, body),) = asked
    assert (method, path, body) == ("DELETE", "/-/keys/7", b"")
    assert not {"Content-Type", "Authorization"} & set(fields)


WRONG = {
    "a refusal": (b'{"detail": "The admin token is wrong"}', 401, None, "^The admin token is wrong$"),
    "a refusal without words": (b"{}", 500, None, "answered 500"),
    "no JSON": (b"<html>", 200, None, "broke off, and may have done it"),
    "no object": (b"[]", 200, None, "broke off, and may have done it"),
    "cut off": (b'{"a"', 200, 99, "broke off, and may have done it"),
}


@pytest.mark.parametrize(("content", "status", "length", "words"), WRONG.values(), ids=WRONG)
def test_what_goes_wrong(tmp_path: Path, content: bytes, status: int, length: int | None, words: str) -> None:
    with answering(content, status, length) as (port, _), pytest.raises(BadStart, match=words):
        asked_of(tmp_path, port, Call("DELETE", ("keys", "7")))


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(BadStart, match="cannot be reached: Connection refused"):
        asked_of(tmp_path, free_port(), Call("DELETE", ("keys", "7")))
