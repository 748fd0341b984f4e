"""A real listener on a loopback port, in front of an answer of the test's own instead of a pipeline."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from support.addresses import HOST
from support.wire import Connection as Client

from gateway.config.schema import Limits
from gateway.errors import Problem
from gateway.health import Health
from gateway.listener.connection import Connection
from gateway.listener.server import Listener
from gateway.listener.tls import Encryption
from gateway.messages import Answer, Fields, Request
from gateway.own import Own
from gateway.pipeline import Pipeline

Respond = Callable[[Request], Awaitable[Answer]]


async def until(condition: Callable[[], object]) -> None:
    """Return once `condition` holds, which other tasks of this loop make true."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the listener tells nobody of such things
            await asyncio.sleep(0)


def text(body: bytes, status: int = 200) -> Answer:
    return Answer(status, "", b"Content-Type: text/plain\r\n", body)


@dataclass
class Source:
    """A stream to answer with: its pieces, an event to wait for, an exception to break with; `closed` once given up."""

    steps: tuple[bytes | asyncio.Event | BaseException, ...]
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def chunks(self) -> AsyncIterator[bytes]:
        for step in self.steps:
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step

    async def close(self) -> None:
        self.closed.set()

    def answer(self, status: int = 200, length: int | None = None) -> Answer:
        return Answer(status, "", b"", chunks=self.chunks(), close=self.close, length=length)


class StubPipeline:
    """What the listener asks of a pipeline: `respond` answers, problems become their status and reason in text."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.requests: list[Request] = []
        self.arrived = asyncio.Event()
        self.unread: Fields | None = None

    async def handle(self, request: Request) -> Answer:
        self.requests.append(request)
        self.arrived.set()
        try:
            return await self._respond(request)
        except Problem as problem:
            return text(problem.reason.name.encode(), problem.reason.status)

    def refuse_unread(self, problem: Problem, fields: Fields | None = None) -> Answer:
        self.unread = fields
        answer = text(problem.reason.name.encode(), problem.reason.status)
        answer.last = True
        return answer


class StubOwn:
    """What the listener asks of the gateway's own resources: there is one, `/-/mine`."""

    async def answer(self, request: Request) -> Answer | None:
        return text(f"{request.method} {request.target}".encode()) if request.target.startswith("/-/mine") else None


class Door:
    """A listener that is open, and its way in."""

    def __init__(self, listener: Listener, pipeline: StubPipeline) -> None:
        self.listener = listener
        self.pipeline = pipeline
        assert listener._socket is not None
        self.address: tuple[str, int] = listener._socket.sockets[0].getsockname()

    async def connect(self, context: ssl.SSLContext | None = None) -> Client:
        return await Client.open(self.address, context)

    async def empty(self) -> None:
        """Return once every connection has been counted out."""
        await until(lambda: not self.listener.census.total)


@asynccontextmanager
async def door(respond: Respond, encryption: Encryption | None = None, **limits: float) -> AsyncIterator[Door]:
    """An open listener; at the end it must drain."""
    pipeline = StubPipeline(respond)
    health = Health({})
    within = Limits().model_copy(update=limits)
    listener = Listener(cast("Pipeline", pipeline), health, cast("Own", StubOwn()), within, encryption=encryption)
    await listener.open(HOST, 0)
    opened = Door(listener, pipeline)
    try:
        yield opened
    finally:
        async with asyncio.timeout(20):
            await listener.drain()
    assert listener.census.total == 0


def connections(opened: Door) -> list[Connection]:
    """The listener's ends."""
    return [found for found in opened.listener._protocols.connections if isinstance(found, Connection)]


def reading(client: Client) -> asyncio.Transport:
    """What a client reads from; paused, it takes nothing."""
    return cast("asyncio.Transport", client.writer.transport)


async def target(request: Request) -> Answer:
    """Answers with the request's own target."""
    return text(request.target.encode())


async def echo(request: Request) -> Answer:
    """Answers with the request's own content."""
    return text(b"".join([chunk async for chunk in request.body]) if request.body is not None else b"")
