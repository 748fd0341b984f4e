"""An upstream client and what it counted, for as long as a test runs."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from multidict import CIMultiDict
from support.polling import PATIENCE

from gateway.admission.snapshot import UpstreamPolicy
from gateway.clock import SystemClock
from gateway.messages import Outgoing, Stream
from gateway.ports import Clock
from gateway.upstreams.client import HttpUpstream

# A busy machine is not a slow upstream.
_PATIENT = dict.fromkeys(("connect_timeout", "first_byte_timeout", "total_timeout", "wait"), PATIENCE)


class Counts:
    def __init__(self) -> None:
        self.exchanges: Counter[str] = Counter()
        self.retries = 0

    def upstream(self, name: str, code: str, seconds: float) -> None:
        assert name == "u"
        assert seconds >= 0
        self.exchanges[code] += 1

    def retry(self, name: str) -> None:
        assert name == "u"
        self.retries += 1


class Client:
    """An upstream client and what it counted."""

    def __init__(self, upstream: HttpUpstream, counts: Counts) -> None:
        self.upstream = upstream
        self.counts = counts

    async def send(self, target: str = "/", method: str = "GET", body: bytes | None = None) -> Stream:
        return await self.upstream.send(Outgoing(method, target, CIMultiDict(), body))

    async def get(self, target: str = "/") -> bytes:
        return await whole(await self.send(target))


async def whole(stream: Stream) -> bytes:
    return b"".join([chunk async for chunk in stream.chunks])


@asynccontextmanager
async def client(*urls: str, clock: Clock | None = None, **policy: object) -> AsyncIterator[Client]:
    counts = Counts()
    configured = replace(UpstreamPolicy("u", urls, **_PATIENT), **policy)  # type: ignore[arg-type]
    upstream = HttpUpstream(configured, counts, clock or SystemClock())
    try:
        yield Client(upstream, counts)
    finally:
        await upstream.close()
