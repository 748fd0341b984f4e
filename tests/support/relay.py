"""A TCP relay, as an address that moves: what is behind it may be turned to another port, slow, or cut off."""

import asyncio
import threading
from contextlib import suppress

from support.addresses import HOST
from support.listening import stop_listening


class Relay:
    """Listens on a loopback port and hands bytes on to `port`, in both directions.

    What comes back is `late` by so many seconds. Once `left` more bytes have come back, where that is a number, every
    connection is cut in the middle, once.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self.late = 0.0
        self.left: int | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._writers = set[asyncio.StreamWriter]()

    def __enter__(self) -> "Relay":
        self._thread.start()
        listening = asyncio.start_server(self._relay, HOST, 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, scheme: str) -> str:
        """Where it listens, as the first database of a Redis."""
        return f"{scheme}://{HOST}:{self.port}/0"

    def turn_to(self, port: int) -> None:
        """From now on it hands on to another port; its connections break."""
        self._behind = port
        self._loop.call_soon_threadsafe(self._cut)

    async def _end(self) -> None:
        await stop_listening(self._server)
        self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(HOST, self._behind)
            self._writers |= {writer, far_writer}
            await asyncio.gather(_copy(reader, far_writer), self._copy_back(far_reader, writer))
        writer.close()

    async def _copy_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if self.late:
                    await asyncio.sleep(self.late)
                if self.left is not None and self.left < len(data):
                    writer.write(data[: self.left])
                    self.left = None
                    self._cut()
                    return
                if self.left is not None:
                    self.left -= len(data)
                writer.write(data)
                await writer.drain()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
