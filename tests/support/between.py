"""A proxy on loopback between a client and a server, which can hold back what that says, or say something else."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from support.addresses import HOST
from support.listening import stop_listening


class Between:
    """Passes everything on to port `to`; with `answers` cleared nothing comes back until it is set again.

    What comes back is `late` by so many seconds. `instead`, where it is set, is all that a new connection gets to read.
    """

    def __init__(self, port: int) -> None:
        self.to = port
        self._tasks = set[asyncio.Task[None]]()
        self._writers = set[asyncio.StreamWriter]()
        self._clients = set[asyncio.StreamWriter]()
        self.answers = asyncio.Event()
        self.answers.set()
        self.instead: bytes | None = None
        self.late = 0.0
        self.connected = asyncio.Event()
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> "Between":
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_listening(self._server)
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def url(self) -> str:
        """It as a Redis."""
        return f"redis://{HOST}:{self.port}/0"

    def cut(self) -> None:
        """End every connection at once."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        self._clients.clear()

    def say(self, something: bytes) -> None:
        """Something that the server has not said, to every client."""
        for writer in self._clients:
            writer.write(something)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.connected.set()
        self._writers.add(writer)
        self._clients.add(writer)
        if self.instead is not None:
            writer.write(self.instead)
            return
        further, back = await asyncio.open_connection(HOST, self.to)
        self._writers.add(back)
        self._start(_pass(reader, back, _at_once))
        self._start(_pass(further, writer, self._may_answer))

    async def _may_answer(self) -> None:
        await asyncio.sleep(self.late)
        await self.answers.wait()

    def _start(self, passing: Awaitable[None]) -> None:
        task = asyncio.ensure_future(passing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _at_once() -> None:
    pass


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may: Callable[[], Awaitable[None]]) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            await may()
            writer.write(data)
    writer.close()
