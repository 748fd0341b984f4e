"""One connection to Redis: its calls are answered in the order they were sent, each in time, or all of them fail."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from time import monotonic
from typing import Any, Protocol

import hiredis
from redis._parsers import BaseParser
from redis.asyncio.connection import Connection as TcpConnection
from redis.exceptions import InvalidResponse, NoScriptError, RedisError, ResponseError

from gateway.fleet.failures import CLOSED, SILENT, Refused, Unreachable, unable, why
from gateway.fleet.script import Script
from gateway.fleet.settings import Settings

Part = bytes | str | int | float
"""One word of a command."""

Lost = Callable[[str], None]
"""Told once why a connection is of no use any more, if only because it was closed."""

_LATE = 0.01
"""So long the socket is looked at once a deadline is over: a process that was held up may have an answer there, and its
timers come first. One that is held up for as long meanwhile, once more."""

_HELD_UP = 1.0
"""Seconds that a process may be held up so, again and again, before the silence is taken for Redis's."""


class _Redis(Protocol):
    """What is used of redis-py's connections."""

    _writer: asyncio.StreamWriter

    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool) -> None: ...


class _Call:
    """Commands sent together, and the replies to them so far."""

    __slots__ = ("answered", "deadline", "expected", "latest", "replies", "spared")

    def __init__(self, expected: int, deadline: float, answered: "asyncio.Future[list[Any]]") -> None:
        self.expected = expected
        self.deadline = deadline
        self.answered = answered
        self.replies = list[Any]()
        self.latest = deadline + _HELD_UP
        self.spared = False


class Wire(asyncio.Protocol):
    """Made by `open`. Where one call gets no answer, none after it can: all of them fail, and the connection ends.

    redis-py connects and logs in. From then on its streams are left out: they took more of a call than all else here.
    """

    def __init__(self, redis: _Redis, lost: Lost | None) -> None:
        self._redis = redis
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._calls = deque[_Call]()
        self._timer: asyncio.TimerHandle | None = None
        self._look = inf
        self._closing: asyncio.Task[None] | None = None
        self._replies = hiredis.Reader(protocolError=InvalidResponse, replyError=BaseParser.parse_error)
        self._transport = redis._writer.transport  # noqa: SLF001 - redis-py shows it in no other way
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, settings: Settings, within: float, lost: Lost | None = None) -> "Wire":
        """Connect, with TLS and the login, in `within` seconds. Raises Unreachable."""
        redis = _unconnected(settings)
        try:
            async with asyncio.timeout(within):
                await redis.connect()
        except (RedisError, OSError) as error:
            await redis.disconnect(nowait=True)
            raise Unreachable(why(error)) from None
        except asyncio.CancelledError:
            await redis.disconnect(nowait=True)
            raise
        return cls(redis, lost)

    @property
    def is_open(self) -> bool:
        """Whether a call may be answered."""
        return self._closing is None and not self._transport.is_closing()

    async def ask(self, command: Sequence[Part], within: float) -> Any:
        """The reply to one command. Raises Unreachable as `call` does, and Refused."""
        return _accepted((await self.call([command], within))[0])

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Part], within: float) -> Any:
        """What a script returns, which is loaded where Redis does not know it. Raises as `ask`."""
        command = (b"EVALSHA", script.digest, len(keys), *keys, *arguments)
        began = monotonic()
        reply = (await self.call([command], within))[0]
        if isinstance(reply, NoScriptError):
            left = within - (monotonic() - began)
            reply = (await self.call([(b"SCRIPT", b"LOAD", script.text), command], left))[1]
        return _accepted(reply)

    async def call(self, commands: Sequence[Sequence[Part]], within: float) -> list[Any]:
        """The replies to commands sent together, an error reply as a `ResponseError` among them.

        Raises Unreachable after `within` seconds, not counting those in which this process was held up, or as long as
        a call before it has. A caller who is cancelled leaves everything in order.
        """
        if not self.is_open:
            raise Unreachable(CLOSED)
        if not commands:
            return []
        packed = _packed(commands)
        # The loop's own clock stands still while a turn lasts.
        call = _Call(len(commands), monotonic() + within, self._loop.create_future())
        self._calls.append(call)
        if self._look > call.deadline:
            self._wake(call.deadline)
        self._transport.write(packed)
        return await call.answered

    def end(self, reason: str = CLOSED) -> None:
        """Close it, and fail the calls that are under way; `reason` says why."""
        if self._closing is not None:
            return
        self._closing = asyncio.create_task(self._redis.disconnect(nowait=True))
        if self._timer is not None:
            self._timer.cancel()
        for call in self._calls:
            if not call.answered.done():
                call.answered.set_exception(Unreachable(reason))
        if self._lost is not None:
            self._lost(reason)

    async def close(self) -> None:
        """Close it, and return once that is done."""
        self.end()
        if self._closing is not None:
            await asyncio.wait([self._closing])

    def data_received(self, data: bytes) -> None:
        """Replies, or parts of them."""
        try:
            self._replies.feed(data)
            while self._closing is None and (reply := self._replies.gets()) is not False:
                self._answer(reply)
        except RedisError as error:
            self.end(why(error))

    def connection_lost(self, error: Exception | None) -> None:
        """By its other end, or by the network."""
        self.end(CLOSED if error is None else why(error))

    def _answer(self, reply: Any) -> None:
        if not self._calls:
            raise InvalidResponse
        if isinstance(reply, ResponseError) and (words := unable(reply)) is not None:
            self.end(words)
            return
        call = self._calls[0]
        call.replies.append(reply)
        if len(call.replies) == call.expected:
            self._calls.popleft()
            if not call.answered.done():
                call.answered.set_result(call.replies)

    def _wake(self, at: float) -> None:
        """Have deadlines looked at then, with one timer for all calls."""
        if self._timer is not None:
            self._timer.cancel()
        self._look = at
        self._timer = self._loop.call_later(max(0.0, at - monotonic()), self._due)

    def _due(self) -> None:
        self._timer, self._look = None, inf
        if not self._calls:
            return
        call, now = self._calls[0], monotonic()
        if call.deadline > now:
            self._wake(call.deadline)
        elif not call.spared or call.deadline + _LATE < now < call.latest:
            call.spared, call.deadline = True, now + _LATE
            self._wake(call.deadline)
        else:
            self.end(SILENT)


def _accepted(reply: Any) -> Any:
    if isinstance(reply, ResponseError):
        raise Refused(str(reply))
    return reply


def _packed(commands: Sequence[Sequence[Part]]) -> bytes:
    # Its stub has a tuple of one in place of one of any length.
    pack: Any = hiredis.pack_command
    return b"".join([pack(tuple(command)) for command in commands])


def _unconnected(settings: Settings) -> _Redis:
    arguments = settings.arguments()
    kind: Callable[..., _Redis] = arguments.pop("connection_class", TcpConnection)
    # Deadlines are kept here, for all calls with one timer.
    return kind(**arguments, client_name=settings.name, protocol=2, socket_timeout=None)
