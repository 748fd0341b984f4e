"""Orders to a running gateway: what is sent, and every way that it can go wrong as one clear line."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli.answering import answering
from keys.rings import loaded
from support.addresses import HOST, free_port

from gateway.cli.remote import Call, Unreachable, ask
from gateway.errors import BadStart


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


def test_a_query(tmp_path: Path) -> None:
    with answering(b"{}") as (port, asked):
        call = Call("GET", ("usage",), query=(("by", "a&b c"), ("month", "2026-11")))
        ask(loaded(tmp_path, admin={"listen": f"{HOST}:{port}"}), call)
    assert [request[:2] for request in asked] == [("GET", "/-/usage?by=a%26b+c&month=2026-11")]


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
    with pytest.raises(Unreachable, match="cannot be reached: Connection refused") as caught:
        asked_of(tmp_path, free_port(), Call("DELETE", ("keys", "7")))
    assert caught.value.reason == "Connection refused"
