"""aiohttp's protocol for one client, held to the limits that it does not have."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD

from gateway.errors import Problem, Reason
from gateway.listener.framing import Framing
from gateway.listener.reply import Reply
from gateway.listener.unread import parse_problem

if TYPE_CHECKING:
    from gateway.listener.server import Listener

END_OF_HEAD = b"\r\n\r\n"


class LimitedConnection(web.RequestHandler):
    """Adds a deadline for heads, the connection limits, and refusals that echo nothing.

    `sending` says that an answer streams, which ends with the connection; all else that was begun ends by itself.
    `begun` counts the requests that aiohttp began: between one's reading and its beginning it knows nothing of it.
    `beneath` is what TLS is spoken over, None without.
    """

    __slots__ = (
        "_arriving",
        "_head_timer",
        "_listener",
        "_living",
        "_rested",
        "_wire",
        "address",
        "begun",
        "beneath",
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
        self._arriving: Framing | None = None
        self.address = ""
        self.beneath: asyncio.Transport | None = None
        self.begun = 0
        self.sending = False
        self.eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in, or close it at once where a limit is reached."""
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        super().connection_made(transport)
        self._wire = cast("asyncio.Transport", transport)
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
            self._have_read(data)
            return
        if self._arriving is not None:
            self._weigh(self._arriving, len(data))
        if self._head_timer is None and not self.busy:
            self._await_head()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio reads the value, aiohttp's own has none
        """A client that has sent all it will still gets what it asked for; then the connection ends.

        While an answer streams it counts as gone: nothing but a write would tell. So it does over TLS, whose transport
        closes in both directions.
        """
        self.eof = True
        return self.busy and not self.sending and self.beneath is None

    @property
    def busy(self) -> bool:
        """Whether a request is being answered or waits for it."""
        return self._request_in_progress or self._request_count != self.begun

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
        self.begun += status == 400
        problem = parse_problem(exc) if status == 400 else Problem(Reason.internal_error)
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

    def _outlived_by(self, task: asyncio.Task[None]) -> None:
        """It is not counted out before this task has ended as well."""
        self._living += 1
        task.add_done_callback(lambda _: self._end_one())

    def _answered_last(self, _: asyncio.Task[None]) -> None:
        """Cut off a client that does not take what is still to be sent; closing alone would wait for it for ever."""
        if self._wire is not None and self._wire.get_write_buffer_size():
            self._loop.call_later(self._listener.limits.write_timeout, self._wire.abort)
        elif self.beneath is not None:
            # TLS would wait for the client to say that it closes as well, which one that idles does not look for.
            self.beneath.close()
        self._end_one()

    def _end_one(self) -> None:
        self._living -= 1
        if self._living == 0:
            self._listener.census.leave(self.address)

    def _have_read(self, data: bytes) -> None:
        """See to what comes behind the last head that `data` completed: content, the next head, or nothing yet."""
        message, content = self._messages[-1]
        if content is not EMPTY_PAYLOAD:
            self._arriving = Framing(content)
            return
        self._arriving = None
        if not isinstance(message, RawRequestMessage):
            self._end_broken_content()
        elif not data.endswith(END_OF_HEAD):
            self._await_head()

    def _end_broken_content(self) -> None:
        """aiohttp queues a parse error behind the request whose content it broke, and lets the content wait."""
        if self._current_request is not None:
            self._current_request.content.set_exception(web.RequestPayloadError("malformed content"))

    def _weigh(self, arriving: Framing, size: int) -> None:
        if arriving.content.is_eof():
            self._arriving = None
        elif arriving.outweighs(size):
            self._arriving = None
            arriving.content.set_exception(web.RequestPayloadError("malformed content"))

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
