"""What a scripted upstream can be told to do with a request: the closed set of steps, and answers to build them of."""

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from support.wire import Fields, values


@dataclass(slots=True)
class Received:
    """A request as it arrived; `call` counts the requests for its path from 1.

    `body` holds the first 64 KiB of the content, `size` and `digest` (SHA-256) speak of all of it.
    """

    method: str
    target: str
    fields: Fields
    call: int
    body: bytes = b""
    size: int = 0
    digest: str = ""
    complete: bool = False

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def field(self, name: str) -> str | None:
        """The only value of `name`, None where it is absent."""
        found = values(self.fields, name)
        assert len(found) < 2, f"{name} is repeated: {found}"
        return found[0] if found else None


class Gate:
    """Holds what waits at it until a test opens it, from whichever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._opened = False

    def open(self) -> None:
        with self._lock:
            self._opened = True
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    async def passed(self) -> None:
        event = asyncio.Event()
        with self._lock:
            if self._opened:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Endless:
    """Send `chunk` for ever."""

    chunk: bytes


class End(Enum):
    """How a script leaves its connection, where it does not keep it for the next request."""

    close = "close"
    reset = "reset"
    hang = "hang"


Step = bytes | Gate | Pause | Endless | End | Callable[[Received], bytes]
Script = tuple[Step, ...]


def head(status: int, *lines: str) -> bytes:
    """A response's status line and field section."""
    return "\r\n".join([f"HTTP/1.1 {status} Scripted", *lines, "", ""]).encode("latin-1")


def answer(body: bytes | str = b"", status: int = 200, **fields: str) -> bytes:
    """A whole response with Content-Length; `Cache_Control="no-store"` is the field `Cache-Control: no-store`."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return head(status, *lines, f"Content-Length: {len(content)}") + content


def json_answer(value: object, status: int = 200, **fields: str) -> bytes:
    """A whole response whose content is `value` as JSON."""
    return answer(json.dumps(value), status, Content_Type="application/json", **fields)


def numbered(request: Received) -> bytes:
    """The answer of every path without a script: which request it was, in JSON."""
    return json_answer({"path": request.path, "call": request.call})
