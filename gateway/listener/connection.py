"""One client connection: aiohttp's protocol, plus the limits it does not have."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.errors import Problem, Reason
from gateway.listener.reply import Reply

if TYPE_CHECKING:
    from gateway.listener.server import Listener

# What chunk extensions, chunk sizes and trailers may take: this much, and 16 times the content.
_MOST_FRAMING = 16 * 1024
_WORTH = 17


class Census:
    """How many connections there are, in all and per address."""

    def __init__(self) -> None:
        self.total = 0
        self._by_address: Counter[str] = Counter()

    def admits(self, address: str, most: int, most_per_address: int) -> bool:
        """Whether one more connection from `address` is within the limits."""
        return self.total < most and self._by_address[address] < most_per_address

    def arrive(self, address: str) -> None:
        """Count a connection in."""
        self.total += 1
        self._by_address[address] += 1

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self.total -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


class Connection(web.RequestHandler):
    """Adds a deadline for heads, the connection limits, and refusals that echo nothing.

    `sending` says that an answer streams, which ends with the connection; all else that was begun ends by itself.
    """

    __slots__ = (
        "_arriving",
        "_head_timer",
        "_listener",
        "_living",
        "_rested",
        "_taken",
        "_wire",
        "address",
        "eof",
        "sending",
    )

    def __init__(self, manager: web.Server, listener: "Listener", **options: Any) -> None:
        super().__init__(manager, **options)
        self._listener = listener
        self._head_timer: asyncio.TimerHandle | None = None
        self._wire: asyncio.Transport | None = None
        self._living = 0
        self._rested: int | None = None
        self._arriving: StreamReader | None = None
        self._taken = 0
        self.address = ""
        self.sending = False
        self.eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in, or close it at once where a limit is reached."""
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        super().connection_made(transport)
        self._wire = self.transport
        if not self._listener.admits(self.address):
            self.force_close()
            return
        self._listener.census.arrive(self.address)
        self._count_in()
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what only the client was good for."""
        self._head_arrived()
        if self._task_handler is not None and (self.sending or not self.busy):
            self._task_handler.cancel()
        super().connection_lost(exc)
        self._wire = None
        self._end_one()

    def data_received(self, data: bytes) -> None:
        """Start the head's deadline with its first byte, end it with its last."""
        heads = self._request_count
        super().data_received(data)
        if self._request_count != heads:
            self._head_arrived()
            self._end_broken_content()
            self._watch_content()
            if self._holds_more(data):
                self._await_head()
            return
        if self._arriving is not None:
            self._weigh(self._arriving, len(data))
        if self._head_timer is None and not self.busy:
            self._await_head()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio reads the value, aiohttp's own has none
        """A client that has sent all it will still gets what it asked for; then the connection ends.

        While an answer streams it counts as gone: nothing but a write would tell.
        """
        self.eof = True
        return self.busy and not self.sending

    @property
    def busy(self) -> bool:
        """Whether a request is being answered or waits for it."""
        return self._request_in_progress or bool(self._messages)

    @property
    def pipelined(self) -> bool:
        """Whether requests wait behind the one that is being answered."""
        return bool(self._messages)

    def rests(self) -> bool:
        """Whether it idles and has read nothing since this was last asked: only then is nothing about to begin."""
        before, self._rested = self._rested, None if self.busy else self._request_count
        return before is not None and before == self._rested

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - may hold what was received
    ) -> web.StreamResponse:
        """A request that could not be parsed, or a failure of ours; never shows what was received."""
        problem = _parse_problem(exc) if status == 400 else Problem(Reason.internal_error)
        if status != 400:
            self._listener.log.error("request failed", exc_info=exc)
        answer = self._listener.pipeline.refuse_unread(problem)
        return Reply(answer, close=True, write_timeout=self._listener.limits.write_timeout)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Content that breaks off or is malformed while what is left of it is skipped is its client's doing."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def _count_in(self) -> None:
        """Two have to end before it is counted out: the socket, and the task that answers on it."""
        if self._task_handler is not None:
            self._living = 2
            self._task_handler.add_done_callback(self._answered_last)

    def _answered_last(self, _: asyncio.Task[None]) -> None:
        """Cut off a client that does not take what is still to be sent; closing alone would wait for it for ever."""
        if self._wire is not None and self._wire.get_write_buffer_size():
            self._loop.call_later(self._listener.limits.write_timeout, self._wire.abort)
        self._end_one()

    def _end_one(self) -> None:
        self._living -= 1
        if self._living == 0:
            self._listener.census.leave(self.address)

    def _holds_more(self, data: bytes) -> bool:
        """Whether a next head has begun behind the last whole one, whose request has no content."""
        return bool(self._messages) and self._messages[-1][1] is EMPTY_PAYLOAD and not data.endswith(b"\r\n\r\n")

    def _end_broken_content(self) -> None:
        """aiohttp queues a parse error behind the request whose content it broke, and lets the content wait."""
        request = self._current_request
        if request is not None and self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            request.content.set_exception(web.RequestPayloadError("malformed content"))

    def _watch_content(self) -> None:
        content = self._messages[-1][1]
        self._arriving, self._taken = (None if content is EMPTY_PAYLOAD else content), 0

    def _weigh(self, content: StreamReader, size: int) -> None:
        """Break content that is mostly framing: aiohttp's parser skips what is in chunk extensions, without bound."""
        self._taken += size
        if content.is_eof():
            self._arriving = None
        elif self._taken - _WORTH * content.total_bytes > _MOST_FRAMING:
            self._arriving = None
            content.set_exception(web.RequestPayloadError("malformed content"))

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._listener.limits.head_timeout, self._head_is_late)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.busy:
            self._await_head()
        else:
            self.force_close()


def _parse_problem(error: BaseException | None) -> Problem:
    """RFC 9110 §15.5.15 and RFC 6585 §5: too long is told from malformed; anything else is 400."""
    if isinstance(error, LineTooLong):
        # The parser shows a target as a bytearray, a field as bytes: its only hint at what was too long.
        target = str(error.args[0]).startswith("bytearray")
        return Problem(Reason.target_too_long if target else Reason.fields_too_large)
    if isinstance(error, BadHttpMessage) and "Too many headers" in str(error):
        return Problem(Reason.fields_too_large)
    return Problem(Reason.malformed_request)
