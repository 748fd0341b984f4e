"""A request's content: bounded, under a deadline, asked for where the client waits for that."""

import pytest
from listener.doors import door, echo, target, until
from multidict import CIMultiDict

from gateway.listener.body import declared_body


@pytest.mark.parametrize(
    ("fields", "declared"),
    [
        ({}, False),
        ({"Content-Length": "0"}, False),
        ({"Content-Length": "1"}, True),
        ({"Transfer-Encoding": "x"}, True),
    ],
)
def test_which_heads_announce_content(fields: dict[str, str], declared: bool) -> None:
    assert declared_body(CIMultiDict(fields)) is declared


@pytest.mark.parametrize(
    ("line", "sent", "goes_on"),
    [
        ("Content-Length: 4", b"body", True),
        ("Transfer-Encoding: chunked", b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", False),
    ],
    ids=["length", "chunked"],
)
async def test_content_is_read_in_either_framing(line: str, sent: bytes, goes_on: bool) -> None:
    async with door(echo) as opened, await opened.connect() as client:
        client.request("POST", "/", line, body=sent)
        answer = await client.answer()
        assert (answer.body, answer.field("Connection")) == (b"body", None if goes_on else "close")


async def test_chunks_past_the_limit_are_refused() -> None:
    async with door(echo, body=8) as opened, await opened.connect() as client:
        client.request("POST", "/", "Transfer-Encoding: chunked", body=b"9\r\n123456789\r\n0\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.body) == (413, b"body_too_large")


async def test_content_that_stops_arriving_is_refused() -> None:
    async with door(echo, body_timeout=0.05) as opened, await opened.connect() as client:
        client.request("POST", "/", "Content-Length: 4", body=b"bo")
        answer = await client.answer()
        assert (answer.status, answer.body) == (408, b"request_timeout")
        assert await client.ended() == b""


@pytest.mark.parametrize("sent", [b"zz\r\n", b"2\r\nbodybody"], ids=["size", "end"])
async def test_content_in_bad_chunks_is_refused(sent: bytes) -> None:
    async with door(echo) as opened, await opened.connect() as client:
        client.request("POST", "/", "Transfer-Encoding: chunked", body=sent)
        assert (await client.answer()).status == 400


async def test_content_is_asked_for_when_it_is_read() -> None:
    async with door(echo) as opened, await opened.connect() as client:
        client.request("POST", "/", "Content-Length: 4", "Expect: 100-continue")
        assert (await client.head())[0] == 100
        client.send(b"body")
        assert (await client.answer()).body == b"body"


async def test_content_that_nobody_reads_is_not_asked_for() -> None:
    async with door(target, body_timeout=0.05) as opened, await opened.connect() as client:
        client.request("POST", "/a", "Content-Length: 4", "Expect: 100-continue")
        assert (await client.head())[0] == 200


async def test_http_1_0_knows_no_interim_answers() -> None:
    """RFC 9110 §10.1.1: the expectation is ignored there."""
    async with door(echo) as opened, await opened.connect() as client:
        client.send(b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        await until(lambda: opened.pipeline.requests)
        client.send(b"body")
        assert (await client.head())[0] == 200
