"""An upstream that does exactly what its script says, byte by byte, and records what it was asked."""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any, TypeVar, assert_never
from weakref import WeakSet

from support.addresses import HOST
from support.listening import stop_listening
from support.polling import PATIENCE
from support.scripts import End, Endless, Gate, Pause, Received, Script, Step, numbered
from support.wire import READ_LIMIT, Fields, read_content, read_head, reset, values

T = TypeVar("T")

KEPT_BODY = 1 << 16


class ScriptedUpstream:
    """Listens on a loopback port from a thread of its own, so that it serves blocking and async tests alike.

    A path's script is a tuple of steps; `then` queues scripts that are used up first. After a script that does not end
    the connection, the next request on it is read.
    """

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Received] = []
        self.connections = 0
        self.in_flight: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._scripts: dict[str, Script] = {}
        self._queued: dict[str, deque[Script]] = {}
        self._changed = threading.Condition()
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._writers = WeakSet[asyncio.StreamWriter]()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="scripted-upstream", daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> "ScriptedUpstream":
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def kept(self) -> int:
        """How many of its connections are open."""
        return len(self._serving)

    def script(self, path: str, *steps: Step) -> None:
        """What every request for `path` gets once its queue is empty."""
        self._scripts[path] = steps

    def then(self, path: str, *steps: Step) -> None:
        """What the next request for `path` gets that no earlier `then` takes."""
        self._queued.setdefault(path, deque()).append(steps)

    def calls(self, path: str) -> list[Received]:
        """The requests for `path`, oldest first, whatever their query."""
        with self._changed:
            return [request for request in self.requests if request.path == path]

    def wait(self, condition: Callable[[], T], within: float = PATIENCE) -> T:
        """Block until `condition` holds, asked again after each arrival and each end of a script."""
        with self._changed:
            held = self._changed.wait_for(condition, within)
        assert held, f"the upstream never got there; it saw {[r.target for r in self.requests][-20:]}"
        return held

    def wait_for_calls(self, path: str, count: int = 1) -> list[Received]:
        """Block until `path` was asked for `count` times."""
        self.wait(lambda: len(self.calls(path)) >= count)
        return self.calls(path)

    async def arrived(self, path: str, count: int = 1) -> list[Received]:
        """`wait_for_calls` for a test that runs clients on its own event loop."""
        return await asyncio.to_thread(self.wait_for_calls, path, count)

    def refuse(self) -> None:
        """Close the port and every connection, as a process that died."""
        self._call(self._close())

    def accept(self) -> None:
        """Listen, on the same port as before where there was one."""
        self._call(self._listen())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, HOST, self.port, limit=READ_LIMIT, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await stop_listening(server)
        # Also those whose task has ended, but not what it wrote.
        for writer in tuple(self._writers):
            writer.transport.abort()
        serving = tuple(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        writer.transport.set_write_buffer_limits(high=0)
        task = self._loop.create_task(self._serve(reader, writer))
        self._serving[task] = writer
        task.add_done_callback(self._serving.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; whether the connection is still good for another."""
        start, fields = await read_head(reader)
        method, target, _ = start.split(" ")
        request = self._arrived(method, target, fields)
        try:
            if values(fields, "Expect"):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await _read_body(request, reader)
            with self._changed:
                self._changed.notify_all()
            return await self._play(self._script(request.path), request, writer)
        finally:
            with self._changed:
                self.in_flight[request.path] -= 1
                self._changed.notify_all()

    def _arrived(self, method: str, target: str, fields: Fields) -> Received:
        path = target.partition("?")[0]
        with self._changed:
            self._counts[path] += 1
            request = Received(method, target, fields, self._counts[path])
            self.requests.append(request)
            self.in_flight[path] += 1
            self.peak[path] = max(self.peak[path], self.in_flight[path])
            self._changed.notify_all()
        return request

    def _script(self, path: str) -> Script:
        queued = self._queued.get(path)
        return queued.popleft() if queued else self._scripts.get(path, (numbered,))

    async def _play(self, script: Script, request: Received, writer: asyncio.StreamWriter) -> bool:
        for step in script:
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                case Gate():
                    await step.passed()
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Endless(chunk):
                    while True:
                        writer.write(chunk)
                        await writer.drain()
                case End():
                    return await _end(step, writer)
                case _:
                    writer.write(step(request))
                    await writer.drain()
        return True


async def _read_body(request: Received, reader: asyncio.StreamReader) -> None:
    digest = sha256()
    async for chunk in read_content(reader, request.fields):
        digest.update(chunk)
        request.size += len(chunk)
        request.body += chunk[: max(0, KEPT_BODY - len(request.body))]
    request.digest = digest.hexdigest()
    request.complete = True


async def _end(end: End, writer: asyncio.StreamWriter) -> bool:
    match end:
        case End.close:
            writer.close()
            # What nothing is left to be sent on ends in the next turn: it has by the time the exchange has.
            await asyncio.sleep(0)
        case End.reset:
            reset(writer)
        case End.hang:
            await asyncio.Event().wait()
        case _:
            assert_never(end)
    return False
