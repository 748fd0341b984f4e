"""Tokens in the body from outside: real clients with their default fields, and bodies that must not change."""

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
from support.answers import status_of, tokens
from support.config import KeyRing, config, plan, product_route
from support.gateway import RunningGateway
from support.scripts import answer, json_answer
from support.tools import skip_unless_tool
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

RING = KeyRing(120, "pro")
PRODUCT = "/v1/products"
FULL = "include_offers=true&include_reviews=true"


@pytest.fixture(scope="module")
def metered(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    whole = config(origin.url, product_route(), keys=RING.keys, plans={"pro": plan(2000)})
    with RunningGateway(tmp_path_factory.mktemp("metered"), whole) as running:
        yield running


@pytest.fixture
def client(metered: RunningGateway) -> httpx.Client:
    return metered.client(RING.take())


RECORD = {"item_id": "1", "price": 49.0, "ean": None, "title": "Ünïcode", "nested": {"tokens_consumed": "kept"}}


def ask_requests(url: str, key: str) -> Any:
    reply = requests.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=20)
    assert reply.headers["Content-Encoding"] == "gzip"
    return reply.json()


def ask_httpx(url: str, key: str) -> Any:
    reply = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    assert reply.headers["Content-Encoding"] == "gzip"
    return reply.json()


def ask_fetch(url: str, key: str) -> Any:
    script = "fetch(process.argv[1],{headers:{authorization:process.argv[2]}}).then(r=>r.json())"
    command = [skip_unless_tool("node"), "-e", f"{script}.then(b=>console.log(JSON.stringify(b)))"]
    return json.loads(subprocess.run([*command, url, f"Bearer {key}"], check=True, capture_output=True).stdout)


def ask_curl(*options: str) -> Callable[[str, str], Any]:
    def ask(url: str, key: str) -> Any:
        command = [skip_unless_tool("curl"), "-sS", "--fail", "--noproxy", "*", *options, "-H"]
        done = subprocess.run([*command, f"Authorization: Bearer {key}", url], check=True, capture_output=True)
        return json.loads(done.stdout)

    return ask


CLIENTS = {
    "requests": ask_requests,
    "httpx": ask_httpx,
    "fetch": ask_fetch,
    "curl": ask_curl(),
    "curl compressed": ask_curl("--compressed"),
}


@pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS.keys())
def test_real_clients_with_their_default_fields_see_the_tokens_in_the_body(
    metered: RunningGateway, origin: ScriptedUpstream, item: str, ask: Callable[[str, str], Any]
) -> None:
    path = f"{PRODUCT}/{item}"
    origin.script(path, json_answer(RECORD))
    key = RING.take()["Authorization"].removeprefix("Bearer ")
    for remaining in (1999, 1998):
        assert ask(f"{metered.url}{path}", key) == RECORD | {"tokens_consumed": 1, "tokens_remaining": remaining}
    (received,) = origin.calls(path)
    assert received.field("Accept-Encoding") in (None, "identity")


def test_the_upstreams_own_token_members_are_replaced(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"{PRODUCT}/{item}", json_answer({"tokens_consumed": 77, "a": 1, "tokens_remaining": 88}))
    reply = client.get(f"{PRODUCT}/{item}")
    assert reply.text.count("tokens_consumed") == reply.text.count("tokens_remaining") == 1
    assert reply.json() == {"a": 1, "tokens_consumed": 1, "tokens_remaining": 1999}


UNCHANGED = {
    "array": b'[{"a": 1}]',
    "number": b"12",
    "text": b"plain {text}",
    "broken": b'{"a": 1',
    "empty": b"",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("body", UNCHANGED.values(), ids=UNCHANGED.keys())
def test_anything_but_a_json_object_passes_unchanged(
    client: httpx.Client, origin: ScriptedUpstream, item: str, body: bytes
) -> None:
    origin.script(f"{PRODUCT}/{item}", answer(body))
    for call in (1, 2):
        reply = client.get(f"{PRODUCT}/{item}")
        assert (reply.content, tokens(reply)) == (body, (1, 2000 - call))


def test_the_stored_body_holds_no_tokens(metered: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    path = f"{PRODUCT}/{item}"
    origin.script(path, json_answer({"a": 1}))
    first, second = metered.client(RING.take()), metered.client(RING.take())
    assert [first.get(path).json()["tokens_remaining"] for _ in range(3)] == [1999, 1998, 1997]
    reply = second.get(path)
    assert (status_of(reply).hit, reply.json()["tokens_remaining"]) == (True, 1999)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_content_length_is_right_with_tokens_in_the_body(
    metered: RunningGateway, item: str, encoding: str
) -> None:
    authorized = f"Authorization: {RING.take()['Authorization']}"
    async with await Connection.open(metered.address) as connection:
        for _ in range(2):
            connection.request("GET", f"{PRODUCT}/{item}", authorized, f"Accept-Encoding: {encoding}")
            reply = await connection.answer()
            assert reply.field("Content-Length") == str(len(reply.body))
            assert reply.field("Content-Encoding") == (None if encoding == "identity" else "gzip")
        connection.request("HEAD", f"{PRODUCT}/{item}", authorized, f"Accept-Encoding: {encoding}")
        assert (await connection.answer("HEAD")).status == 200
        connection.request("GET", f"{PRODUCT}/{item}", authorized)
        assert (await connection.answer()).json()["tokens_consumed"] == 1
