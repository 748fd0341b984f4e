"""One connection to Redis: its calls are answered in the order they were sent, each in time, or all of them fail."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
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

Told = Callable[[Any], None]
"""Has what was asked for, or the Unreachable or Refused for which it is not to be had. Must not raise."""

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

    __slots__ = ("deadline", "expected", "latest", "replies", "spared", "told")

    def __init__(self, expected: int, deadline: float, told: Told) -> None:
        self.expected = expected
        self.deadline = deadline
        self.told = told
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
        waiter: asyncio.Future[Any] = self._loop.create_future()
        self.start(script, keys, arguments, within, partial(_hand_over, waiter))
        return await waiter

    def start(self, script: Script, keys: Sequence[str], arguments: Sequence[Part], within: float, told: Told) -> None:
        """Have `told` called with what a script returns, once and never at once. Raises Unreachable where it is closed.

        No task and no future: of the calls that hits make these took more than the rest.
        """
        command = (b"EVALSHA", script.digest, len(keys), *keys, *arguments)
        self._send([command], within, partial(self._ran, script, command, monotonic() + within, told))

    async def call(self, commands: Sequence[Sequence[Part]], within: float) -> list[Any]:
        """The replies to commands sent together, an error reply as a `ResponseError` among them.

        Raises Unreachable after `within` seconds, not counting those in which this process was held up, or as long as
        a call before it has. A caller who is cancelled leaves everything in order.
        """
        waiter: asyncio.Future[list[Any]] = self._loop.create_future()
        if commands or not self.is_open:
            self._send(commands, within, partial(_hand_over, waiter))
            return await waiter
        return []

    def end(self, reason: str = CLOSED) -> None:
        """Close it, and fail the calls that are under way; `reason` says why."""
        if self._closing is not None:
            return
        self._closing = asyncio.create_task(self._redis.disconnect(nowait=True))
        if self._timer is not None:
            self._timer.cancel()
        # Who is told may ask again at once: by then everybody has to know.
        if self._lost is not None:
            self._lost(reason)
        while self._calls:
            self._calls.popleft().told(Unreachable(reason))

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

    def _send(self, commands: Sequence[Sequence[Part]], within: float, told: Told) -> None:
        if not self.is_open:
            raise Unreachable(CLOSED)
        packed = _packed(commands)
        # The loop's own clock stands still while a turn lasts.
        call = _Call(len(commands), monotonic() + within, told)
        self._calls.append(call)
        if self._look > call.deadline:
            self._wake(call.deadline)
        self._transport.write(packed)

    def _ran(self, script: Script, command: Sequence[Part], deadline: float, told: Told, replies: Any) -> None:
        """A script's replies, or why there are none: it may have to be loaded, in the time that is left."""
        if isinstance(replies, Unreachable):
            told(replies)
        elif isinstance(replies[-1], NoScriptError) and len(replies) == 1:
            loading = (b"SCRIPT", b"LOAD", script.text)
            again = partial(self._ran, script, command, deadline, told)
            try:
                self._send([loading, command], deadline - monotonic(), again)
            except Unreachable as error:
                told(error)
        else:
            reply = replies[-1]
            told(Refused(str(reply)) if isinstance(reply, ResponseError) else reply)

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
            call.told(call.replies)

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


def _hand_over(waiter: "asyncio.Future[Any]", said: Any) -> None:
    if waiter.done():
        return
    if isinstance(said, Unreachable | Refused):
        waiter.set_exception(said)
    else:
        waiter.set_result(said)


def _packed(commands: Sequence[Sequence[Part]]) -> bytes:
    # Its stub has a tuple of one in place of one of any length.
    pack: Any = hiredis.pack_command
    return b"".join([pack(tuple(command)) for command in commands])


def _unconnected(settings: Settings) -> _Redis:
    arguments = settings.arguments()
    kind: Callable[..., _Redis] = arguments.pop("connection_class", TcpConnection)
    # Deadlines are kept here, for all calls with one timer.
    return kind(**arguments, client_name=settings.name, protocol=2, socket_timeout=None)
