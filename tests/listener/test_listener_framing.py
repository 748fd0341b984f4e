"""Content that is mostly framing ends its connection; small content is content."""

import pytest
from listener.doors import door, echo
from support.wire import Connection

CHUNKED = b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def flood(client: Connection, block: bytes, most: int = 1 << 24) -> None:
    """Send until the other side has had enough of it."""
    for _ in range(most // len(block)):
        client.send(block)
        await client.writer.drain()
    pytest.fail("it took all of it")


FRAMING = {
    "a chunk extension": (b"2;", b"a" * 4096),
    "zeros before a size": (b"", b"0" * 4096),
    "trailers": (b"0\r\n", b"X-A: " + b"a" * 4000 + b"\r\n"),
    "extensions of small chunks": (b"", b"1;" + b"a" * 4096 + b"\r\nx\r\n"),
}


@pytest.mark.parametrize(("first", "more"), FRAMING.values(), ids=FRAMING)
async def test_framing_without_content_ends_the_connection(first: bytes, more: bytes) -> None:
    async with door(echo, fields=1 << 16) as opened, await opened.connect() as client:
        client.send(CHUNKED + first)
        await opened.pipeline.arrived.wait()
        with pytest.raises(ConnectionError):
            await flood(client, more)


async def test_content_in_the_smallest_chunks_is_content() -> None:
    size = 20_000
    async with door(echo) as opened, await opened.connect() as client:
        client.send(CHUNKED)
        await opened.pipeline.arrived.wait()
        client.send(b"1\r\nx\r\n" * size + b"0\r\n\r\n")
        assert (await client.answer()).body == b"x" * size
