"""One client connection: the fast lane where it may and will, else aiohttp, with answers in the order asked for."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD

from gateway.answers.head import phrase, render
from gateway.errors import Problem, Reason
from gateway.listener.lane import Lane
from gateway.listener.limited import END_OF_HEAD, LimitedConnection
from gateway.listener.reply import Reply
from gateway.messages import Answer

if TYPE_CHECKING:
    from gateway.listener.server import Listener

# Per head. A field counts as four bytes besides its name and value, of which its line may have but three.
MOST_FIELDS = 256


class Connection(LimitedConnection):
    """Asks the fast lane before it hands what it received to aiohttp.

    `ends`: an answer of the lane that is sent now is the connection's last, and has to say so.
    `short`: every head so far came in so few bytes that its fields are within the limit, and need no counting.

    The lane is asked for as long as `_lane` holds it. Then the parser is between two messages, aiohttp waits for a
    request and has none, the client takes what it is sent, no head is due and the transport is open: what changes any
    of this shuts the lane out first, and it is let in again with a request that aiohttp could begin at once as well.
    While the lane owes an answer (`_owing`), or the client does not take what the lane sent it, what arrives is
    `_held`, one read's worth, and the rest waits in the socket.
    """

    __slots__ = ("_clean", "_held", "_lane", "_owing", "_reader_timer", "_serving", "_write", "ends", "short")

    def __init__(self, manager: web.Server, listener: "Listener", **options: Any) -> None:
        super().__init__(manager, listener, **options)
        self._lane: Lane | None = None
        self._clean = True
        self._owing = False
        self._held = b""
        self._reader_timer: asyncio.TimerHandle | None = None
        self._serving: asyncio.Task[None] | None = None
        self.ends = listener.draining
        self.short = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in, or close it at once where a limit is reached."""
        self._write = cast("asyncio.Transport", transport).write
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what only the client was good for; what the lane owes it is not sent."""
        self._reader_is_back()
        if self._serving is not None and self.sending:
            self._serving.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The fast lane where it may and will, else aiohttp."""
        lane = self._lane
        if lane is not None and not self._owing and lane.take(self, data):
            self._owing = True
        else:
            self._receive(data)

    def send(self, message: bytes) -> None:
        """The lane's whole answer, on its way out; a client that has left is no error.

        `ends` is to be read in the turn of the loop in which this is called.
        """
        self._owing = False
        if self._lane is not None:
            self._write(message)
        elif self.transport is not None:
            self._write(message)
            if self.ends:
                self.force_close()
            else:
                self._release()

    def serve(self, answering: Coroutine[Any, Any, Answer], *, bodiless: bool) -> None:
        """The lane has no answer of its own: what `answering` brings is sent, in a task, as aiohttp's would."""
        if self.transport is None:
            # The client has left before anything was begun for it.
            answering.close()
            return
        self._serving = self._loop.create_task(self._served(answering, bodiless=bodiless))
        self._outlived_by(self._serving)

    def decline(self, data: bytes) -> None:
        """The lane took `data` and cannot answer it after all: aiohttp's way."""
        self._owing = False
        self._shut()
        if self.transport is not None:
            self._read(data)
            self._release()

    def fail(self) -> None:
        """The lane cannot make the answer that it owes, which is charged: 500, and the connection ends."""
        answer = self._listener.pipeline.refuse_unread(Problem(Reason.internal_error))
        head = render(answer.status, phrase(answer.status), (answer.lines,), len(answer.body), close=True)
        self._owing = False
        if self.transport is not None:
            self._write(head + answer.body)
            self.force_close()

    def reconsider(self) -> None:
        """The listener has another lane, or none, or drains: the lane that was asked is not asked again."""
        self._shut()
        self._tell_end()

    def eof_received(self) -> bool:  # type: ignore[override]  # as in the class above
        """A client that has sent all it will still gets what it asked for; then the connection ends."""
        stays = super().eof_received()
        self.reconsider()
        return stays

    def pause_writing(self) -> None:
        """The client does not keep up: until it does the lane takes nothing from it, and it has to in time."""
        super().pause_writing()
        self._shut()
        if not super().busy:
            self._await_reader()

    def resume_writing(self) -> None:
        """The client reads on."""
        super().resume_writing()
        self._reader_is_back()
        self._release()

    def force_close(self) -> None:
        """Close once what was written is sent."""
        self._shut()
        super().force_close()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered or waits for it, in either lane."""
        return self._owing or bool(self._held) or super().busy

    async def _served(self, answering: Coroutine[Any, Any, Answer], *, bodiless: bool) -> None:
        try:
            answer = await answering
            answer.bodiless = bodiless
            reply = Reply(answer, close=self.ends, write_timeout=self._listener.limits.write_timeout)
            await reply.send(self, chunks=True)
        except ConnectionResetError:
            # The client has left.
            self._owing = False
        except Exception as error:
            self._listener.log.error("request failed", exc_info=error)
            self.fail()
        else:
            self._has_sent(reply)

    def _has_sent(self, reply: Reply) -> None:
        self._owing = False
        # The client may have sent its last while this was on its way.
        if not reply.keep_alive or (self.eof and not self._held):
            self.force_close()
        elif self._lane is None:
            self._release()

    def _receive(self, data: bytes) -> None:
        """What the lane was not asked for, or left."""
        if self._owing or (self._paused and not super().busy):
            self._hold(data)
        elif self._lane is not None:
            self._shut()
            self._read(data)
        elif not self._lets_in(data):
            self._read(data)

    def _lets_in(self, data: bytes) -> bool:
        """Whether the lane, shut out until now, may be asked again and takes `data`."""
        lane = self._listener.lane
        if lane is None or not self._clean or self.ends or not self._awaits_request():
            return False
        if not lane.take(self, data):
            return False
        self._lane, self._owing = lane, True
        self._head_arrived()
        return True

    def _awaits_request(self) -> bool:
        """Whether aiohttp waits for a request and has none, or will as soon as it begins."""
        if self._waiter is None:
            return not self._request_count and not self._force_close
        return not self._waiter.done()

    def _read(self, data: bytes) -> None:
        """aiohttp's way; the lane learns from what its parser makes of one head alone."""
        heads, clean = self._request_count, self._clean
        super().data_received(data)
        read = self._request_count - heads
        self._clean = read > 0 and self._is_between_messages(data)
        if read and not (clean and len(data) + MOST_FIELDS <= self._listener.limits.fields):
            self.short = False
        lane = self._listener.lane
        if lane is not None and clean and self._clean and _is_one_head(data):
            lane.learn(self, data, cast("RawRequestMessage", self._messages[-1][0]))

    def _is_between_messages(self, data: bytes) -> bool:
        """Whether the last head that `data` completed has no content, and the parser holds nothing behind it."""
        message, content = self._messages[-1]
        if content is not EMPTY_PAYLOAD or self._upgraded or self._buffer_paused:
            return False
        return isinstance(message, RawRequestMessage) and data.endswith(END_OF_HEAD)

    def _shut(self) -> None:
        """Shut the lane out. Only now does the time to idle begin anew, as a look at the clock for each would cost."""
        if self._lane is not None:
            self._lane = None
            self._idle_anew()

    def _idle_anew(self) -> None:
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _process_keepalive(self) -> None:
        """aiohttp's look at an idle connection: one of which the lane took something since the last idles from now."""
        self._shut()
        if self._owing:
            self._idle_anew()
        super()._process_keepalive()

    def _tell_end(self) -> None:
        self.ends = (self.eof or self._listener.draining) and not self._held

    def _hold(self, data: bytes) -> None:
        self._held += data
        self.reconsider()
        self._pause_reading_for_buffer()

    def _release(self) -> None:
        """Go on with what was held; it is held again where it still has to wait."""
        if self._held and self.transport is not None:
            held, self._held = self._held, b""
            self._tell_end()
            self._resume_reading_for_buffer()
            self.data_received(held)

    def _await_reader(self) -> None:
        if self._reader_timer is None and self._wire is not None:
            self._reader_timer = self._loop.call_later(self._listener.limits.write_timeout, self._wire.abort)

    def _reader_is_back(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None


def _is_one_head(data: bytes) -> bool:
    """Whether no empty line, which a parser skips (RFC 9112 §2.2), stands before the head or behind it."""
    return data[0] not in b"\r\n" and data.find(END_OF_HEAD) == len(data) - len(END_OF_HEAD)
