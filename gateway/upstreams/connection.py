"""One connection to an upstream (RFC 9112 §8, §9): aiohttp's protocol, held to one whole answer for each request."""

import select
from asyncio import AbstractEventLoop, BaseTransport
from typing import Any

from aiohttp import ClientOSError, ClientPayloadError, ServerDisconnectedError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from gateway.alarm import Alarm

_MOST_INTERIM = 16
_MOST_HEAD = 256 * 1024


class UpstreamConnection(ResponseHandler):
    """Believes less than aiohttp does.

    An answer that nobody waits for would be the next request's. Interim answers and fields would be taken without end,
    and any byte would hold the read timeout off: here only an interim answer, the head and content do. A reset would
    end the content that only the connection's close ends, and leave an answer cut within its head as if there had been
    none, to be asked for again. Of a bad chunk nobody would tell who reads the content.
    """

    # When the read timeout ends, None while there is none. The timer is not moved with it: once armed it rings, and is
    # set anew where that was too early, a few times a minute instead of several times an answer.
    due: float | None = None
    _unread: "select.poll | None" = None
    _awaiting = False
    _interim_left = 0
    _head_left = 0
    _sent = False
    _heard = False

    def __init__(self, loop: AbstractEventLoop) -> None:
        super().__init__(loop)
        self._alarm = Alarm(self._ring)

    def is_connected(self) -> bool:
        """Whether it may carry a request: not where the peer has ended it, or spoken unasked (RFC 9112 §9.2)."""
        transport = self.transport
        return transport is not None and super().is_connected() and not self._has_unread(transport)

    def set_response_params(self, **params: Any) -> None:
        self._awaiting, self._sent, self._heard = True, False, False
        self._interim_left, self._head_left = _MOST_INTERIM, _MOST_HEAD
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if data and self._is_idle():
            self._hang_up()
            return
        self._heard = True
        before = self._progress()
        super().data_received(data)
        if self._awaiting:
            self._still_awaiting(len(data))
        if self.due is not None and self._progress() != before:
            self._put_off()

    def _is_idle(self) -> bool:
        """Whether whatever arrives is unasked, and the parser might wait for more of it (RFC 9112 §9.2)."""
        return not self._awaiting and (self._payload is None or self._payload.is_eof())

    def _still_awaiting(self, size: int) -> None:
        self._head_left -= size
        if self._head_left < 0:
            self._refuse("the head is too large")
        elif self._sent:
            # aiohttp ends the read timeout with an interim answer.
            self._reschedule_timeout()

    def _progress(self) -> tuple[bool, int, int]:
        content = self._payload
        return self._awaiting, self._interim_left, 0 if content is None else content.total_bytes

    def start_timeout(self) -> None:
        self._sent = True
        self._put_off()

    def _reschedule_timeout(self) -> None:
        # Asked for with every piece of data, before it is known whether it is progress.
        if self.due is None:
            self._put_off()

    def _drop_timeout(self) -> None:
        self.due = None

    def _put_off(self) -> None:
        if not self._read_timeout:
            return
        self.due = self._loop.time() + self._read_timeout
        self._alarm.by(self.due)

    def _ring(self) -> None:
        if self.due is not None and self.due <= self._loop.time():
            self._on_read_timeout()
        elif self.due is not None:
            self._alarm.by(self.due)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        interim = data[0].code < 200
        if not self._awaiting:
            self._hang_up()
        elif interim and not self._interim_left:
            self._refuse("too many interim responses")
        else:
            self._awaiting = interim
            self._interim_left -= 1
            super().feed_data(data, size)

    def _refuse(self, message: str) -> None:
        self._hang_up()
        self.set_exception(HttpProcessingError(message=message))

    def _hang_up(self) -> None:
        # Not `close`, which would forget the answer and the error that are still to be read.
        if self.transport is not None:
            self.transport.close()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        if self._heard and isinstance(exc, ServerDisconnectedError | ClientOSError):
            exc = ClientPayloadError("the answer broke off within its head")
        self._awaiting = False
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError):
            self._break_content(exc)

    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is not None:
            self._break_content(ClientPayloadError("the connection broke within the content"))
        self._alarm.stop()
        super().connection_lost(exc)

    def _break_content(self, exc: BaseException) -> None:
        content = self._payload
        if content is not None and not content.is_eof() and content.exception() is None:
            content.set_exception(exc)

    def _has_unread(self, transport: BaseTransport) -> bool:
        """Whether more has arrived, or the end, than the event loop has come round to reading."""
        if self._unread is None:
            self._unread = select.poll()
            self._unread.register(transport.get_extra_info("socket"), select.POLLIN)
        return bool(self._unread.poll(0))
