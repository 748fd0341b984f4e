"""The health check's question: where it is asked, and what it comes to."""

import subprocess
import sys

import pytest
from cli.answering import answering
from support.addresses import HOST, free_port
from support.gateway import ROOT

from gateway import ready
from gateway.config.schema import LEFT_OUT

LISTENS = {
    "127.0.0.1:9180": ("127.0.0.1", 9180),
    "0.0.0.0:9180": ("127.0.0.1", 9180),
    ":9180": ("127.0.0.1", 9180),
    "[::]:9180": ("::1", 9180),
    "[fe80::1]:80": ("fe80::1", 80),
    "gateway.internal:80": ("gateway.internal", 80),
}


@pytest.mark.parametrize(("listen", "reached"), LISTENS.items(), ids=LISTENS)
def test_where_it_asks(listen: str, reached: tuple[str, int]) -> None:
    assert ready.address(listen) == reached


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:http", ""])
def test_an_address_without_a_port_is_none(listen: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        ready.address(listen)


def test_left_out_it_asks_where_the_gateway_listens_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[tuple[str, int]]()
    monkeypatch.setattr(ready, "unready", lambda host, port: asked.append((host, port)))
    monkeypatch.setenv("GATEWAY_ADMIN", "")
    with pytest.raises(SystemExit) as ended:
        ready.main()
    assert ended.value.code is None
    ((host, port),) = asked
    assert isinstance(LEFT_OUT, dict)
    assert isinstance(LEFT_OUT["admin"], dict)
    assert LEFT_OUT["admin"]["listen"] == f"${{GATEWAY_ADMIN:-{host}:{port}}}"


def test_ready() -> None:
    with answering(b"serving: ok\nok\n") as (port, asked):
        assert ready.unready(HOST, port) is None
    assert [request[:2] for request in asked] == [("GET", "/readyz?verbose")]


WRONG = {
    "not ready": (b"ledger: failing\nnot ready: ledger\n", 503, None, "ledger: failing\nnot ready: ledger"),
    "no text": (b"\xff", 503, None, "\ufffd"),
    "no HTTP": (b"ok", 99, None, "HTTP/1.0 99"),
}


@pytest.mark.parametrize(("content", "status", "length", "words"), WRONG.values(), ids=WRONG)
def test_not_ready(content: bytes, status: int, length: int | None, words: str) -> None:
    with answering(content, status, length) as (port, _):
        assert words in (ready.unready(HOST, port) or "")


def test_nobody_there_is_told_in_a_line() -> None:
    port = free_port()
    command = [sys.executable, "-m", "gateway.ready"]
    done = subprocess.run(
        command, env={"GATEWAY_ADMIN": f":{port}"}, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"127.0.0.1 port {port}: [Errno 111] Connection refused\n"
