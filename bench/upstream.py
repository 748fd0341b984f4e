"""The upstream behind every peer, a process of its own: products of one size, as fast as one core gives them.

`?latency=MS` delays an answer and `?size=BYTES` sets its size; `/calls` tells how many products were asked for.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import date
from email.utils import formatdate
from functools import cache
from random import Random
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import uvloop

from gateway.demo import catalogue

SIZE = 1_700
"""Bytes of a product unless the request says otherwise."""

_EXAMPLE = "10000000000"


@cache
def _pattern(size: int) -> str:
    """A product of `size` bytes; its description, lengthened with what does not compress, makes up the difference."""
    record = catalogue.product(_EXAMPLE, 0, date(2026, 1, 1), offers=size > 1_600, reviews=True)
    missing = size - len(json.dumps(record))
    assert missing >= 0, f"no product is as small as {size} bytes"
    record["description"] += Random(0).randbytes(missing).hex()[:missing]
    return json.dumps(record)


def product(item_id: str, size: int = SIZE) -> bytes:
    """The body for an id of eleven digits; JSON, `size` bytes."""
    return _pattern(size).replace(_EXAMPLE, item_id).encode()


@cache
def _date(_second: int) -> str:
    return formatdate(usegmt=True)


def answered(body: bytes) -> bytes:
    """A 200 with this body, which may be stored for an hour."""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: public, max-age=3600\r\n"
        f"Date: {_date(int(time.time()))}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Upstream:
    """What all connections share: the count of calls."""

    def __init__(self) -> None:
        self._calls = 0

    def answer(self, target: str) -> tuple[bytes, float]:
        """The answer to a GET, and the seconds to wait before it."""
        url = urlsplit(target)
        if url.path == "/calls":
            return answered(b"%d" % self._calls), 0.0
        self._calls += 1
        asked = dict(parse_qsl(url.query))
        body = product(url.path.rpartition("/")[2], int(asked.get("size", SIZE)))
        return answered(body), int(asked.get("latency", 0)) / 1000


class Connection(asyncio.Protocol):
    """One kept-alive connection; requests have no bodies, and nobody here pipelines."""

    def __init__(self, answer: Callable[[str], tuple[bytes, float]]) -> None:
        self._answer = answer
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Answer each head that is complete."""
        *heads, self._unread = (self._unread + data).split(b"\r\n\r\n")
        for head in heads:
            answer, wait = self._answer(head.split(b" ", 2)[1].decode())
            if wait:
                asyncio.get_running_loop().call_later(wait, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def serve(port: int) -> None:
    """Serve until terminated."""
    upstream = Upstream()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(upstream.answer), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
